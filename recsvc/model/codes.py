"""Inner products with vectors kept as one byte a dimension: see `blocks.one_byte_codes`."""

from __future__ import annotations

import numpy as np
from numba import njit

from recsvc.model.arrays import F32
from recsvc.model.blocks import I8


@njit(cache=True, forceinline=True, fastmath={"contract", "reassoc", "nsz"})
def code_dot(weights: F32, codes: I8) -> float:
    """Inner product with one byte a dimension."""
    total = np.float32(0.0)
    for d in range(len(codes)):
        total += weights[d] * np.float32(codes[d])
    return float(total)

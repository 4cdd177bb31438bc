"""About so many of the largest values: what looks closer at them does not mind a few more."""

from __future__ import annotations

import numpy as np
from numba import njit

from recsvc.model.arrays import F32, I64

_BINS = 512


@njit(cache=True)
def at_least(values: F32, count: int) -> I64:
    """Positions (int64[>= count, if there are]) of the largest values, in their order.

    Counted into bins and cut between two of them, without sorting.
    """
    n = len(values)
    if n <= count:
        return np.arange(n)
    high, low = values.max(), values.min()
    scale = np.float32((_BINS - 1) / max(high - low, 1e-6))
    sizes = np.zeros(_BINS, np.int64)
    for i in range(n):
        sizes[int((values[i] - low) * scale)] += 1
    total, least = sizes[_BINS - 1], _BINS - 1
    while total < count:
        least -= 1
        total += sizes[least]
    out = np.empty(total, np.int64)
    end = 0
    for i in range(n):
        if int((values[i] - low) * scale) >= least:
            out[end] = i
            end += 1
    return out

"""The terms that more than one step works out: of a distance, of coded vectors."""

from __future__ import annotations

import numpy as np
from numba import njit

from recsvc.model.arrays import F32
from recsvc.model.blocks import I8
from recsvc.model.scan_tables import ENTRIES, STEPS


@njit(cache=True, forceinline=True)
def near_term(table: F32, places: F32, count: int, point: F32, less_km: float) -> float:
    """A distance term from the nearest place; 0 when nothing is known, which is alike for most."""
    if count == 0 or np.isnan(point[0]):
        return 0.0
    best = np.float32(np.inf)
    for i in range(count):
        x, y, z = places[i, 0] - point[0], places[i, 1] - point[1], places[i, 2] - point[2]
        best = min(best, x * x + y * y + z * z)
    km = max(np.float32(0.0), np.sqrt(best) - np.float32(less_km))
    entry = int(np.sqrt(km) * np.float32(STEPS) + np.float32(0.5))
    return float(table[min(entry, ENTRIES - 1)])


@njit(cache=True, forceinline=True, fastmath={"contract", "reassoc", "nsz"})
def code_dot(weights: F32, codes: I8) -> float:
    total = np.float32(0.0)
    for d in range(len(codes)):
        total += weights[d] * np.float32(codes[d])
    return float(total)

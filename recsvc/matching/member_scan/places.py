"""The term of the distance from a lead to a place."""

from __future__ import annotations

import numpy as np
from numba import njit

from recsvc.model.arrays import F32
from recsvc.model.scan_tables import ENTRIES, STEPS


@njit(cache=True, forceinline=True)
def place_term(
    table: F32, unknown: float, points: F32, i: int, place: F32, less_km: float
) -> float:
    """The term of point i (of float32[n, 3]), `less_km` nearer than it is.

    `unknown` when it or the lead's place is not known.

    Written without views of a row: making one takes longer than the sum.
    """
    x, y, z = points[i, 0] - place[0], points[i, 1] - place[1], points[i, 2] - place[2]
    km = np.sqrt(x * x + y * y + z * z) - np.float32(less_km)
    if np.isnan(km):
        return unknown
    entry = int(np.sqrt(max(km, np.float32(0.0))) * np.float32(STEPS) + np.float32(0.5))
    return float(table[min(entry, ENTRIES - 1)])

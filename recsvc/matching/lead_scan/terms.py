"""The terms that more than one step works out: of a distance, of coded vectors."""

from __future__ import annotations

import numpy as np
from numba import njit

from recsvc.model.arrays import F32, I32, U8
from recsvc.model.scan_tables import ENTRIES, STEPS

# Of 32 bits: numba would widen plain numbers to 64, and half as many fit a vector instruction.
_FOUR, _FOUR_BITS = np.int32(4), np.int32(15)


@njit(cache=True, forceinline=True)
def near_term(table: F32, places: F32, count: int, point: F32, less_km: float) -> float:
    """A distance term from the nearest place, between two entries of its table."""
    return near_terms(table, table, places, count, point, less_km)[0]


@njit(cache=True, forceinline=True)
def near_terms(
    table: F32, other: F32, places: F32, count: int, point: F32, less_km: float
) -> tuple[float, float]:
    """The same from two tables at once."""
    if count == 0 or np.isnan(point[0]):
        return float(table[ENTRIES]), float(other[ENTRIES])
    best = np.float32(np.inf)
    for i in range(count):
        x, y, z = places[i, 0] - point[0], places[i, 1] - point[1], places[i, 2] - point[2]
        best = min(best, x * x + y * y + z * z)
    km = max(np.float32(0.0), np.sqrt(best) - np.float32(less_km))
    steps = min(np.sqrt(km) * np.float32(STEPS), np.float32(ENTRIES - 2))
    entry = int(steps)
    share = steps - np.float32(entry)
    value = table[entry] + share * (table[entry + 1] - table[entry])
    return float(value), float(other[entry] + share * (other[entry + 1] - other[entry]))


@njit(cache=True, forceinline=True)
def town_term(town: int, towns: I32, nearer: float) -> float:
    """What a shared town adds to a shared county."""
    shared = False
    for i in range(len(towns)):
        shared |= towns[i] == town
    return nearer if shared and town >= 0 else 0.0


@njit(cache=True, forceinline=True, fastmath={"contract", "reassoc", "nsz"})
def half_byte_dot(weights: F32, codes: U8) -> float:
    """As `code_dot` of codes with two dimensions a byte, but for what codes of zeros make."""
    half = len(codes)
    low, high = weights[:half], weights[half:]
    total = np.float32(0.0)
    for d in range(half):
        code = np.int32(codes[d])
        total += low[d] * np.float32(code & _FOUR_BITS)
        total += high[d] * np.float32(code >> _FOUR)
    return float(total)

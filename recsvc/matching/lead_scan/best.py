"""The largest of many values, found by counting into bins."""

from __future__ import annotations

import numpy as np
from numba import njit

from recsvc.model.arrays import F32, I32, I64

_BINS = 256


@njit(cache=True)
def threshold(values: F32, blocks: I32, block_start: I32, target: int) -> float:
    """A value so that blocks with at least it hold `target` rows or a few more."""
    high = values.max()
    low = max(values.min(), high - 8.0)
    scale = (_BINS - 1) / max(high - low, 1e-6)
    sizes = np.zeros(_BINS, np.int64)
    for i in range(len(values)):
        at = int(max(0.0, values[i] - low) * scale)
        sizes[at] += block_start[blocks[i] + 1] - block_start[blocks[i]]
    total, at = sizes[_BINS - 1], _BINS - 1
    while total < target and at > 0:
        at -= 1
        total += sizes[at]
    return low + at / scale if at > 0 else -np.inf


@njit(cache=True)
def best_of(values: F32, count: int) -> I64:
    """Positions (int64[<= count]) of the largest values, in no order."""
    n = len(values)
    if n <= count:
        return np.arange(n)
    # Counting into bins first: a partition of everything costs five times as much.
    high, low = values.max(), values.min()
    scale = (_BINS - 1) / max(high - low, 1e-6)
    sizes = np.zeros(_BINS, np.int64)
    for i in range(n):
        sizes[int((values[i] - low) * scale)] += 1
    total, at = sizes[_BINS - 1], _BINS - 1
    while total < count:
        at -= 1
        total += sizes[at]
    out = np.empty(total, np.int64)
    end = 0
    for i in range(n):
        if int((values[i] - low) * scale) >= at:
            out[end] = i
            end += 1
    if total == count:
        return out
    return out[np.argsort(-values[out], kind="mergesort")[:count]]

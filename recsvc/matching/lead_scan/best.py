"""The largest of many values by counting into bins: a sort of all costs five times as much."""

from __future__ import annotations

import numpy as np
from numba import njit

from recsvc.model.arrays import F32, I32

_BINS = 512


@njit(cache=True)
def least_of_best(values: F32, sizes: I32, target: int) -> float:
    """A value so that those with at least it have `target` together, or little more; -inf for all.

    `sizes` int32[n]: what each counts, or int32[0]: each counts one. Values of -inf do not count.
    """
    low, high, total = np.float32(np.inf), np.float32(-np.inf), 0
    for i in range(len(values)):
        if values[i] > -np.inf:
            low, high = min(low, values[i]), max(high, values[i])
            total += sizes[i] if len(sizes) else 1
    if total <= target:
        return -np.inf
    missing = target
    for _ in range(2):  # once more within the bin where the limit lies
        width = (high - low) / np.float32(_BINS)
        if width <= 0.0:
            break
        per = np.float32(1.0) / width
        counts = np.zeros(_BINS, np.int32)
        for i in range(len(values)):
            if low <= values[i] <= high:
                at = min(int((values[i] - low) * per), _BINS - 1)
                counts[at] += sizes[i] if len(sizes) else 1
        at = _BINS - 1
        while at > 0 and missing > counts[at]:
            missing -= counts[at]
            at -= 1
        high = low + np.float32(at + 1) * width
        low = low + np.float32(at) * width
    return float(low)

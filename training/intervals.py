"""Bootstrap intervals: how far a mean, or a difference of two, may be luck.

Members or leads are drawn with replacement, never pairs: the pairs of one member are not
independent. Source: Efron & Tibshirani 1993, "An Introduction to the Bootstrap" (percentiles).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from recsvc.model.arrays import F64
from training.metrics import Floats, Ints

RESAMPLES = 1_000
_CELLS = 4_000_000  # draws held at a time: 32 MB


class Interval(NamedTuple):
    """A value with its percentile interval; `p_value` is two-sided, against zero."""

    value: float
    low: float
    high: float
    p_value: float

    @property
    def above_zero(self) -> bool:
        """Whether the whole interval lies above zero: the project's meaning of "better"."""
        return self.low > 0.0


def bootstrap_mean(
    values: Floats, *, seed: int, resamples: int = RESAMPLES, level: float = 0.95
) -> Interval:
    """Interval of the mean of one value per group; NaN (group without an answer) is left out."""
    kept = np.asarray(values, np.float64)
    kept = kept[~np.isnan(kept)]
    if not len(kept):
        return Interval(*(float("nan"),) * 4)
    rng = np.random.default_rng(seed)
    chunk = max(1, _CELLS // len(kept))
    means = [
        kept[rng.integers(0, len(kept), (min(chunk, resamples - done), len(kept)))].mean(axis=1)
        for done in range(0, resamples, chunk)
    ]
    return _interval(float(kept.mean()), np.concatenate(means), level)


def bootstrap_difference(
    ours: Floats, theirs: Floats, *, seed: int, resamples: int = RESAMPLES, level: float = 0.95
) -> Interval:
    """Paired interval of mean(ours) - mean(theirs), both float[n] over the same groups."""
    if len(ours) != len(theirs):
        raise ValueError(f"A paired difference needs equal lengths, not {len(ours)}, {len(theirs)}")
    difference = np.asarray(ours, np.float64) - np.asarray(theirs, np.float64)
    return bootstrap_mean(difference, seed=seed, resamples=resamples, level=level)


def bootstrap_statistic(
    statistic: Callable[[F64], float],
    groups: Ints,
    *,
    seed: int,
    resamples: int = RESAMPLES,
    level: float = 0.95,
) -> Interval:
    """Interval of anything that takes row weights (`auc`, `ece`, `brier_skill` over all pairs).

    `statistic` gets float64[n], how often each row was drawn: whole groups (int[n]) are drawn
    together. For a paired difference let it return the difference.
    """
    _, group = np.unique(groups, return_inverse=True)
    count = int(group.max()) + 1
    rng = np.random.default_rng(seed)
    drawn = np.empty(resamples)
    for i in range(resamples):
        times = np.bincount(rng.integers(0, count, count), minlength=count)
        drawn[i] = statistic(times[group].astype(np.float64))
    return _interval(statistic(np.ones(len(group))), drawn, level)


def _interval(value: float, drawn: F64, level: float) -> Interval:
    drawn = drawn[~np.isnan(drawn)]
    if not len(drawn):
        return Interval(value, float("nan"), float("nan"), float("nan"))
    low, high = np.quantile(drawn, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    # + 1: with no resample on the other side, p is below 1 / resamples, never zero.
    tail = min((drawn <= 0.0).sum(), (drawn >= 0.0).sum()) + 1
    return Interval(value, float(low), float(high), float(min(1.0, 2.0 * tail / (len(drawn) + 1))))

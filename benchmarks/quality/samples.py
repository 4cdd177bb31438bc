"""A measure as something that can be drawn again: its interval, and its difference to another's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from recsvc.model.arrays import F64
from training.intervals import (
    Interval,
    bootstrap_difference,
    bootstrap_mean,
    bootstrap_statistic,
)

STATISTIC_RESAMPLES = 400
"""A statistic over all pairs costs more a draw than a mean does."""


@dataclass(frozen=True)
class Mean:
    """The mean of one value a member or lead (float64[n], NaN: nothing to measure there)."""

    values: F64


@dataclass(frozen=True)
class Statistic:
    """A statistic of n pairs by their weights; pairs of one group (int[n]) are drawn together."""

    of: Callable[[F64], float]
    groups: NDArray[np.integer]


@dataclass(frozen=True)
class Ratio:
    """Sum of what was reached over the sum of what could be, both float64[n] a member."""

    own: F64
    best: F64

    @property
    def statistic(self) -> Statistic:
        """The ratio by weights."""

        def ratio(weights: F64) -> float:
            whole = float(weights @ self.best)
            return float(weights @ self.own) / whole if whole else float("nan")

        return Statistic(ratio, np.arange(len(self.own)))


Sample: TypeAlias = Mean | Ratio | Statistic


def count(sample: Sample) -> int:
    """How many units or pairs it is over."""
    if isinstance(sample, Mean):
        return int((~np.isnan(sample.values)).sum())
    return len(sample.own if isinstance(sample, Ratio) else sample.groups)


def _drawn(sample: Ratio | Statistic) -> Statistic:
    return sample.statistic if isinstance(sample, Ratio) else sample


def interval(sample: Sample, seed: int) -> Interval:
    """The value with its 95 % bootstrap interval."""
    if isinstance(sample, Mean):
        return bootstrap_mean(sample.values, seed=seed)
    sample = _drawn(sample)
    return bootstrap_statistic(sample.of, sample.groups, seed=seed, resamples=STATISTIC_RESAMPLES)


def difference(ours: Sample, theirs: Sample, seed: int) -> Interval:
    """The paired 95 % bootstrap interval of ours - theirs, over the same units or pairs."""
    if isinstance(ours, Mean) and isinstance(theirs, Mean):
        return bootstrap_difference(ours.values, theirs.values, seed=seed)
    assert not isinstance(ours, Mean)
    assert not isinstance(theirs, Mean)
    ours, theirs = _drawn(ours), _drawn(theirs)
    first, second = ours.of, theirs.of
    return bootstrap_statistic(
        lambda weights: first(weights) - second(weights),
        ours.groups,
        seed=seed,
        resamples=STATISTIC_RESAMPLES,
    )


def value(sample: Sample) -> float:
    """The plain value."""
    if isinstance(sample, Mean):
        return float(np.nanmean(sample.values)) if len(sample.values) else float("nan")
    sample = _drawn(sample)
    return sample.of(np.ones(len(sample.groups)))

"""The additive ranker: score = intercept + Σ over features of a one-feature table.

Tables are piecewise linear or steps; every table is centred on the training pairs, so a term's
value says how much this feature moves this pair away from the average one, and the terms and the
intercept sum *exactly* to the score. A few pairs of features of one group have a table together
(`joint_terms`), which counts with the term of the first.

Source: generalised additive models by boosting (Lou, Caruana & Gehrke 2012, "Intelligible models
for classification and regression"), read at serving time as plain tables.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from recsvc.model.arrays import F32, I32, U8
from recsvc.model.joint_terms import (
    NO_JOINT_FEATURES,
    NO_JOINT_KNOTS,
    NO_JOINT_VALUES,
    add_joint_values,
)

MAX_KNOTS = 64


class AdditiveModel(NamedTuple):
    """F tables of at most K knots, and P joint ones of two features of a group, centred.

    A linear feature has its value at each knot and is interpolated (constant outside, unless
    `slope` extends it); a step feature takes the value of the last knot not above x.
    """

    knots: F32  # [F, K] ascending, padded with +inf
    values: F32  # [F, K]
    counts: NDArray[np.int32]  # [F] knots in use; 0 = the feature is not used
    missing: F32  # [F] value when the feature is NaN
    linear: U8  # [F]
    slope_below: F32  # [F] extends a linear table below its first knot (per unit of x)
    slope_above: F32  # [F] … and above its last
    intercept: float
    joint_features: I32 = NO_JOINT_FEATURES  # [P, 2]
    joint_knots: F32 = NO_JOINT_KNOTS  # [P, 2, J] ascending, padded with +inf
    joint_values: F32 = NO_JOINT_VALUES  # [P, J + 2, J + 2] by knots not above x; last: NaN


OF_FEATURES = AdditiveModel._fields[:7]
"""The arrays with a row for each feature."""


@njit(cache=True, forceinline=True)
def _lookup(x: float, knots: F32, values: F32, count: int, linear: int) -> float:
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if knots[middle] <= x:
            low = middle + 1
        else:
            high = middle
    at = low - 1
    if at < 0:
        return float(values[0])
    if linear == 0 or at == count - 1:
        return float(values[at])
    share = (x - knots[at]) / (knots[at + 1] - knots[at])
    return float(values[at] + share * (values[at + 1] - values[at]))


@njit(cache=True, forceinline=True)
def table_value(model: AdditiveModel, f: int, x: float) -> float:
    """The term of one feature at x (NaN: not known); 0 when the model does not use it."""
    count = model.counts[f]
    if count == 0:
        return 0.0
    if np.isnan(x):
        return float(model.missing[f])
    value = _lookup(x, model.knots[f], model.values[f], count, model.linear[f])
    if model.linear[f] != 0:
        if x < model.knots[f, 0]:
            value += (x - model.knots[f, 0]) * model.slope_below[f]
        elif x > model.knots[f, count - 1]:
            value += (x - model.knots[f, count - 1]) * model.slope_above[f]
    return value


@njit(cache=True, nogil=True)
def _add_terms(
    x: F32,
    knots: F32,
    values: F32,
    f: int,
    count: int,
    linear: int,
    missing: float,
    below: float,
    above: float,
    out: F32,
) -> None:
    """Adds the terms of feature f at n points (float32[n]) to `out`.

    One loop without calls: a call counts references to the arrays it is given, which takes longer
    than the look-up. Counting all knots below x takes a few vector instructions; halving, a branch
    a step that the processor guesses wrong half of the time (6 instead of 25 ns a term).
    """
    for i in range(len(x) if count else 0):
        at_x = x[i]
        if np.isnan(at_x):
            out[i] += missing
            continue
        reached = np.int32(0)
        for k in range(count):
            reached = np.int32(reached + (knots[f, k] <= at_x))
        at = max(int(reached) - 1, 0)
        value = float(values[f, at])
        if linear != 0:
            if at < count - 1:
                share = (at_x - knots[f, at]) / (knots[f, at + 1] - knots[f, at])
                share = max(share, np.float32(0.0))
                value = float(values[f, at] + share * (values[f, at + 1] - values[f, at]))
            value += min(at_x - knots[f, 0], np.float32(0.0)) * below
            value += max(at_x - knots[f, count - 1], np.float32(0.0)) * above
        out[i] += value


@njit(cache=True)
def add_table_values(model: AdditiveModel, f: int, x: F32, out: F32) -> None:
    """Adds the terms of one feature at n points (float32[n]) to `out`."""
    _add_terms(
        x,
        model.knots,
        model.values,
        f,
        model.counts[f],
        model.linear[f],
        model.missing[f],
        model.slope_below[f],
        model.slope_above[f],
        out,
    )


@njit(cache=True)
def add_joint_terms(model: AdditiveModel, features: F32, out: F32) -> None:
    """Adds the joint terms of n pairs' features (float32[n, F]) to `out` (float32[n])."""
    for p in range(len(model.joint_features)):
        x, y = features[:, model.joint_features[p, 0]], features[:, model.joint_features[p, 1]]
        add_joint_values(x, y, model.joint_knots, model.joint_values, p, out)


@njit(cache=True, nogil=True)
def additive_terms(model: AdditiveModel, features: F32) -> F32:
    """Terms (float32[n, F]) of n pairs' features (float32[n, F])."""
    return scored_terms(model, features)[0]


@njit(cache=True, nogil=True)
def scored_terms(model: AdditiveModel, features: F32) -> tuple[F32, F32]:
    """Terms (float32[n, F]) of n pairs' features (float32[n, F]), and their scores (float32[n])."""
    terms, scores = np.empty(features.shape, np.float32), np.empty(len(features), np.float32)
    fill_terms(model, features, terms, scores)
    return terms, scores


@njit(cache=True, nogil=True)
def fill_terms(model: AdditiveModel, features: F32, terms: F32, scores: F32) -> None:
    """The same into arrays that are given."""
    n, width = features.shape
    terms[:] = 0.0
    knots, values = model.knots, model.values
    # Feature by feature: what is the same for all pairs is taken out of the model once.
    for f in range(width):
        count, linear, missing = model.counts[f], model.linear[f], model.missing[f]
        below, above = model.slope_below[f], model.slope_above[f]
        x, out = features[:, f], terms[:, f]
        _add_terms(x, knots, values, f, count, linear, missing, below, above, out)
    joint, joint_knots, joint_values = model.joint_features, model.joint_knots, model.joint_values
    for p in range(len(joint)):
        x, y, out = features[:, joint[p, 0]], features[:, joint[p, 1]], terms[:, joint[p, 0]]
        add_joint_values(x, y, joint_knots, joint_values, p, out)
    for i in range(n):
        total = model.intercept
        for f in range(width):
            total += terms[i, f]
        scores[i] = total


@njit(cache=True)
def additive_scores(model: AdditiveModel, features: F32) -> F32:
    """Scores (float32[n], log-odds when the log had exposures) of n pairs' features."""
    return scored_terms(model, features)[1]


class Calibration(NamedTuple):
    """A monotone, piecewise-linear map from score to claim probability; empty = uncalibrated."""

    scores: F32  # [c] ascending
    probabilities: F32  # [c] ascending, within 0..1

    def probability(self, scores: F32) -> F32 | None:
        """Probabilities (float32[n]) of n scores, None without a calibration."""
        if len(self.scores) == 0:
            return None
        return np.interp(scores, self.scores, self.probabilities).astype(np.float32)


def single_feature_model(feature: int, width: int) -> AdditiveModel:
    """The model that scores by one feature as it is, used before anything was learned."""
    knots = np.full((width, 2), np.inf, np.float32)
    values = np.zeros((width, 2), np.float32)
    counts = np.zeros(width, np.int32)
    slope = np.zeros(width, np.float32)
    knots[feature] = values[feature] = (0.0, 1.0)
    counts[feature] = 2
    slope[feature] = 1.0
    return AdditiveModel(
        knots,
        values,
        counts,
        np.zeros(width, np.float32),
        (counts > 0).astype(np.uint8),
        slope,
        slope,
        0.0,
    )

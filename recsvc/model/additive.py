"""The additive ranker: score = intercept + Σ over features of a one-feature table.

Tables are piecewise linear or steps; every table is centred on the training pairs, so a term's
value says how much this feature moves this pair away from the average one, and the terms and the
intercept sum *exactly* to the score.

Source: generalised additive models by boosting (Lou, Caruana & Gehrke 2012, "Intelligible models
for classification and regression"), read at serving time as plain tables.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from recsvc.model.arrays import F32, U8

MAX_KNOTS = 64


class AdditiveModel(NamedTuple):
    """F tables of at most K knots, centred.

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


@njit(cache=True)
def add_table_values(model: AdditiveModel, f: int, x: F32, out: F32) -> None:
    """Adds the terms of one feature at n points (float32[n]) to `out`."""
    count, linear, missing = model.counts[f], model.linear[f], model.missing[f]
    knots, values = model.knots[f], model.values[f]
    below, above = model.slope_below[f], model.slope_above[f]
    for i in range(len(x)):
        if count == 0:
            return
        if np.isnan(x[i]):
            out[i] += missing
            continue
        value = _lookup(x[i], knots, values, count, linear)
        if linear != 0:
            value += min(x[i] - knots[0], np.float32(0.0)) * below
            value += max(x[i] - knots[count - 1], np.float32(0.0)) * above
        out[i] += value


@njit(cache=True, nogil=True)
def additive_terms(model: AdditiveModel, features: F32) -> F32:
    """Terms (float32[n, F]) of n pairs' features (float32[n, F])."""
    n, width = features.shape
    out = np.zeros((n, width), np.float32)
    # Feature by feature: a compiled call that passes the model on counts references to its arrays.
    for f in range(width):
        column = np.zeros(n, np.float32)
        add_table_values(model, f, features[:, f], column)
        out[:, f] = column
    return out


@njit(cache=True)
def additive_scores(model: AdditiveModel, features: F32) -> F32:
    """Scores (float32[n], log-odds when the log had exposures) of n pairs' features."""
    terms = additive_terms(model, features)
    out = np.empty(len(terms), np.float32)
    for i in range(len(terms)):
        total = model.intercept
        for f in range(terms.shape[1]):
            total += terms[i, f]
        out[i] = total
    return out


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

"""Straight lines first: what the linear features say on their own, before trees look for bends.

Trees over an embedding score learn its bulk and know nothing of its few greatest values, which are
the ones that get shown. A line reaches them. On foursquare_nyc (four features, negatives drawn
evenly, mean of four samples) lines first gave Recall@20 .097, boosting alone .086; the paired
interval of the difference over members is +.004 to +.018. On bytecup2016 there was no difference.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from recsvc.model.arrays import F32, F64
from recsvc.model.terms import Feature


@dataclass(frozen=True)
class LineConfig:
    """`ridge`: prior weight, in examples at even odds times 4, of a rise a standard deviation.

    `default_rise`: the prior's mean for monotone features, and what holds where nothing can be
    learned: with no data, a feature's order is still the order. `log_odds_ridge`: the prior weight
    of features that are log-odds already, for a rise of one each unit.
    """

    ridge: float = 4.0
    default_rise: float = 0.1
    log_odds_ridge: float = 40.0
    most_rows: int = 300_000


@dataclass(frozen=True)
class Lines:
    """score = intercept + Σ over features of slope·(x - centre), or `missing` where x is NaN."""

    slope: F64  # [F] 0 for features that are not linear, or say nothing
    centre: F64  # [F]
    missing: F64  # [F]
    intercept: float

    def scores(self, features: F32) -> F64:
        """Scores (float64[n]) of n pairs (float32[n, F])."""
        total = np.full(len(features), self.intercept)
        for f in np.flatnonzero((self.slope != 0) | (self.missing != 0)):
            x = features[:, f].astype(np.float64)
            line = (x - self.centre[f]) * self.slope[f]
            total += np.where(np.isnan(x), self.missing[f], line)
        return total


def default_lines(
    features: F32,
    usable: NDArray[np.intp],
    schema: tuple[Feature, ...],
    base_logit: float,
    rise: float,
) -> Lines:
    """Each linear feature rises by `rise` a standard deviation in the direction it must have."""
    slope, centre = np.zeros(len(schema)), np.zeros(len(schema))
    for f in usable:
        if schema[f].linear:
            x = features[~np.isnan(features[:, f]), f].astype(np.float64)
            spread = float(x.std())
            slope[f] = schema[f].monotone * rise / spread if spread > 0 else 0.0
            if schema[f].is_log_odds:
                slope[f] = 1.0
            centre[f] = x.mean()
    return Lines(slope, centre, np.zeros(len(schema)), base_logit)


def fit_lines(
    features: F32,
    labels: F32,
    weights: F32,
    usable: NDArray[np.intp],
    schema: tuple[Feature, ...],
    config: LineConfig,
    worth: F32 | None = None,
) -> Lines:
    """Logistic regression on the usable linear features (standardised) and on their absence.

    Minimises Σ w·log(1 + exp(-±worth·score)) + ridge/2·Σ (rise - prior)², monotone ones bounded by
    zero. Both labels must occur.
    """
    every = max(1, -(-len(labels) // config.most_rows))
    base = float(np.average(labels, weights=weights))
    base_logit = float(np.log(base / (1.0 - base)))
    prior = default_lines(features, usable, schema, base_logit, config.default_rise)
    columns = np.array([f for f in usable if schema[f].linear], np.intp)
    if not len(columns):
        return prior
    X = features[::every, columns].astype(np.float64)
    spread = np.maximum(np.nanstd(features[:, columns].astype(np.float64), axis=0), 1e-12)
    absent = np.isnan(X)
    Z = np.where(absent, 0.0, (X - prior.centre[columns]) / spread)
    design = np.hstack([Z, absent.astype(np.float64)])
    directions = np.array([schema[f].monotone for f in columns])
    given = np.array([schema[f].is_log_odds for f in columns])
    rise = np.where(given, spread, directions * config.default_rise)
    mean = np.append(rise, np.zeros(len(columns)))
    # A rise is that of a standard deviation: the prior of a slope of one is as sure at any spread.
    own = np.where(given, config.log_odds_ridge / np.maximum(spread, 0.05) ** 2, config.ridge)
    ridge = np.append(own, np.full(len(columns), config.ridge))
    rows = np.ones(len(labels), np.float32) if worth is None else worth
    given_rows = labels[::every], weights[::every], rows[::every]
    found = _solve(design, *given_rows, directions, mean, ridge, base_logit)
    slope, missing = np.zeros(len(schema)), np.zeros(len(schema))
    slope[columns] = found[: len(columns)] / spread
    missing[columns] = found[len(columns) : -1]
    return Lines(slope, prior.centre, missing, float(found[-1]))


def _solve(
    design: F64,
    labels: F32,
    weights: F32,
    worth: F32,
    directions: NDArray[np.int_],
    mean: F64,
    ridge: F64,
    start: float,
) -> F64:
    """Coefficients of the columns (float64[c]), then the intercept."""
    y, w, s = (a.astype(np.float64) for a in (labels, weights, worth))
    total = w.sum()

    def loss(theta: F64) -> tuple[float, F64]:
        score = s * (design @ theta[:-1] + theta[-1])
        off = theta[:-1] - mean
        value = (w * (np.logaddexp(0.0, score) - y * score)).sum() + 0.5 * (ridge * off) @ off
        residual = w * s * (expit(score) - y)
        slope = np.append(residual @ design + ridge * off, residual.sum())
        return value / total, slope / total

    bounds = [_bound(int(d)) for d in directions]
    bounds += [(None, None)] * (len(mean) - len(bounds) + 1)
    theta = np.append(mean, start)
    found = minimize(loss, theta, jac=True, method="L-BFGS-B", bounds=bounds)
    return np.asarray(found.x, np.float64)


def _bound(direction: int) -> tuple[float | None, float | None]:
    return (0.0 if direction > 0 else None, 0.0 if direction < 0 else None)

"""From score to claim probability: a monotone curve, straight where the data says no more.

The curve is piecewise linear in log-odds over quantile knots. Its kinks have a prior, so a few
positives give Platt's straight line (Platt 1999) and many give what isotonic regression would
(Zadrozny & Elkan 2002), without its flat steps: the order of the scores is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from recsvc.model.additive import Calibration
from recsvc.model.arrays import F32, F64

MAX_POINTS = 64
_LEAST_STEP = 1e-6  # float32 still tells two probabilities apart by it
_BINS = 4_000


@dataclass(frozen=True)
class CalibrationConfig:
    """How the curve is fitted.

    `knots`: where the curve may bend. `kink_deviation`: prior standard deviation of a bend, in
    log-odds a standard deviation of the score. `slope_deviation`: that of the mean slope around 1
    (the scores are log-odds already, on the training pairs). `least_slope` keeps the order.
    """

    knots: int = 20
    kink_deviation: float = 0.5
    slope_deviation: float = 1.0
    least_slope: float = 0.02
    least_positives: int = 10


@dataclass(frozen=True)
class _Binned:
    """The examples, averaged over runs of neighbouring scores: a few thousand rows say it all."""

    score: F64
    taken: F64  # weight of positives
    total: F64  # weight of all


def no_calibration() -> Calibration:
    """The calibration of a log without exposures: no probability is given."""
    return Calibration(np.zeros(0, np.float32), np.zeros(0, np.float32))


def fit_calibration(
    scores: F32, labels: F32, *, weights: F32 | None = None, config: CalibrationConfig
) -> Calibration:
    """The curve through n scored pairs that the ranker was not trained on.

    scores float32[n], labels float32[n] (taken when > 0), weights float32[n]: how many pairs a row
    stands for, where negatives were subsampled. At most 64 points, strictly rising, inside (0, 1).
    Empty (no probability is honest) below `least_positives` positives or negatives, or when all
    scores are one. Raises ValueError for scores that are not finite.
    """
    if not np.isfinite(scores).all():
        raise ValueError("Scores to calibrate must be finite; the ranker gave NaN or infinity.")
    positives = int((labels > 0).sum())
    rarer = min(positives, len(labels) - positives)
    if rarer < config.least_positives or np.ptp(scores) == 0:
        return no_calibration()
    data = _binned(scores, labels, weights)
    knots = _knots(data, config.knots)
    return _sampled(knots, _fit_curve(data, knots, config))


def _binned(scores: F32, labels: F32, weights: F32 | None) -> _Binned:
    weight = np.ones(len(scores)) if weights is None else weights.astype(np.float64)
    # A row that stands for ten is not ten independent rows: Kish's effective size.
    weight = weight * (weight.sum() / (weight * weight).sum())
    order = np.argsort(scores, kind="stable")
    part = np.arange(len(scores)) * min(_BINS, len(scores)) // len(scores)
    score, w, y = scores[order].astype(np.float64), weight[order], labels[order] > 0
    total = np.bincount(part, w).astype(np.float64)
    held = total > 0
    mean = np.bincount(part, w * score)[held] / total[held]
    taken = np.bincount(part, w * y).astype(np.float64)
    return _Binned(mean, taken[held], total[held])


def _knots(data: _Binned, count: int) -> F64:
    """Quantiles of scores, with positives and negatives weighing the same: the rare side bends."""
    other = data.total - data.taken
    share = data.taken / data.taken.sum() + other / other.sum()
    at = np.interp(np.linspace(0.0, 1.0, count), np.cumsum(share) / share.sum(), data.score)
    at[0], at[-1] = data.score[0], data.score[-1]
    least = (at[-1] - at[0]) / (10.0 * count)
    kept = [at[0]]
    for x in at[1:-1]:
        if x - kept[-1] >= least and at[-1] - x >= least:
            kept.append(x)
    return np.array([*kept, at[-1]])


def _fit_curve(data: _Binned, knots: F64, config: CalibrationConfig) -> F64:
    """Log-odds (float64[K]) at K knots, by penalised maximum likelihood over rising increments."""
    width = np.diff(knots)
    spread = float(np.sqrt(np.cov(data.score, aweights=data.total)))
    at = np.clip(np.searchsorted(knots, data.score, side="right") - 1, 0, len(width) - 1)
    share = np.clip((data.score - knots[at]) / width[at], 0.0, 1.0)
    mean_slope = width / width.sum()

    def loss(theta: F64) -> tuple[float, F64]:
        slope = theta[1:]
        values = theta[0] + np.append(0.0, np.cumsum(slope * width))
        z = values[at] + share * (values[at + 1] - values[at])
        kink = np.diff(slope) * spread / config.kink_deviation
        off = (mean_slope @ slope - 1.0) / config.slope_deviation
        nll = (data.total * np.logaddexp(0.0, z) - data.taken * z).sum()
        residual = data.total * expit(z) - data.taken
        by_value = np.bincount(at, residual * (1.0 - share), len(knots))
        by_value += np.bincount(at + 1, residual * share, len(knots))
        gradient = np.empty_like(theta)
        gradient[0] = by_value.sum()
        gradient[1:] = width * np.cumsum(by_value[::-1])[::-1][1:]
        gradient[1:] += mean_slope * off / config.slope_deviation
        bend = kink * spread / config.kink_deviation
        gradient[1:-1] -= bend
        gradient[2:] += bend
        return nll + 0.5 * (kink @ kink + off * off), gradient

    base = data.taken.sum() / data.total.sum()
    centre = np.average(data.score, weights=data.total)
    start = np.append(np.log(base / (1.0 - base)) + knots[0] - centre, np.ones(len(width)))
    bounds = [(None, None)] + [(config.least_slope, None)] * len(width)
    found = minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 500}
    )
    values: F64 = found.x[0] + np.append(0.0, np.cumsum(found.x[1:] * width))
    return values


def _sampled(knots: F64, values: F64) -> Calibration:
    """The curve as points of probability: denser than the knots, because probabilities bend."""
    slopes = np.diff(values) / np.diff(knots)
    reach = knots[-1] - knots[0]
    # Scores beyond those seen go on along the curve, one range further on each side.
    x = np.concatenate([[knots[0] - reach], knots, [knots[-1] + reach]])
    z = np.concatenate([[values[0] - reach * slopes[0]], values, [values[-1] + reach * slopes[-1]]])
    tails = 4
    inside = np.linspace(knots[0], knots[-1], MAX_POINTS - 2 * tails - len(knots))
    low = np.linspace(x[0], knots[0], tails + 1)[:-1]
    high = np.linspace(knots[-1], x[-1], tails + 1)[1:]
    points = np.unique(np.concatenate([low, knots, inside, high]).astype(np.float32))
    p = expit(np.interp(points.astype(np.float64), x, z))
    room = np.arange(len(p)) * _LEAST_STEP
    p = np.clip(p, _LEAST_STEP + room, 1.0 - _LEAST_STEP - room[::-1])
    p = np.maximum.accumulate(p - room) + room
    return Calibration(points, p.astype(np.float32))

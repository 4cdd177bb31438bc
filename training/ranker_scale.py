"""One number a table: how much of it holds once the steps were joined up.

A ridge logistic regression on the term columns, held at or above zero so that no table turns round
(coordinates at the bound drop out), and drawn to 1, what boosting found.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from recsvc.arrays import F32

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class ScaleConfig:
    """`ridge`: how many examples' worth of curvature holds a scale to 1."""

    ridge: float = 20.0
    most_rows: int = 300_000


def fit_scales(
    terms: F32, labels: F32, weights: F32, intercept: float, config: ScaleConfig
) -> tuple[F64, float]:
    """Scales (float64[T] ≥ 0) of T term columns (float32[n, T]) and the intercept that goes along.

    Minimises Σ w·log(1 + exp(-±score)) + ridge/2·Σ var(term)·(scale - 1)² by L-BFGS-B.
    """
    # Every k-th row: rows stand in groups, and a prefix would be other members.
    every = max(1, -(-len(labels) // config.most_rows))
    X = terms[::every].astype(np.float64)
    y, w = labels[::every].astype(np.float64), weights[::every].astype(np.float64)
    variance = X.var(axis=0) + 1e-9
    total = w.sum()

    def loss(theta: F64) -> tuple[float, F64]:
        score = X @ theta[:-1] + theta[-1]
        off = theta[:-1] - 1.0
        value = (w * (np.logaddexp(0.0, score) - y * score)).sum()
        value += 0.5 * config.ridge * (variance * off * off).sum()
        residual = w * (expit(score) - y)
        slope = np.append(residual @ X + config.ridge * variance * off, residual.sum())
        return value / total, slope / total

    start = np.append(np.ones(X.shape[1]), intercept)
    bounds = [(0.0, None)] * X.shape[1] + [(None, None)]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    return found.x[:-1], float(found.x[-1])

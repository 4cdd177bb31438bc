"""From step functions to the tables the service reads: knots, values, slopes, centred.

A step feature keeps its steps exactly. A linear feature is joined up between the means of its
steps, always rising (or falling) a little, and goes on beyond its ends: steps would tie the best
candidates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsvc.additive import MAX_KNOTS, AdditiveModel, additive_terms
from recsvc.arrays import F32
from recsvc.terms import Feature
from training.ranker_boost import StepTable

F64 = NDArray[np.float64]
# A flat stretch of a monotone feature still rises by this share of its mean slope, so no two tie.
LEAST_SLOPE_SHARE = 0.02


@dataclass(frozen=True)
class Table:
    """One feature's table before it is packed: see AdditiveModel."""

    knots: F32
    values: F64
    missing: float
    linear: bool
    slope_below: float = 0.0
    slope_above: float = 0.0

    def scaled(self, scale: float) -> Table:
        """The table times a number."""
        return Table(
            self.knots,
            self.values * scale,
            self.missing * scale,
            self.linear,
            self.slope_below * scale,
            self.slope_above * scale,
        )


def shape_table(steps: StepTable, x: F32, feature: Feature) -> Table:
    """The table of a feature with values x (float32[n], NaN where unknown) in training."""
    known = x[~np.isnan(x)]
    if feature.linear and len(known):
        return _linear_table(steps, known, feature.monotone)
    return _step_table(steps, known)


def line_table(x: F32, direction: int, rise: float) -> Table:
    """A straight line: `rise` a standard deviation; for a feature nothing was learned about."""
    known = x[~np.isnan(x)].astype(np.float64)
    low, high = np.float32(known.min()), np.float32(known.max())
    slope = direction * rise / known.std()
    values = np.array([0.0, slope * (float(high) - float(low))])
    return Table(np.array([low, high]), values, float("nan"), True, slope, slope)


def _step_table(steps: StepTable, known: F32) -> Table:
    # The service reads "last knot not above x", the trees "x <= threshold goes left".
    knots = steps.thresholds.astype(np.float32)
    low = knots.astype(np.float64) <= steps.thresholds
    knots[low] = np.nextafter(knots[low], np.float32(np.inf))
    lowest = np.float32(min(float(known.min()), float(knots[0]) - 1.0)) if len(knots) else 0.0
    return Table(np.append(np.float32(lowest), knots), steps.values, steps.missing, False)


def _linear_table(steps: StepTable, known: F32, direction: int) -> Table:
    """Knots at the mean x of each step, and the steps' values there."""
    at = np.searchsorted(steps.thresholds, known.astype(np.float64), side="left")
    count = np.bincount(at, minlength=len(steps.values))
    total = np.bincount(at, known.astype(np.float64), minlength=len(steps.values))
    held = count > 0
    knots = (total[held] / count[held]).astype(np.float32)
    values = steps.values[held]
    rising = np.append(True, np.diff(knots) > 0)
    knots, values = knots[rising], values[rising]
    if len(knots) < 2:
        spread = float(known.max()) - float(known.min())
        knots = np.array([knots[0], knots[0] + np.float32(max(spread, 1e-6))])
        values = np.repeat(values[:1], 2)
    return _rising(Table(knots, values, steps.missing, True), direction)


def _rising(table: Table, direction: int) -> Table:
    """A monotone table made strictly so, with slopes that go on beyond its ends."""
    if direction == 0:
        return table
    x = table.knots.astype(np.float64)
    mean_slope = abs(table.values[-1] - table.values[0]) / (x[-1] - x[0])
    least = max(LEAST_SLOPE_SHARE * mean_slope, 1e-4 / (x[-1] - x[0]))
    values = table.values + direction * least * (x - x[0])
    slopes = np.diff(values) / np.diff(x)
    return Table(table.knots, values, table.missing, True, float(slopes[0]), float(slopes[-1]))


def pack(tables: dict[int, Table], intercept: float, width: int) -> AdditiveModel:
    """The model of F = `width` features; features without a table are unused."""
    knots = np.full((width, MAX_KNOTS), np.inf, np.float32)
    values = np.zeros((width, MAX_KNOTS), np.float32)
    counts, linear = np.zeros(width, np.int32), np.zeros(width, np.uint8)
    missing, below, above = (np.zeros(width, np.float32) for _ in range(3))
    for f, table in tables.items():
        count = len(table.knots)
        knots[f, :count], values[f, :count] = table.knots, table.values
        counts[f], linear[f] = count, table.linear
        # No NaN in training: nothing is known against such a pair, it counts as an average one.
        missing[f] = 0.0 if np.isnan(table.missing) else table.missing
        below[f], above[f] = table.slope_below, table.slope_above
    return AdditiveModel(knots, values, counts, missing, linear, below, above, float(intercept))


def centred(
    tables: dict[int, Table], intercept: float, features: F32, weights: F32
) -> tuple[dict[int, Table], float]:
    """The same sum, with the (weighted) mean of each table over n training pairs moved out."""
    model = pack(tables, 0.0, features.shape[1])
    terms = additive_terms(model, features)
    out = {}
    for f, table in tables.items():
        seen = ~np.isnan(features[:, f]) if np.isnan(table.missing) else np.ones(len(terms), bool)
        mean = float(np.average(terms[seen, f].astype(np.float64), weights=weights[seen]))
        out[f] = Table(
            table.knots,
            table.values - mean,
            table.missing - mean,
            table.linear,
            table.slope_below,
            table.slope_above,
        )
        intercept += mean
    return out, intercept

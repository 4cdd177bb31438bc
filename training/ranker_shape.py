"""From step functions to the tables the service reads: knots, values, slopes, centred.

A step feature keeps its steps exactly. A linear feature is its line plus the steps, joined up
between their means, always rising (or falling) a little where it must, and goes on beyond its ends
along the line: steps would tie the best candidates.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from sklearn.isotonic import IsotonicRegression

from recsvc.model.additive import MAX_KNOTS, AdditiveModel, additive_terms
from recsvc.model.arrays import F32, F64
from recsvc.model.terms import Feature
from training.step_tables import StepTable

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


class Line(NamedTuple):
    """A feature's part of training.ranker_lines.Lines."""

    slope: float
    centre: float
    missing: float


NO_STEPS = StepTable(np.zeros(0), np.zeros(1), 0.0)


def shape_table(steps: StepTable, line: Line, x: F32, feature: Feature) -> Table:
    """The table of a feature with values x (float32[n], NaN where unknown) in training."""
    known = x[~np.isnan(x)]
    if not feature.linear:
        return _step_table(steps, known)
    table = _linear_table(steps, known, line, feature.monotone)
    return table if len(known) < len(x) else replace(table, missing=float("nan"))


def knots_of(thresholds: F64) -> F32:
    """The service reads "last knot not above x", the trees "x <= threshold goes left"."""
    knots = thresholds.astype(np.float32)
    low = knots.astype(np.float64) <= thresholds
    knots[low] = np.nextafter(knots[low], np.float32(np.inf))
    return knots


def _step_table(steps: StepTable, known: F32) -> Table:
    knots = knots_of(steps.thresholds)
    lowest = np.float32(min(float(known.min()), float(knots[0]) - 1.0)) if len(knots) else 0.0
    return Table(np.append(np.float32(lowest), knots), steps.values, steps.missing, False)


def _linear_table(steps: StepTable, known: F32, line: Line, direction: int) -> Table:
    """The line plus, joined up between the mean x of each, the steps the trees added to it."""
    at = np.searchsorted(steps.thresholds, known.astype(np.float64), side="left")
    count = np.bincount(at, minlength=len(steps.values))
    total = np.bincount(at, known.astype(np.float64), minlength=len(steps.values))
    held = count > 0
    knots = (total[held] / count[held]).astype(np.float32)
    distinct = np.append(True, np.diff(knots) > 0)
    knots, weights = knots[distinct], count[held][distinct]
    values = steps.values[held][distinct]
    if len(knots) < 2:
        knots = np.array([known.min(), known.max()], np.float32)
        values, weights = np.repeat(values[:1], 2), np.ones(2)
    x = knots.astype(np.float64)
    values = values + line.slope * (x - line.centre)
    missing = steps.missing + line.missing
    if direction != 0:
        # Where the trees bend the line back, the neighbours' mean holds (it keeps the odds right).
        rising = IsotonicRegression(increasing=direction > 0).fit(x, values, weights)
        values = _strict(x, rising.predict(x), direction)
    slopes = np.diff(values) / np.diff(x)
    below, above = (line.slope, line.slope) if line.slope != 0 else (slopes[0], slopes[-1])
    if direction == 0 and line.slope == 0:
        below = above = 0.0
    return Table(knots, values, missing, True, float(below), float(above))


def _strict(x: F64, values: F64, direction: int) -> F64:
    """The same, rising (or falling) a little everywhere."""
    reach = x[-1] - x[0]
    mean_slope = abs(values[-1] - values[0]) / reach
    least = max(LEAST_SLOPE_SHARE * mean_slope, 1e-4 / reach)
    return np.asarray(values + direction * least * (x - x.mean()))


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
        out[f] = replace(table, values=table.values - mean, missing=table.missing - mean)
        intercept += mean
    return out, intercept

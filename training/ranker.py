"""The ranker: learned by boosted trees held to one feature a tree, exported as plain tables.

Boost (ranker_boost) → shape and join up the linear features (ranker_shape) → scale each table anew,
because joining up changed it (ranker_scale) → centre. Examples in, recsvc.additive.AdditiveModel
out. Pairwise terms, when they come, are one more column each: a feature of two features.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from recsvc.additive import AdditiveModel, additive_terms
from recsvc.arrays import F32, I32
from recsvc.terms import FEATURES, Feature
from training.ranker_boost import BoostConfig, Examples, Objective, boost
from training.ranker_scale import ScaleConfig, fit_scales
from training.ranker_shape import Table, centred, line_table, pack, shape_table


@dataclass(frozen=True)
class RankerConfig:
    """How the ranker is learned.

    `default_rise`: where nothing could be learned, the score rises by so much for a standard
    deviation of every monotone feature, so that the order of a feature is still the order.
    """

    boost: BoostConfig = field(default_factory=BoostConfig)
    scale: ScaleConfig = field(default_factory=ScaleConfig)
    default_rise: float = 0.1


def fit_additive(
    features: F32,
    labels: F32,
    *,
    weights: F32 | None,
    groups: I32 | None,
    objective: Objective,
    config: RankerConfig,
    seed: int,
    threads: int,
    schema: tuple[Feature, ...] = FEATURES,
) -> AdditiveModel:
    """Learns the tables from n pairs.

    features float32[n, F] (NaN unknown, F = len(schema)), labels float32[n] (taken when > 0),
    weights float32[n] ≥ 0 or None. "pointwise": labels of exposed pairs, the score is their
    log-odds. "ranking": positives and sampled negatives of each group (int32[n], a member), only
    the order within a group is meant. Same input, seed and threads → the same model.
    Raises ValueError for shapes that do not fit and for ranking without groups.
    """
    examples = _examples(features, labels, weights, groups, objective, len(schema))
    usable = _varying(features)
    if not len(usable) or len(np.unique(examples.labels)) < 2:
        return _default_model(examples, usable, schema, config)
    monotone = np.array([f.monotone for f in schema], np.int8)
    steps, intercept = boost(
        examples, usable, monotone, objective, config.boost, seed=seed, threads=threads
    )
    if not steps:
        return _default_model(examples, usable, schema, config)
    tables = {
        f: shape_table(table, examples.features[:, f], schema[f]) for f, table in steps.items()
    }
    if any(schema[f].linear for f in tables):
        tables, intercept = _rescaled(tables, intercept, examples, config.scale)
    return _finished(tables, intercept, examples)


def _examples(
    features: F32,
    labels: F32,
    weights: F32 | None,
    groups: I32 | None,
    objective: Objective,
    width: int,
) -> Examples:
    n = len(labels)
    given = [a for a in (weights, groups) if a is not None]
    if features.shape != (n, width) or any(a.shape != (n,) for a in given):
        raise ValueError(
            f"The ranker needs features [n, {width}] and one label, weight and group a row; got "
            f"features {features.shape}, labels {labels.shape}, others {[a.shape for a in given]}."
        )
    if objective == "ranking" and groups is None:
        raise ValueError('The "ranking" objective needs the group (member) of each pair.')
    weight = np.ones(n, np.float32) if weights is None else weights
    taken = (labels > 0).astype(np.float32)
    if groups is None:
        return Examples(features, taken, weight, None)
    order = np.argsort(groups, kind="stable")
    return Examples(features[order], taken[order], weight[order], groups[order])


def _varying(features: F32) -> NDArray[np.intp]:
    """Columns with at least two different known values, or some known and some not."""
    known = ~np.isnan(features)
    some = known.any(axis=0)
    low = np.min(np.where(known, features, np.inf), axis=0, initial=np.inf)
    high = np.max(np.where(known, features, -np.inf), axis=0, initial=-np.inf)
    return np.flatnonzero(some & (high > low))


def _default_model(
    examples: Examples, usable: NDArray[np.intp], schema: tuple[Feature, ...], config: RankerConfig
) -> AdditiveModel:
    """Lines in the direction each monotone feature must have; the intercept is the base rate."""
    tables: dict[int, Table] = {
        int(f): line_table(examples.features[:, f], schema[f].monotone, config.default_rise)
        for f in usable
        if schema[f].monotone != 0 and schema[f].linear
    }
    total = float(examples.weights.sum())
    taken = float((examples.weights * examples.labels).sum())
    intercept = float(np.log((taken + 0.5) / (total - taken + 0.5)))
    return _finished(tables, intercept, examples, keep_mean=False)


def _rescaled(
    tables: dict[int, Table], intercept: float, examples: Examples, config: ScaleConfig
) -> tuple[dict[int, Table], float]:
    tables, intercept = centred(tables, intercept, examples.features, examples.weights)
    used = sorted(tables)
    model = pack(tables, 0.0, examples.features.shape[1])
    terms = additive_terms(model, examples.features)[:, used]
    scales, intercept = fit_scales(terms, examples.labels, examples.weights, intercept, config)
    return {
        f: tables[f].scaled(float(s)) for f, s in zip(used, scales, strict=True) if s > 0
    }, intercept


def _finished(
    tables: dict[int, Table], intercept: float, examples: Examples, keep_mean: bool = True
) -> AdditiveModel:
    if len(examples.labels):
        tables, mean = centred(tables, 0.0, examples.features, examples.weights)
        intercept += mean if keep_mean else 0.0
    return pack(tables, intercept, examples.features.shape[1])

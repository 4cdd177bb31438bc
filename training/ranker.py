"""The ranker: learned by boosted trees held to one feature a tree, exported as plain tables.

Lines for the linear features (ranker_lines) → trees for what the lines leave (ranker_boost) →
tables, joined up and centred (ranker_shape) → what pairs of features leave (ranker_joint). Examples
in, recsvc.model.additive.AdditiveModel out.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from recsvc.model.additive import AdditiveModel
from recsvc.model.arrays import F32, I32
from recsvc.model.terms import FEATURES, Feature
from training.ranker_boost import BoostConfig, Examples, Objective, boost
from training.ranker_joint import JointConfig, with_joint_terms
from training.ranker_lines import LineConfig, Lines, default_lines, fit_lines
from training.ranker_shape import NO_STEPS, Line, centred, pack, shape_table
from training.step_tables import StepTable


@dataclass(frozen=True)
class RankerConfig:
    """How the ranker is learned; see the parts."""

    boost: BoostConfig = field(default_factory=BoostConfig)
    lines: LineConfig = field(default_factory=LineConfig)
    joint: JointConfig = field(default_factory=JointConfig)


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
    worth: F32 | None = None,
) -> AdditiveModel:
    """Learns the tables from n pairs.

    features float32[n, F] (NaN unknown, F = len(schema)), labels float32[n] (taken when > 0),
    weights float32[n] ≥ 0 or None. "pointwise": labels of exposed pairs, the score is their
    log-odds. "ranking": positives and sampled negatives of each group (int32[n], a member), only
    the order within a group is meant. Negatives that were not drawn evenly need weights, 1 / the
    chance of being drawn: among the best by embedding alone a high embedding score speaks against
    a pair (foursquare_nyc: Recall@20 .075, weighted .086, drawn evenly .097).
    `worth` float32[n]: what a row's log-odds are of the score, where rows are responses of several
    kinds (a closer look tells less than a claim); None: all of it.
    Same input, seed and threads → the same model.
    Raises ValueError for shapes that do not fit and for ranking without groups.
    """
    examples = _examples(features, labels, weights, groups, objective, len(schema), worth)
    usable = _varying(features)
    if not len(usable) or len(np.unique(examples.labels)) < 2:
        return _assembled({}, _default_lines(examples, usable, schema, config), examples, schema)
    lines = fit_lines(
        examples.features,
        examples.labels,
        examples.weights,
        usable,
        schema,
        config.lines,
        examples.worth,
    )
    examples = replace(examples, start=lines.scores(examples.features))
    # A line may have to bend back: its steps are free, the sum is made monotone afterwards.
    held = np.array([0 if f.linear else f.monotone for f in schema], np.int8)
    steps, intercept = boost(
        examples, usable, held, objective, config.boost, seed=seed, threads=threads
    )
    lines = replace(lines, intercept=lines.intercept + intercept)
    if not steps and not lines.slope.any():
        lines = _default_lines(examples, usable, schema, config)
    model = _assembled(steps, lines, examples, schema)
    if objective == "ranking":
        return model
    return with_joint_terms(
        model, examples, usable, schema, config.joint, seed=seed, threads=threads
    )


def _examples(
    features: F32,
    labels: F32,
    weights: F32 | None,
    groups: I32 | None,
    objective: Objective,
    width: int,
    worth: F32 | None,
) -> Examples:
    n = len(labels)
    given = [a for a in (weights, groups, worth) if a is not None]
    if features.shape != (n, width) or any(a.shape != (n,) for a in given):
        raise ValueError(
            f"The ranker needs features [n, {width}] and one label, weight and group a row; got "
            f"features {features.shape}, labels {labels.shape}, others {[a.shape for a in given]}."
        )
    if objective == "ranking" and groups is None:
        raise ValueError('The "ranking" objective needs the group (member) of each pair.')
    weight = np.ones(n, np.float32) if weights is None else weights
    taken = (labels > 0).astype(np.float32)
    start = np.zeros(n)
    if groups is None:
        return Examples(features, taken, weight, None, start, worth)
    order = np.argsort(groups, kind="stable")
    worth = None if worth is None else worth[order]
    return Examples(features[order], taken[order], weight[order], groups[order], start, worth)


def _varying(features: F32) -> NDArray[np.intp]:
    """Columns with at least two different known values, or some known and some not."""
    known = ~np.isnan(features)
    some = known.any(axis=0)
    low = np.min(np.where(known, features, np.inf), axis=0, initial=np.inf)
    high = np.max(np.where(known, features, -np.inf), axis=0, initial=-np.inf)
    return np.flatnonzero(some & (high > low))


def _default_lines(
    examples: Examples, usable: NDArray[np.intp], schema: tuple[Feature, ...], config: RankerConfig
) -> Lines:
    total = float(examples.weights.sum())
    taken = float((examples.weights * examples.labels).sum())
    base_logit = float(np.log((taken + 0.5) / (total - taken + 0.5)))
    rise = config.lines.default_rise
    return default_lines(examples.features, usable, schema, base_logit, rise)


def _assembled(
    steps: dict[int, StepTable], lines: Lines, examples: Examples, schema: tuple[Feature, ...]
) -> AdditiveModel:
    """Tables of all features that a tree used or that have a line, centred."""
    tables = {}
    for f, feature in enumerate(schema):
        line = Line(float(lines.slope[f]), float(lines.centre[f]), float(lines.missing[f]))
        if f in steps or line.slope != 0 or line.missing != 0:
            found = steps.get(f, NO_STEPS)
            tables[f] = shape_table(found, line, examples.features[:, f], feature)
    intercept = lines.intercept
    if tables:
        tables, intercept = centred(tables, intercept, examples.features, examples.weights)
    return pack(tables, intercept, len(schema))

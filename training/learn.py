"""The ranker and its calibration, learned from labelled pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsvc.model.additive import (
    OF_FEATURES,
    AdditiveModel,
    Calibration,
    additive_scores,
    additive_terms,
)
from recsvc.model.arrays import F32, I32
from recsvc.model.terms import FEATURES
from training.calibrate import fit_calibration
from training.config import TrainingConfig
from training.defaults import default_ranker
from training.exposures import Pairs, shares_of, weights_of
from training.ranker import fit_additive
from training.ranker_boost import Objective
from training.responses import (
    SLOT_FEATURES,
    Rows,
    as_claims,
    response_rows,
    share_of_looks,
    with_slots,
)
from training.split import halves

FEWEST_POSITIVES = 20
FEWEST_PUSHED = 100
THREADS_FROM_PAIRS = 50_000
"""With fewer pairs, threads wait for each other longer than they work."""
UNCALIBRATED = Calibration(np.zeros(0, np.float32), np.zeros(0, np.float32))


@dataclass(frozen=True)
class Learned:
    """A ranker, its calibration, and from how many pairs it came (0: the default ranker)."""

    ranker: AdditiveModel
    calibration: Calibration
    pair_count: int


def learn_ranker(
    pairs: Pairs, features: F32, groups: I32 | None, config: TrainingConfig
) -> Learned:
    """Learns from n pairs and their features (float32[n, F]).

    `groups` int32[n]: which pairs compete with each other; None when they were pushed or shown, so
    that the score is a log-odds and can be calibrated.
    With too few positives the default ranker is taken.
    """
    positives = int(pairs.label.sum())
    if positives < FEWEST_POSITIVES or positives == len(pairs):
        return Learned(default_ranker(features), UNCALIBRATED, 0)
    if groups is not None:
        rows = Rows(features, pairs.label, weights_of(pairs), groups, None, FEATURES)
        return Learned(_fit(rows, "ranking", config), UNCALIBRATED, len(pairs))
    seen = with_slots(features, pairs)
    looks = share_of_looks(round(float(shares_of(pairs).sum())), config.examples.enough_rows)
    ranker = as_pushed(_fit(_responses(pairs, seen, looks, config), "pointwise", config))
    return Learned(ranker, _calibrate(pairs, seen, looks, config), len(pairs))


def as_pushed(model: AdditiveModel) -> AdditiveModel:
    """The model for pairs that are pushed: the slot's terms become part of the intercept."""
    width = len(FEATURES)
    if len(model.counts) == width:
        return model
    nothing = np.full((1, len(model.counts)), np.nan, np.float32)
    nothing[0, width : width + len(SLOT_FEATURES)] = 0.0
    intercept = model.intercept + float(additive_terms(model, nothing)[0, width:].sum())
    tables = {name: getattr(model, name)[:width] for name in OF_FEATURES}
    return model._replace(**tables, intercept=intercept)


def _responses(pairs: Pairs, seen: F32, looks: float, config: TrainingConfig) -> Rows:
    """Rows of pairs and their features with slots (float32[n, F + 2])."""
    return response_rows(seen, pairs, config.answers.opening_worth, looks, config.seed)


def _fit(rows: Rows, objective: Objective, config: TrainingConfig) -> AdditiveModel:
    order = np.argsort(rows.unit, kind="stable")
    return fit_additive(
        rows.features[order],
        rows.label[order],
        weights=rows.weight[order],
        groups=rows.unit[order] if objective == "ranking" else None,
        objective=objective,
        config=config.ranker,
        seed=config.seed,
        threads=config.threads if len(order) >= THREADS_FROM_PAIRS else 1,
        schema=rows.schema,
        worth=None if rows.worth is None else rows.worth[order],
    )


def _calibrate(pairs: Pairs, seen: F32, looks: float, config: TrainingConfig) -> Calibration:
    """Fitted on scores that a ranker of the other half of the leads gave, to pushes if there are.

    A probability is that of a push.
    """
    half = halves(pairs.lead, config.seed)
    scores = np.zeros(len(pairs), np.float32)
    for part in (half, ~half):
        if not 0 < pairs.label[~part].sum() < (~part).sum():
            return UNCALIBRATED
        taught = _responses(pairs.select(~part), seen[~part], looks, config)
        ranker = _fit(taught, "pointwise", config)
        scores[part] = additive_scores(ranker, as_claims(seen[part], taught))
    pushed = pushes(pairs)
    return fit_calibration(
        scores[pushed],
        pairs.label[pushed],
        weights=(weights_of(pairs) * shares_of(pairs))[pushed],
        config=config.calibration,
    )


def pushes(pairs: Pairs) -> NDArray[np.bool_]:
    """The pairs that were pushed (bool[n]); all when too few were to learn or to judge from."""
    every = np.ones(len(pairs), bool)
    if pairs.slot is None:
        return every
    pushed = pairs.slot == 0
    taken = int(pairs.label[pushed].sum())
    enough = FEWEST_PUSHED <= taken <= int(pushed.sum()) - FEWEST_PUSHED
    return pushed if enough else every


def teach_mask(pairs: Pairs, seed: int, cut_time_us: int = 0) -> NDArray[np.bool_]:
    """True for the pairs that teach, False for those that judge.

    Those before the cut teach, where some are; otherwise halves of the members.
    """
    before = pairs.time_us < cut_time_us
    taken = int(pairs.label[before].sum())
    if taken >= FEWEST_POSITIVES and int(pairs.label[~before].sum()) >= FEWEST_POSITIVES:
        return before
    return halves(pairs.member, seed)

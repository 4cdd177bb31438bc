"""The ranker and its calibration, learned from labelled pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsvc.model.additive import AdditiveModel, Calibration, additive_scores, additive_terms
from recsvc.model.arrays import F32, I32
from recsvc.model.terms import FEATURES, Feature
from training.calibrate import fit_calibration
from training.config import TrainingConfig
from training.defaults import default_ranker
from training.exposures import Pairs, weights_of
from training.ranker import fit_additive
from training.split import halves

FEWEST_POSITIVES = 20
FEWEST_PUSHED = 100
THREADS_FROM_PAIRS = 50_000
"""With fewer pairs, threads wait for each other longer than they work."""
SLOT_FEATURES = (Feature("listed", "", True, 0), Feature("depth", "", True, -1))
"""Beside the pair features when a ranker is learned: on a list or pushed, and how far down."""
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
    seen = features if groups is not None else _with_slots(features, pairs)
    ranker = as_pushed(_fit(pairs, seen, groups, config))
    calibration = _calibrate(pairs, seen, config) if groups is None else UNCALIBRATED
    return Learned(ranker, calibration, len(pairs))


def _with_slots(features: F32, pairs: Pairs) -> F32:
    """The features (float32[n, F + 2]) and where each pair was shown: see `SLOT_FEATURES`.

    What stands low on a list is seen less, and what a policy thought little of stands low: learned
    apart from it, place and expertise would be taken for it.
    """
    slot = np.zeros(len(pairs), np.int32) if pairs.slot is None else pairs.slot
    listed = (slot > 0).astype(np.float32)
    depth = np.log(np.maximum(slot, 1)).astype(np.float32)
    return np.column_stack([features, listed, depth])


def as_pushed(model: AdditiveModel) -> AdditiveModel:
    """The model for pairs that are pushed: the slot's terms become part of the intercept."""
    width = len(FEATURES)
    if len(model.counts) == width:
        return model
    nothing = np.full((1, len(model.counts)), np.nan, np.float32)
    nothing[0, width:] = 0.0
    intercept = model.intercept + float(additive_terms(model, nothing)[0, width:].sum())
    arrays = {name: array[:width] for name, array in model._asdict().items() if name != "intercept"}
    return AdditiveModel(**arrays, intercept=intercept)


def _fit(pairs: Pairs, features: F32, groups: I32 | None, config: TrainingConfig) -> AdditiveModel:
    order = np.argsort(pairs.member if groups is None else groups, kind="stable")
    return fit_additive(
        features[order],
        pairs.label[order],
        weights=weights_of(pairs)[order],
        groups=None if groups is None else groups[order],
        objective="pointwise" if groups is None else "ranking",
        config=config.ranker,
        seed=config.seed,
        threads=config.threads if len(pairs) >= THREADS_FROM_PAIRS else 1,
        schema=FEATURES if features.shape[1] == len(FEATURES) else (*FEATURES, *SLOT_FEATURES),
    )


def _calibrate(pairs: Pairs, features: F32, config: TrainingConfig) -> Calibration:
    """Fitted on scores that a ranker of the other half of the leads gave, to pushes if there are.

    A probability is that of a push.
    """
    half = halves(pairs.lead, config.seed)
    scores = np.zeros(len(pairs), np.float32)
    for part in (half, ~half):
        if not 0 < pairs.label[~part].sum() < (~part).sum():
            return UNCALIBRATED
        ranker = _fit(pairs.select(~part), features[~part], None, config)
        scores[part] = additive_scores(ranker, features[part])
    pushed = pushes(pairs)
    return fit_calibration(
        scores[pushed],
        pairs.label[pushed],
        weights=weights_of(pairs)[pushed],
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

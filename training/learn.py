"""The ranker and its calibration, learned from labelled pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsvc.model.additive import AdditiveModel, Calibration, additive_scores
from recsvc.model.arrays import F32, I32
from training.calibrate import fit_calibration
from training.config import TrainingConfig
from training.defaults import default_ranker
from training.exposures import Pairs
from training.ranker import fit_additive
from training.split import halves

FEWEST_POSITIVES = 20
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
    ranker = _fit(pairs, features, groups, config)
    calibration = _calibrate(pairs, features, config) if groups is None else UNCALIBRATED
    return Learned(ranker, calibration, len(pairs))


def _fit(pairs: Pairs, features: F32, groups: I32 | None, config: TrainingConfig) -> AdditiveModel:
    order = np.argsort(pairs.member if groups is None else groups, kind="stable")
    return fit_additive(
        features[order],
        pairs.label[order],
        weights=None,
        groups=None if groups is None else groups[order],
        objective="pointwise" if groups is None else "ranking",
        config=config.ranker,
        seed=config.seed,
        threads=config.threads if len(pairs) >= THREADS_FROM_PAIRS else 1,
    )


def _calibrate(pairs: Pairs, features: F32, config: TrainingConfig) -> Calibration:
    """Fitted on scores that a ranker of the other half of the leads gave."""
    half = halves(pairs.lead, config.seed)
    scores = np.zeros(len(pairs), np.float32)
    for part in (half, ~half):
        if not 0 < pairs.label[~part].sum() < (~part).sum():
            return UNCALIBRATED
        ranker = _fit(pairs.select(~part), features[~part], None, config)
        scores[part] = additive_scores(ranker, features[part])
    return fit_calibration(scores, pairs.label, config=config.calibration)


def teach_mask(pairs: Pairs, seed: int) -> NDArray[np.bool_]:
    """True for the pairs that teach, False for those that judge: halves of the members."""
    return halves(pairs.member, seed)

"""Calibration: honest on other data, keeps the order, sane with few positives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit

from recsvc.model.additive import Calibration
from recsvc.model.arrays import F32
from training.calibrate import MAX_POINTS, CalibrationConfig, fit_calibration, no_calibration
from training.metrics import brier_skill, ece

CONFIG = CalibrationConfig()


def hooked(scores: F32) -> NDArray[np.float64]:
    """A truth that no straight line in log-odds follows."""
    return np.asarray(0.02 + 0.6 * expit(4.0 * (scores - 1.2)))


def drawn(n: int, seed: int) -> tuple[F32, F32]:
    rng = np.random.default_rng(seed)
    scores = (1.5 * rng.normal(size=n)).astype(np.float32)
    return scores, (rng.random(n) < hooked(scores)).astype(np.float32)


def probability(calibration: Calibration, scores: F32) -> F32:
    found = calibration.probability(scores)
    assert found is not None
    return found


def test_few_thousand_positives_give_nearly_the_true_curve() -> None:
    scores, labels = drawn(15_000, 0)
    calibration = fit_calibration(scores, labels, config=CONFIG)
    others, taken = drawn(100_000, 1)
    p = probability(calibration, others)
    assert ece(p, taken) < 0.008
    assert brier_skill(p, taken) > brier_skill(hooked(others), taken) - 0.005


def test_fifty_positives_stay_sane() -> None:
    rng = np.random.default_rng(2)
    others, _ = drawn(50_000, 9)
    for seed in range(5):
        scores, labels = drawn(20_000, seed)
        some = [
            rng.permutation(np.flatnonzero(labels == value))[:count]
            for value, count in ((1, 50), (0, 300))
        ]
        kept = np.concatenate(some)
        p = probability(fit_calibration(scores[kept], labels[kept], config=CONFIG), others)
        # The sample is richer in positives than the world is: Bayes' shift of the log-odds.
        shift = np.log(50 / 300) - np.log(labels.mean() / (1 - labels.mean()))
        truth = hooked(others)
        expected = expit(np.log(truth / (1 - truth)) + shift)
        assert np.abs(p - expected).mean() < 0.06


def test_weights_undo_the_subsampling_of_negatives() -> None:
    scores, labels = drawn(200_000, 3)
    kept = (labels > 0) | (np.random.default_rng(0).random(len(labels)) < 0.1)
    weights = np.where(labels[kept] > 0, 1.0, 10.0).astype(np.float32)
    calibration = fit_calibration(scores[kept], labels[kept], weights=weights, config=CONFIG)
    others, taken = drawn(100_000, 4)
    assert ece(probability(calibration, others), taken) < 0.01
    blind = fit_calibration(scores[kept], labels[kept], config=CONFIG)
    assert ece(probability(blind, others), taken) > 0.1


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(40, 800),
    st.sampled_from([0.01, 1.0, 50.0]),
    st.booleans(),
)
def test_points_rise_strictly_inside_zero_and_one(
    seed: int, n: int, spread: float, perfect: bool
) -> None:
    rng = np.random.default_rng(seed)
    scores = (spread * rng.standard_t(2, n)).astype(np.float32)
    labels = (scores > np.median(scores) if perfect else rng.random(n) < 0.4).astype(np.float32)
    found = fit_calibration(scores, labels, config=CONFIG)
    if (labels > 0).sum() < 10 or (labels == 0).sum() < 10:
        assert len(found.scores) == 0
        return
    assert 2 <= len(found.scores) <= MAX_POINTS
    assert found.scores.dtype == found.probabilities.dtype == np.float32
    assert (np.diff(found.scores) > 0).all()
    assert (np.diff(found.probabilities) > 0).all()
    assert found.probabilities[0] > 0.0
    assert found.probabilities[-1] < 1.0
    assert found.scores[0] <= scores.min()
    assert scores.max() <= found.scores[-1]


def test_a_score_that_misleads_is_flattened_not_turned_round() -> None:
    scores, labels = drawn(5_000, 5)
    p = probability(fit_calibration(-scores, labels, config=CONFIG), -scores)
    assert p.max() - p.min() < 0.1
    assert abs(p.mean() - labels.mean()) < 0.02


def test_no_probability_where_none_is_honest() -> None:
    few = fit_calibration(
        np.arange(100, dtype=np.float32), (np.arange(100) > 95).astype(np.float32), config=CONFIG
    )
    half = (np.arange(100) % 2).astype(np.float32)
    one = fit_calibration(np.ones(100, np.float32), half, config=CONFIG)
    assert few.probability(np.zeros(1, np.float32)) is None
    assert one.probability(np.zeros(1, np.float32)) is None
    assert no_calibration().probability(np.zeros(1, np.float32)) is None


def test_scores_must_be_finite() -> None:
    with pytest.raises(ValueError, match="finite"):
        fit_calibration(np.array([0.0, np.nan], np.float32), np.ones(2, np.float32), config=CONFIG)


def test_same_input_same_curve() -> None:
    scores, labels = drawn(3_000, 6)
    first, again = (fit_calibration(scores, labels, config=CONFIG) for _ in range(2))
    assert first.probabilities.tobytes() == again.probabilities.tobytes()

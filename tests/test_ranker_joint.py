"""Joint terms: what two features say together is learned, centred, and read as the trees say it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from recsvc.model.additive import (
    AdditiveModel,
    additive_scores,
    additive_terms,
    single_feature_model,
)
from recsvc.model.arrays import F32
from recsvc.model.joint_terms import JOINT_KNOTS
from recsvc.model.terms import FEATURES, Feature
from training.learn import as_pushed
from training.metrics import auc
from training.ranker import RankerConfig, fit_additive
from training.ranker_joint import JointConfig

SCHEMA = tuple(Feature(name, "WILLINGNESS", True, 0) for name in ("one", "other", "third"))
JOINT = JointConfig(pairs=(("one", "other"), ("third", "other"), ("one", "nowhere")))
ALONE = JointConfig(pairs=())


def world(n: int, seed: int) -> tuple[F32, F32, NDArray[np.float64]]:
    """Features, labels and log-odds in which `one` counts for more where `other` is high."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3)).astype(np.float32)
    x[rng.random(n) < 0.2, 0] = np.nan
    truth = -1.0 + 0.5 * x[:, 1] + np.where(x[:, 1] > 0, 1.5, -0.5) * np.nan_to_num(x[:, 0])
    return x, (rng.random(n) < expit(truth)).astype(np.float32), truth


def fit(x: F32, y: F32, joint: JointConfig, worth: F32 | None = None) -> AdditiveModel:
    return fit_additive(
        x,
        y,
        weights=None,
        groups=None,
        objective="pointwise",
        config=RankerConfig(joint=joint),
        seed=3,
        threads=1,
        schema=SCHEMA,
        worth=worth,
    )


def test_what_two_features_say_together_is_learned() -> None:
    x, y, _ = world(40_000, 0)
    others, labels, truth = world(20_000, 1)
    alone, joint = (fit(x, y, config) for config in (ALONE, JOINT))
    assert not len(alone.joint_features)
    best, found, before = (
        auc(scores, labels)
        for scores in (truth, additive_scores(joint, others), additive_scores(alone, others))
    )
    assert before < best - 0.03
    assert found > best - 0.01
    chances = expit(additive_scores(joint, others))
    assert chances.mean() == pytest.approx(labels.mean(), abs=0.01)


def test_joint_terms_are_centred_and_count_with_their_first_feature() -> None:
    x, y, _ = world(40_000, 2)
    model = fit(x, y, JOINT)
    assert model.joint_features.tolist()[0] == [0, 1]
    bare = model._replace(joint_features=model.joint_features[:0])
    joint = additive_terms(model, x) - additive_terms(bare, x)
    np.testing.assert_allclose(joint.mean(axis=0, dtype=np.float64), 0.0, atol=1e-4)
    assert joint[:, 0].std() > 0.2
    assert not joint[:, 1].any()
    scores = additive_terms(model, x).sum(axis=1) + model.intercept
    np.testing.assert_allclose(scores, additive_scores(model, x), atol=1e-5)


def test_what_training_always_knew_is_worth_nothing_when_it_is_not_known() -> None:
    x, y, _ = world(40_000, 4)
    model = fit(x, y, JOINT)
    unknown, known = model.joint_values[0, JOINT_KNOTS + 1], model.joint_values[0, 0]
    assert not model.joint_values[0, :, JOINT_KNOTS + 1].any()
    assert unknown[: JOINT_KNOTS + 1].any()
    assert known[: JOINT_KNOTS + 1].any()


def test_few_claims_teach_no_joint_terms() -> None:
    x, y, _ = world(4_000, 5)
    assert not len(fit(x, y, JOINT).joint_features)


def test_a_worth_of_one_is_no_worth() -> None:
    x, y, _ = world(30_000, 6)
    plain, worth = fit(x, y, JOINT), fit(x, y, JOINT, np.ones(len(x), np.float32))
    np.testing.assert_allclose(additive_scores(worth, x), additive_scores(plain, x), atol=0.05)


def test_slots_become_part_of_the_intercept_and_joint_terms_stay() -> None:
    width = len(FEATURES)
    knots = np.full((1, 2, JOINT_KNOTS), np.inf, np.float32)
    values = np.ones((1, JOINT_KNOTS + 2, JOINT_KNOTS + 2), np.float32)
    model = single_feature_model(width, width + 2)._replace(
        joint_features=np.array([[0, 1]], np.int32), joint_knots=knots, joint_values=values
    )
    pushed = as_pushed(model)
    pair = np.zeros((1, width + 2), np.float32)
    assert pushed.counts.shape == (width,)
    assert additive_scores(pushed, pair[:, :width]) == additive_scores(model, pair) == 1.0

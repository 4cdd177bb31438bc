"""The ranker: exact where steps stay steps, strict where they are joined, sane with little data."""

from __future__ import annotations

from dataclasses import replace

import lightgbm
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from recsvc.model.additive import AdditiveModel, additive_scores, additive_terms
from recsvc.model.arrays import F32
from recsvc.model.terms import FEATURE_COUNT, Feature
from training.metrics import auc, auc_within_groups
from training.ranker import RankerConfig, fit_additive
from training.ranker_boost import BoostConfig, Objective
from training.ranker_shape import Line, pack, shape_table
from training.step_tables import read_tables

Groups = NDArray[np.int32]
SCHEMA = (
    Feature("rising", "INTEREST", True, 1),
    Feature("falling", "PLACE", True, -1),
    Feature("level", "PLACE", False, 0),
    Feature("noise", "EXPERTISE", True, 1),
    Feature("constant", "EXPERTISE", True, 1),
    Feature("unknown", "EXPERTISE", True, 1),
)


def world(n: int, seed: int) -> tuple[F32, F32, NDArray[np.float64]]:
    """Features, labels and true log-odds of n pairs."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, len(SCHEMA))).astype(np.float32)
    x[:, 2] = rng.integers(0, 5, n)
    x[:, 4], x[:, 5] = 3.0, np.nan
    x[rng.random(n) < 0.2, 1] = np.nan
    truth = -1.0 + 1.2 * x[:, 0] + np.array([0.0, 1.0, -0.5, 0.8, 0.0])[x[:, 2].astype(int)]
    truth += np.where(np.isnan(x[:, 1]), 0.7, -np.tanh(2.0 * np.nan_to_num(x[:, 1])))
    return x, (rng.random(n) < expit(truth)).astype(np.float32), truth


def fit(
    features: F32,
    labels: F32,
    *,
    schema: tuple[Feature, ...] = SCHEMA,
    weights: F32 | None = None,
    groups: Groups | None = None,
    objective: Objective = "pointwise",
    config: RankerConfig | None = None,
    seed: int = 0,
    worth: F32 | None = None,
) -> AdditiveModel:
    return fit_additive(
        features,
        labels,
        weights=weights,
        groups=groups,
        objective=objective,
        config=config or RankerConfig(),
        seed=seed,
        threads=1,
        schema=schema,
        worth=worth,
    )


def test_learns_the_log_odds_of_unseen_pairs() -> None:
    x, y, _ = world(20_000, 0)
    model = fit(x, y)
    others, labels, truth = world(20_000, 1)
    scores = additive_scores(model, others)
    assert np.corrcoef(scores, truth)[0, 1] > 0.99
    assert auc(scores, labels) > auc(truth, labels) - 0.004
    assert abs(expit(scores).mean() - labels.mean()) < 0.01


def test_terms_are_centred_and_sum_to_the_score() -> None:
    x, y, _ = world(5_000, 2)
    model = fit(x, y)
    terms = additive_terms(model, x)
    np.testing.assert_allclose(terms.mean(axis=0, dtype=np.float64), 0.0, atol=1e-5)
    np.testing.assert_allclose(
        terms.sum(axis=1) + model.intercept, additive_scores(model, x), atol=1e-5
    )
    assert model.counts[4] == model.counts[5] == 0
    assert (terms[:, 4:] == 0).all()
    # Not knowing the place is worth what it was worth in training, 0.7 above the others' mean.
    missing = np.isnan(x[:, 1])
    assert terms[missing, 1].mean() - terms[~missing, 1].mean() == pytest.approx(0.7, abs=0.25)


def test_step_tables_are_the_booster_exactly() -> None:
    x, y, _ = world(4_000, 3)
    columns = np.array([0, 1, 2, 3])
    booster = lightgbm.train(
        {
            "objective": "binary",
            "num_leaves": 6,
            "max_bin": 63,
            "verbosity": -1,
            "interaction_constraints": [[0], [1], [2], [3]],
            "num_threads": 1,
        },
        lightgbm.Dataset(x[:, columns], y),
        80,
    )
    steps, intercept = read_tables(booster, columns)
    schema = [feature._replace(linear=False) for feature in SCHEMA]
    tables = {f: shape_table(t, Line(0.0, 0.0, 0.0), x[:, f], schema[f]) for f, t in steps.items()}
    model = pack(tables, intercept, len(SCHEMA))
    others = np.concatenate([world(4_000, 4)[0], x])
    others[0, :4] = (1e30, -1e30, 99.0, -99.0)
    # At a threshold itself "<=" and "<" part ways.
    thresholds = steps[0].thresholds.astype(np.float32)
    others[1 : 1 + len(thresholds), 0] = thresholds
    expected = booster.predict(others[:, columns].astype(np.float64), raw_score=True)
    np.testing.assert_allclose(additive_scores(model, others), expected, atol=2e-6)


def test_a_tree_on_two_features_is_refused() -> None:
    x, y, _ = world(2_000, 5)
    booster = lightgbm.train(
        {"objective": "binary", "verbosity": -1, "num_threads": 1}, lightgbm.Dataset(x[:, :2], y), 5
    )
    with pytest.raises(ValueError, match="two features"):
        read_tables(booster, np.array([0, 1]))


def test_linear_monotone_features_never_tie_not_even_beyond_the_training_range() -> None:
    x, y, _ = world(3_000, 6)
    model = fit(x, y)
    grid = np.linspace(-9.0, 9.0, 4_000, dtype=np.float32)
    for column, direction in ((0, 1), (1, -1)):
        pairs = np.full((len(grid), len(SCHEMA)), np.nan, np.float32)
        pairs[:, column] = grid
        assert (direction * np.diff(additive_terms(model, pairs)[:, column]) > 0).all()


@pytest.mark.parametrize("positives", [3, 30, 400])
def test_one_feature_keeps_its_order(positives: int) -> None:
    rng = np.random.default_rng(positives)
    x = np.full((positives * 6, FEATURE_COUNT), np.nan, np.float32)
    y = (np.arange(len(x)) % 6 == 0).astype(np.float32)
    x[:, 0] = rng.normal(size=len(x)) + y
    model = fit_additive(
        x, y, weights=None, groups=None, objective="pointwise", config=RankerConfig(), seed=0,
        threads=1,
    )  # fmt: skip
    order = np.argsort(x[:, 0])
    assert (np.diff(additive_scores(model, x[order])) > 0).all()


def test_little_data_says_little() -> None:
    x, _, _ = world(60, 7)
    y = np.random.default_rng(1).permutation(np.arange(60) % 3 == 0).astype(np.float32)
    scores = additive_scores(fit(x, y), world(2_000, 8)[0])
    assert abs(expit(scores).mean() - 1 / 3) < 0.1
    assert scores.std() < 0.8


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_labels_all_alike_leave_the_direction_of_each_feature(label: float) -> None:
    x, _, _ = world(100, 9)
    model = fit(x, np.full(100, label, np.float32))
    terms = additive_terms(model, x)
    assert np.corrcoef(terms[:, 0], x[:, 0])[0, 1] > 0.999
    assert (model.counts > 0).tolist() == [True, True, False, True, False, False]
    assert (expit(model.intercept) > 0.5) == (label > 0)


def test_nothing_known_at_all() -> None:
    x = np.full((50, len(SCHEMA)), np.nan, np.float32)
    y = (np.arange(50) < 10).astype(np.float32)
    model = fit(x, y)
    assert (model.counts == 0).all()
    assert expit(additive_scores(model, x)).mean() == pytest.approx(0.2, abs=0.02)
    empty = fit(x[:0], y[:0])
    assert (empty.counts == 0).all()


def grouped(n_groups: int, seed: int) -> tuple[F32, F32, Groups, NDArray[np.float64]]:
    """One positive and nine negatives a member; the positive is drawn by softmax of the truth."""
    x, _, truth = world(n_groups * 10, seed)
    rng = np.random.default_rng(seed)
    noisy = truth.reshape(-1, 10) + rng.gumbel(size=(n_groups, 10))
    y = (noisy == noisy.max(axis=1, keepdims=True)).ravel().astype(np.float32)
    groups = np.repeat(np.arange(n_groups), 10).astype(np.int32)
    shuffled = rng.permutation(len(y))
    return x[shuffled], y[shuffled], groups[shuffled], truth[shuffled]


def test_ranking_orders_within_groups() -> None:
    x, y, groups, _ = grouped(1_500, 10)
    model = fit(x, y, groups=groups, objective="ranking")
    others, labels, members, truth = grouped(1_500, 11)
    found = auc_within_groups(additive_scores(model, others), labels, members).mean
    assert found > auc_within_groups(truth, labels, members).mean - 0.01
    shuffled = np.random.default_rng(3).permutation(len(y))
    again = fit(x[shuffled], y[shuffled], groups=groups[shuffled], objective="ranking")
    same = auc_within_groups(additive_scores(again, others), labels, members).mean
    assert same == pytest.approx(found, abs=0.01)


def test_lambdarank_can_be_asked_for() -> None:
    x, y, groups, _ = grouped(400, 10)
    config = RankerConfig(boost=BoostConfig(ranking_loss="lambdarank"))
    model = fit(x, y, groups=groups, objective="ranking", config=config)
    others, labels, members, _ = grouped(1_500, 11)
    assert auc_within_groups(additive_scores(model, others), labels, members).mean > 0.75


def test_weights_count_like_rows() -> None:
    x, y, _ = world(6_000, 12)
    weights = np.where(y > 0, 1.0, 4.0).astype(np.float32)
    light = additive_scores(fit(x, y, weights=weights), x)
    plain = additive_scores(fit(x, y), x)
    assert (plain - light).mean() == pytest.approx(np.log(4.0), abs=0.15)


def test_same_seed_same_bytes() -> None:
    x, y, groups, _ = grouped(200, 13)
    for objective in ("pointwise", "ranking"):
        models = [fit(x, y, groups=groups, objective=objective, seed=5) for _ in range(2)]
        for first, again in zip(*models, strict=True):
            assert np.asarray(first).tobytes() == np.asarray(again).tobytes()


def test_shapes_must_fit() -> None:
    x, y, _ = world(20, 14)
    with pytest.raises(ValueError, match=r"features \[n, 6\]"):
        fit(x[:, :3], y)
    with pytest.raises(ValueError, match="one label, weight and group a row"):
        fit(x, y, weights=np.ones(3, np.float32))
    with pytest.raises(ValueError, match="needs the group"):
        fit(x, y, objective="ranking")


def test_the_line_reaches_beyond_what_the_trees_saw() -> None:
    rng = np.random.default_rng(15)
    x = np.full((20_000, len(SCHEMA)), np.nan, np.float32)
    x[:, 0] = rng.normal(size=len(x))
    y = (rng.random(len(x)) < expit(2.0 * x[:, 0] - 3.0)).astype(np.float32)
    far = np.full((2, len(SCHEMA)), np.nan, np.float32)
    far[:, 0] = (6.0, 8.0)
    scores = additive_scores(fit(x, y), far)
    assert scores[1] - scores[0] == pytest.approx(4.0, rel=0.1)


def test_configuration_reaches_the_booster() -> None:
    x, y, _ = world(3_000, 15)
    config = RankerConfig()
    one_round = replace(config, boost=replace(config.boost, most_rounds=1))
    # Lines have two knots; one tree may bend one feature.
    assert (fit(x, y, config=one_round).counts > 2).sum() == 1
    assert (fit(x, y, config=config).counts > 2).sum() > 1


def test_rows_of_half_the_worth_say_the_same_of_the_score() -> None:
    x, _, truth = world(20_000, seed=11)
    rng = np.random.default_rng(11)
    worth = np.where(np.arange(len(x)) % 2 == 0, 1.0, 0.5).astype(np.float32)
    labels = (rng.random(len(x)) < expit(worth * truth)).astype(np.float32)
    model = fit(x, labels, worth=worth)
    unseen, _, expected = world(4_000, seed=12)
    scores = additive_scores(model, unseen)
    slope = np.polyfit(expected, scores, 1)[0]
    assert slope == pytest.approx(1.0, abs=0.08)
    assert np.corrcoef(scores, expected)[0, 1] > 0.98
    flat = additive_scores(fit(x, labels), unseen)
    assert np.polyfit(expected, flat, 1)[0] < 0.85

"""Metrics against scikit-learn, and by hand where the case is small enough."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import sparse
from sklearn.metrics import brier_score_loss, ndcg_score, roc_auc_score

from training import metrics
from training.intervals import bootstrap_difference, bootstrap_mean, bootstrap_statistic

seeds = st.integers(0, 2**32 - 1)
Pairs = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int32]]


def pairs(seed: int, n: int = 300, groups: int = 12, levels: int = 0) -> Pairs:
    """Scores (with ties when `levels`), labels and groups of n random pairs."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, levels, n).astype(np.float64) if levels else rng.normal(size=n)
    labels = (rng.random(n) < 0.3).astype(np.float64)
    return scores, labels, rng.integers(0, groups, n).astype(np.int32)


@given(seeds, st.integers(1, 30))
def test_ndcg_is_sklearns(seed: int, k: int) -> None:
    scores, labels, groups = pairs(seed)
    found = metrics.grouped_hits(scores, labels, groups, k, seed=0)
    values = metrics.ndcg_at(found.hits, found.relevant, k)
    for group, value in zip(found.groups, values, strict=True):
        mine = groups == group
        if labels[mine].sum() == 0:
            assert np.isnan(value)
        elif mine.sum() > 1:
            expected = ndcg_score(labels[mine][None], scores[mine][None], k=k)
            assert value == pytest.approx(expected)


@given(seeds, st.integers(0, 6))
def test_auc_is_sklearns_with_ties_and_weights(seed: int, levels: int) -> None:
    scores, labels, _ = pairs(seed, levels=levels)
    weights = np.random.default_rng(seed).random(len(scores))
    assert metrics.auc(scores, labels) == pytest.approx(roc_auc_score(labels, scores))
    expected = roc_auc_score(labels, scores, sample_weight=weights)
    assert metrics.auc(scores, labels, weights) == pytest.approx(expected)


@given(seeds, st.integers(0, 6))
def test_auc_within_groups_is_sklearns(seed: int, levels: int) -> None:
    scores, labels, groups = pairs(seed, levels=levels, n=120)
    found = metrics.auc_within_groups(scores, labels, groups)
    both = [g for g in np.unique(groups) if 0 < labels[groups == g].mean() < 1]
    assert found.groups.tolist() == both
    for group, value in zip(found.groups, found.auc, strict=True):
        mine = groups == group
        assert value == pytest.approx(roc_auc_score(labels[mine], scores[mine]))
    assert found.mean == pytest.approx(found.auc.mean())
    one = metrics.auc_within_groups(scores, labels, np.zeros(len(scores), np.int32))
    assert one.pooled == pytest.approx(roc_auc_score(labels, scores))


def test_one_class_has_no_auc() -> None:
    ones = np.ones(4)
    assert np.isnan(metrics.auc(np.arange(4.0), ones))
    assert np.isnan(metrics.auc_within_groups(np.arange(4.0), ones, np.zeros(4, int)).mean)
    assert np.isnan(metrics.auc_within_groups(np.arange(4.0), ones, np.zeros(4, int)).pooled)


def test_lists_by_hand() -> None:
    truth = sparse.csr_matrix(np.array([[1, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]]))
    lists = np.array([[0, 1, 2], [0, 1, 2], [3, -1, -1]])
    hits, relevant = metrics.list_hits(lists, truth)
    assert hits.tolist() == [[True, False, True], [False] * 3, [False] * 3]
    assert relevant.tolist() == [2, 1, 0]
    assert metrics.recall_at(hits, relevant, 2)[:2].tolist() == [0.5, 0.0]
    assert np.isnan(metrics.recall_at(hits, relevant, 2)[2])
    best = 1.0 + 1.0 / np.log2(3.0)
    assert metrics.ndcg_at(hits, relevant, 3)[0] == pytest.approx(1.5 / best)
    assert metrics.reciprocal_rank(hits).tolist() == [1.0, 0.0, 0.0]
    assert metrics.reciprocal_rank(hits[:, 1:]).tolist() == [0.5, 0.0, 0.0]


@given(seeds)
def test_an_empty_place_is_no_hit_even_where_the_column_before_is_relevant(seed: int) -> None:
    truth = sparse.csr_matrix(np.ones((3, 5)))
    lists = np.full((3, 4), -1)
    lists[:, 0] = np.random.default_rng(seed).integers(0, 5, 3)
    hits, _ = metrics.list_hits(lists, truth)
    assert hits.sum() == 3


def test_recall_with_short_groups_counts_what_is_there() -> None:
    found = metrics.grouped_hits(
        np.array([1.0, 2.0, 3.0]), np.array([1, 0, 1]), np.array([7, 7, 9]), 5, seed=0
    )
    assert found.groups.tolist() == [7, 9]
    assert metrics.recall_at(found.hits, found.relevant, 1).tolist() == [0.0, 1.0]
    assert metrics.recall_at(found.hits, found.relevant, 5).tolist() == [1.0, 1.0]


def test_ties_do_not_reward_the_order_of_the_rows() -> None:
    labels = np.tile([1.0, 0.0, 0.0, 0.0], 2_000)
    groups = np.repeat(np.arange(2_000), 4)
    found = metrics.grouped_hits(np.zeros(8_000), labels, groups, 1, seed=3)
    assert metrics.recall_at(found.hits, found.relevant, 1).mean() == pytest.approx(0.25, abs=0.04)


@given(seeds)
def test_brier_skill_and_ece_of_known_forecasts(seed: int) -> None:
    _, labels, _ = pairs(seed)
    base = np.full(len(labels), labels.mean())
    assert metrics.brier_skill(base, labels) == pytest.approx(0.0)
    assert metrics.ece(base, labels) == pytest.approx(0.0, abs=1e-9)
    assert metrics.brier_skill(labels, labels) == pytest.approx(1.0)
    assert metrics.ece(1.0 - labels, labels) == pytest.approx(1.0)
    p = np.random.default_rng(seed).random(len(labels))
    expected = 1 - brier_score_loss(labels, p) / brier_score_loss(labels, base)
    assert metrics.brier_skill(p, labels) == pytest.approx(expected)
    assert np.isnan(metrics.brier_skill(p, np.ones(len(p))))


def test_ece_by_hand_and_weights_repeat_rows() -> None:
    p, y = np.array([0.1, 0.1, 0.9, 1.0]), np.array([0.0, 1.0, 1.0, 1.0])
    assert metrics.ece(p, y, bins=2) == pytest.approx((2 * 0.4 + 2 * 0.05) / 4)
    weights = np.array([3.0, 1.0, 2.0, 1.0])
    rows = np.repeat(np.arange(4), weights.astype(int))
    assert metrics.ece(p, y, 2, weights) == pytest.approx(metrics.ece(p[rows], y[rows], 2))
    weighted = metrics.brier_skill(p, y, weights)
    assert weighted == pytest.approx(metrics.brier_skill(p[rows], y[rows]))


def test_share_of_top_members() -> None:
    assert metrics.share_of_top(np.full(200, 5)) == pytest.approx(0.01)
    assert metrics.share_of_top(np.r_[50, 50, np.zeros(198)]) == 1.0
    assert metrics.share_of_top(np.array([1, 3])) == 0.75
    assert metrics.share_of_top(np.zeros(9)) == 0.0


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    covered = []
    for i in range(200):
        found = bootstrap_mean(rng.normal(1.0, 2.0, 80), seed=i, resamples=400)
        covered.append(found.low <= 1.0 <= found.high)
    assert 0.89 <= np.mean(covered) <= 0.99


def test_paired_difference_sees_what_unpaired_noise_would_hide() -> None:
    rng = np.random.default_rng(2)
    theirs = rng.normal(0.0, 10.0, 500)
    ours = theirs + 0.1 + rng.normal(0.0, 0.2, 500)
    better = bootstrap_difference(ours, theirs, seed=0)
    assert better.above_zero
    assert better.p_value < 0.01
    assert better.value == pytest.approx((ours - theirs).mean())
    same = bootstrap_difference(ours, ours, seed=0)
    assert not same.above_zero
    assert same.p_value == 1.0
    assert better == bootstrap_difference(ours, theirs, seed=0)


def test_groups_without_an_answer_are_left_out_and_lengths_must_agree() -> None:
    assert bootstrap_mean(np.array([np.nan, 2.0, 2.0]), seed=0)[:3] == (2.0, 2.0, 2.0)
    assert np.isnan(bootstrap_mean(np.array([np.nan]), seed=0).value)
    with pytest.raises(ValueError, match="equal lengths"):
        bootstrap_difference(np.ones(2), np.ones(3), seed=0)


@settings(max_examples=5)
@given(seeds)
def test_interval_of_a_statistic_over_drawn_groups(seed: int) -> None:
    scores, labels, groups = pairs(seed, n=2_000, groups=200)
    scores = scores + labels
    found = bootstrap_statistic(
        lambda weights: metrics.auc(scores, labels, weights), groups, seed=0, resamples=200
    )
    assert found.value == pytest.approx(roc_auc_score(labels, scores))
    assert found.low < found.value < found.high
    means = bootstrap_statistic(
        lambda weights: float(np.average(labels, weights=weights)), groups, seed=0, resamples=200
    )
    assert means.low < labels.mean() < means.high


def test_a_statistic_that_is_never_defined_has_no_interval() -> None:
    found = bootstrap_statistic(lambda _: float("nan"), np.arange(3), seed=0, resamples=5)
    assert np.isnan(found.low)

"""Diversity: 0 leaves the order alone, 1 puts likeness on a par with the score."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsvc.matching.diversify import diversify
from recsvc.model.arrays import F32


def unit(rng: np.random.Generator, count: int) -> F32:
    vectors = rng.normal(size=(count, 5)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[rng.random(count) < 0.1] = 0.0
    return vectors


def best_first(rng: np.random.Generator, count: int) -> F32:
    return np.sort(rng.normal(size=count))[::-1].astype(np.float32)


worlds = st.tuples(st.integers(0, 10_000), st.integers(1, 30), st.integers(1, 35))


@given(worlds, st.floats(0, 1))
def test_every_item_comes_once_and_loses_only_what_likeness_takes(
    world: tuple[int, int, int], diversity: float
) -> None:
    seed, count, wanted = world
    rng = np.random.default_rng(seed)
    scores, vectors = best_first(rng, count), unit(rng, count)
    slate = diversify(scores, vectors, diversity, wanted)
    assert len(slate.order) == len(slate.adjustments) == min(count, wanted)
    assert len(set(slate.order.tolist())) == len(slate.order)
    assert slate.order[0] == 0
    weight = diversity * max(float(scores.max() - scores.min()), 1e-6)
    for place, at in enumerate(slate.order.tolist()):
        above = slate.order[:place]
        likeness = max([0.0, *(vectors[above] @ vectors[at]).tolist()])
        np.testing.assert_allclose(slate.adjustments[place], -weight * likeness, atol=1e-4)
        # Greedy: nobody who was left would have been better there.
        left = [i for i in range(count) if i not in above]
        others = [scores[i] - weight * max([0.0, *(vectors[above] @ vectors[i])]) for i in left]
        assert scores[at] + slate.adjustments[place] >= max(others) - 1e-4


@given(worlds)
def test_no_diversity_keeps_the_order(world: tuple[int, int, int]) -> None:
    seed, count, wanted = world
    rng = np.random.default_rng(seed)
    slate = diversify(best_first(rng, count), unit(rng, count), 0.0, wanted)
    assert slate.order.tolist() == list(range(min(count, wanted)))
    assert not slate.adjustments.any()


def test_full_diversity_avoids_near_duplicates() -> None:
    same, other = np.eye(2, dtype=np.float32)
    scores = np.array([1.0, 0.99, 0.98, 0.5], np.float32)
    vectors = np.stack([same, same, same, other])
    assert diversify(scores, vectors, 1.0, 4).order.tolist()[:2] == [0, 3]
    assert diversify(scores, vectors, 0.1, 4).order.tolist() == [0, 1, 2, 3]


def test_texts_that_oppose_each_other_are_not_rewarded() -> None:
    scores = np.array([1.0, 0.9, 0.8], np.float32)
    vectors = np.array([[1.0], [0.0], [-1.0]], np.float32)
    slate = diversify(scores, vectors, 1.0, 3)
    assert slate.order.tolist() == [0, 1, 2]
    assert (slate.adjustments <= 0).all()


def test_equal_scores_still_differ_by_likeness() -> None:
    same, other = np.eye(2, dtype=np.float32)
    slate = diversify(np.ones(3, np.float32), np.stack([same, same, other]), 0.5, 3)
    assert slate.order.tolist() == [0, 2, 1]


def test_an_empty_list_stays_empty() -> None:
    slate = diversify(np.zeros(0, np.float32), np.zeros((0, 4), np.float32), 1.0, 10)
    assert len(slate.order) == 0

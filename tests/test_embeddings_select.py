"""The choice of a model on held-out events."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from training.embeddings.base import TrainingData
from training.embeddings.blended import BlendModel
from training.embeddings.ranks import Mixture, Part, Question, find_places
from training.embeddings.select import (
    _FEWEST_FOR_WIDE,
    _WIDE_ALS,
    Choice,
    _others,
    choose,
    choose_embedding,
)
from training.embeddings.spectral import SpectralModel
from training.embeddings.validation import Holdout, hold_out, measure


def planted_log(seed: int = 0) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """400 members x 300 leads of rank 8, about 8,000 pairs, and content that names the factors."""
    rng = np.random.default_rng(seed)
    tastes, factors = rng.standard_normal((400, 8)), rng.standard_normal((300, 8))
    scores = tastes @ factors.T + rng.standard_normal((400, 300))
    pairs = sparse.csr_matrix(scores > np.quantile(scores, 0.933), dtype=np.float32)
    signs = np.concatenate([factors > 0.5, factors < -0.5], axis=1)
    return pairs, sparse.csr_matrix(signs * 0.5, dtype=np.float32)


@pytest.fixture(scope="module")
def with_content() -> Choice:
    return choose(*planted_log(), seed=1, threads=1)


def value(choice: Choice, model: object) -> float:
    return next(t.figures.warm for t in choice.trials if t.model == model and t.figures.cold > 0.0)


def test_the_chosen_model_was_tried_and_beats_the_first(with_content: Choice) -> None:
    chosen = with_content.model
    first = next(t for t in with_content.trials if t.figures.cold > 0.0)
    assert value(with_content, chosen) >= 0.99 * first.figures.warm
    found = chosen.fit(*planted_log(), seed=1, threads=1)
    assert found.content_map is not None


def test_the_choice_does_not_depend_on_the_clock(with_content: Choice) -> None:
    again = choose(*planted_log(), seed=1, threads=1)
    assert again.model == with_content.model
    assert [replace(t, seconds=0.0) for t in again.trials] == [
        replace(t, seconds=0.0) for t in with_content.trials
    ]


def test_a_small_log_gets_the_default_without_trials() -> None:
    pairs = sparse.random(50, 40, 0.1, format="csr", random_state=1, dtype=np.float32)
    choice = choose(pairs, seed=1, threads=1)
    assert choice.trials == ()
    assert isinstance(choice.model, SpectralModel)
    assert choose_embedding(pairs, None, seed=1, threads=1) == choice.model


def test_without_content_nothing_cold_is_measured() -> None:
    choice = choose(planted_log()[0], seed=1, threads=1)
    assert all(trial.figures.cold == 0.0 for trial in choice.trials)
    assert {type(t.model) for t in choice.trials} >= {SpectralModel, BlendModel}


def whole(holdout: Holdout) -> sparse.csr_matrix:
    return holdout.train.interactions + holdout.warm + holdout.cold


def test_held_out_parts_are_disjoint_and_complete() -> None:
    pairs, content = planted_log()
    held = hold_out(TrainingData.checked(pairs, content, None), share=0.2, cold_share=0.1, seed=3)
    train = held.train.interactions
    assert train.multiply(held.warm).nnz == 0
    assert train.multiply(held.cold).nnz == 0
    assert len(held.cold_leads) == 30
    assert train[:, held.cold_leads].nnz == 0
    assert held.cold[:, held.cold_leads].nnz == held.cold.nnz > 0
    assert held.warm.nnz == pytest.approx(0.2 * 0.9 * pairs.nnz, rel=0.15)
    lost = pairs - whole(held)
    assert lost.min() >= 0.0
    # What is lost was held out of leads that have nothing else, and cannot be found warm.
    assert not train[:, np.unique(lost.tocoo().col[lost.data != 0.0])].nnz


def test_a_perfect_embedding_measures_one_and_a_constant_chance() -> None:
    pairs, content = planted_log()
    held = hold_out(TrainingData.checked(pairs, content, None), share=0.2, cold_share=0.4, seed=3)
    oracle = (held.warm + held.cold).toarray().astype(np.float32)
    oracle *= 1.0 + np.random.default_rng(0).random(oracle.shape, np.float32)  # no ties
    perfect = SpectralModel(4).fit(pairs, seed=1, threads=1)
    perfect = replace(perfect, members=oracle, leads=np.eye(300, dtype=np.float32))
    assert measure(perfect, held, seed=0).cold == 1.0
    counts = np.diff(held.warm.indptr)
    recall = np.minimum(20.0 / counts[counts > 0], 1.0).mean()
    assert measure(perfect, held, seed=0).warm == pytest.approx((recall + 1.0) / 2.0)
    same = replace(perfect, members=np.ones_like(oracle))
    # 120 cold leads tie: all are placed in the middle, within the first 100.
    assert measure(same, held, seed=0).cold == 1.0
    assert measure(same, held, seed=0).warm == 0.0


def test_places_are_those_of_a_full_sort_whatever_the_threads_and_parts() -> None:
    """300 members in several blocks, two mixtures of two parts; small whole numbers tie often."""
    rng = np.random.default_rng(4)
    sides = [rng.integers(-3, 4, (2, 300, 3)).astype(np.float32) for _ in range(2)]
    parts = [Part(members, leads) for members, leads in sides]
    factor = np.linspace(0.5, 2.0, 300).astype(np.float32)
    mixtures = [Mixture((1.0, 0.0)), Mixture((1.0, 2.0), factor)]
    seen = sparse.random(300, 300, 0.1, format="csr", random_state=1, dtype=np.float32)
    drawn = sparse.random(300, 300, 0.02, format="csr", random_state=2, dtype=np.float32)
    candidates = np.arange(0, 300, 2)
    allowed = sparse.diags((np.arange(300) % 2 == 0).astype(np.float32))
    wanted = sparse.csr_matrix((drawn - drawn.multiply(seen > 0)) @ allowed)
    wanted.eliminate_zeros()
    asked = np.flatnonzero(np.diff(wanted.indptr))
    question = Question(asked, wanted, candidates, seen)
    once, thrice = (find_places(question, parts, mixtures, threads=n) for n in (1, 3))
    dense = [part.members @ part.leads.T for part in parts]
    for found, again, scores in zip(
        once, thrice, (dense[0], (dense[0] + 2.0 * dense[1]) * factor), strict=True
    ):
        np.testing.assert_array_equal(found.places, again.places)
        for at, member in enumerate(asked.tolist()):
            row = np.where(seen[member].toarray()[0] > 0, -np.inf, scores[member])[candidates]
            limits = scores[
                member, wanted.indices[wanted.indptr[member] : wanted.indptr[member + 1]]
            ]
            by_hand = [(row > x).sum() + ((row == x).sum() - 1) / 2.0 for x in limits]
            own = found.places[found.starts[at] : found.starts[at + 1]]
            assert sorted(own.tolist()) == sorted(by_hand)


def test_measured_recall_and_ndcg_by_hand() -> None:
    """One member, held-out leads on places 0 and 30 of 60, one seen lead left out."""
    warm = sparse.csr_matrix((np.ones(2, np.float32), ([0, 0], [1, 31])), shape=(1, 61))
    train = sparse.csr_matrix((np.ones(1, np.float32), ([0], [0])), shape=(1, 61))
    none = sparse.csr_matrix((1, 61), dtype=np.float32)
    held = Holdout(TrainingData(train), warm, none, np.arange(0))
    ranked = -np.arange(61, dtype=np.float32)[:, None]
    found = SpectralModel(1).fit(train, seed=1, threads=1)
    found = replace(found, members=np.ones((1, 1), np.float32), leads=ranked)
    recall, ndcg = 0.5, 1.0 / (1.0 + 1.0 / np.log2(3.0))
    assert measure(found, held, seed=0).warm == pytest.approx((recall + ndcg) / 2.0)


def test_wide_factors_are_tried_where_content_tells_of_untouched_leads() -> None:
    ones = np.ones(_FEWEST_FOR_WIDE, np.float32)
    at = np.arange(_FEWEST_FOR_WIDE) // 200, np.arange(_FEWEST_FOR_WIDE) % 200
    pairs = sparse.csr_matrix((ones, at))
    content = sparse.csr_matrix(np.ones((200, 3), np.float32))
    assert _WIDE_ALS in _others(TrainingData.checked(pairs, content, None))
    assert _WIDE_ALS not in _others(TrainingData.checked(pairs, None, None))
    assert _WIDE_ALS not in _others(TrainingData.checked(pairs[:-1], content, None))

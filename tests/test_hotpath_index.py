"""Choosing an index: exams with a known answer, and faiss as it comes."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.hotpath.index import without_short_lists
from benchmarks.hotpath.index_kinds import raw_searches
from benchmarks.hotpath.served_search import served_search
from benchmarks.hotpath.vector_exam import Exam
from recsvc.matching.candidates import CandidateConfig
from recsvc.model.arrays import F32, I32, U8
from recsvc.model.bundle import Bundle
from recsvc.model.index import exact_search
from recsvc.model.short_lists import ShortLists
from recsvc.model.snapshot import Snapshot, with_tables
from training.tune_index import DEPTH, SHARES


@pytest.fixture
def exam() -> Exam:
    """5,000 vectors in twenty clusters, asked for by thirty of their like."""
    rng = np.random.default_rng(7)
    centres = rng.standard_normal((20, 16)).astype(np.float32)
    vectors = centres[rng.integers(0, 20, 5_000)]
    vectors = (vectors + 0.3 * rng.standard_normal(vectors.shape)).astype(np.float32)
    queries = vectors[:30]
    masks = tuple((rng.random(5_000) < share).astype(np.uint8) for share in SHARES)
    exact = tuple(
        tuple(
            frozenset(exact_search(vectors, query, DEPTH, np.flatnonzero(mask)).tolist())
            for query in queries
        )
        for mask in masks
    )
    return Exam(vectors, queries, np.arange(30), masks, exact)


def test_an_exact_search_passes_every_exam(exam: Exam) -> None:
    def search(query: F32, k: int, eligible: U8) -> I32:
        return exact_search(exam.vectors, query, k, np.flatnonzero(eligible))

    assert [point.recall for point in exam.take(search)] == [1.0] * len(SHARES)


def test_recall_is_the_share_of_the_best_that_came_back(exam: Exam) -> None:
    def half(query: F32, k: int, eligible: U8) -> I32:
        return exact_search(exam.vectors, query, k, np.flatnonzero(eligible))[: k // 2]

    assert exam.take(half)[0].recall == pytest.approx(0.5)


def test_faiss_flat_is_exact_and_fewer_probes_find_less(exam: Exam) -> None:
    searches = dict(raw_searches(exam.vectors, 3, (1, 64)))
    flat = exam.take(searches["faiss_flat"])
    assert min(point.recall for point in flat) > 0.99
    lists = int(2 * np.sqrt(5_000))
    few = exam.take(searches[f"faiss_ivf{lists}_probes1"])
    many = exam.take(searches[f"faiss_ivf{lists}_probes64"])
    assert few[0].recall < many[0].recall


def test_a_bundle_can_be_examined(bundle: Bundle) -> None:
    exam = Exam.of(bundle, queries=3, seed=1)
    searches = dict(raw_searches(exam.vectors, 3, ()))
    assert exam.take(searches["faiss_flat"])[0].recall == 1.0


def test_what_is_served_finds_the_largest_inner_products(bundle: Bundle) -> None:
    """With a ranker that knows embeddings alone: all of them where all rows are compared."""
    exam = Exam.of(bundle, queries=5, seed=1)
    everything = CandidateConfig(close_below=1 << 30)
    points = exam.take(served_search(bundle, exam, everything))
    assert [point.recall for point in points] == [1.0] * len(SHARES)


def test_what_a_member_has_met_is_found_like_everything_else(bundle: Bundle) -> None:
    """The exact search knows nothing of what was met, and what was met lies nearest of all."""
    exam = Exam.of(bundle, queries=20, seed=1)
    search = served_search(bundle, exam, CandidateConfig(all_below=1, close_below=1, ranked=1))
    start, lead, _ = Snapshot(bundle).history.base.forbidding()
    every = np.arange(len(exam.vectors))
    met = 0
    for member, query in zip(exam.members.tolist(), exam.queries, strict=True):
        best = exact_search(exam.vectors, query, 3, every)
        found = search(query, 3, np.ones(len(every), np.uint8))
        products = exam.vectors @ query  # of alike leads either may come
        np.testing.assert_allclose(products[found], products[best], rtol=1e-5)
        met += len(set(best.tolist()).intersection(lead[start[member] : start[member + 1]]))
    assert met, "without anything met this would show nothing"


def test_only_short_lists_are_left_out_where_everything_is_to_be_searched(bundle: Bundle) -> None:
    made = with_tables(bundle)
    rows = np.zeros((len(bundle.member_ids), 4), np.int32)
    then = np.ones(len(bundle.lead_ids), np.uint8)
    made.tables.put("short_lists", ShortLists(rows, then, np.zeros(1, np.int64), 1))
    bare = without_short_lists(made)
    assert Snapshot(made).short_lists is not None
    assert Snapshot(bare).short_lists is None
    others = {name for name in made.tables.arrays if not name.startswith("short_lists")}
    assert others
    assert set(bare.tables.arrays) == others

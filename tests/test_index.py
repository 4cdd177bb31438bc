"""Vector search: whatever the index, the rows owed come back, and the exact ones are exact."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsvc.model.arrays import F32, I32, U8
from recsvc.model.index import IndexConfig, VectorIndex, exact_search
from recsvc.model.lists import build_lists

COUNT, WIDTH = 3_000, 8
EXACT = IndexConfig()
FLAT = IndexConfig(kind="FLAT", exact_below_rows=50)
IVF = IndexConfig(kind="IVF", exact_below_rows=50, ivf_probes=8)
IVF_FEW = IndexConfig(kind="IVF", exact_below_rows=50, ivf_probes=1)


def clustered(seed: int) -> F32:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(20, WIDTH))
    points = centres[rng.integers(0, 20, COUNT)] + 0.3 * rng.normal(size=(COUNT, WIDTH))
    return points.astype(np.float32)


VECTORS = clustered(0)
INDEXES = {c: VectorIndex(VECTORS, c) for c in (EXACT, FLAT, IVF, IVF_FEW)}


def brute_force(query: F32, eligible: U8, k: int) -> list[float]:
    scores = np.sort((VECTORS.astype(np.float64) @ query)[eligible == 1])[::-1]
    return [float(score) for score in scores[:k]]


def scores_of(rows: I32, query: F32) -> list[float]:
    return [float(score) for score in VECTORS[rows].astype(np.float64) @ query]


@settings(max_examples=25)
@given(
    st.sampled_from([EXACT, FLAT]),
    st.integers(0, 1_000),
    st.integers(1, 40),
    st.sampled_from([0.0, 0.001, 0.05, 0.5, 1.0]),
)
def test_exact_and_flat_search_are_brute_force(
    config: IndexConfig, seed: int, k: int, share: float
) -> None:
    rng = np.random.default_rng(seed)
    query = rng.normal(size=WIDTH).astype(np.float32)
    eligible = (rng.random(COUNT) < share).astype(np.uint8)
    rows = INDEXES[config].search(query, k, eligible)
    assert rows.dtype == np.int32
    assert eligible[rows].all()
    assert len(set(rows.tolist())) == len(rows) == min(k, int(eligible.sum()))
    np.testing.assert_allclose(scores_of(rows, query), brute_force(query, eligible, k), rtol=1e-4)


@pytest.mark.parametrize("config", [IVF, IVF_FEW])
@pytest.mark.parametrize("share", [0.01, 0.3, 1.0])
@pytest.mark.parametrize("k", [1, 30, 500])
def test_an_inverted_file_owes_k_eligible_rows_too(
    config: IndexConfig, share: float, k: int
) -> None:
    rng = np.random.default_rng(k)
    found = 0.0
    for _ in range(10):
        query = rng.normal(size=WIDTH).astype(np.float32)
        eligible = (rng.random(COUNT) < share).astype(np.uint8)
        rows = INDEXES[config].search(query, k, eligible)
        assert len(rows) == min(k, int(eligible.sum()))
        assert eligible[rows].all()
        scores = scores_of(rows, query)
        assert scores == sorted(scores, reverse=True)
        best = brute_force(query, eligible, k)
        found += float(np.mean(np.array(scores) >= best[-1] - 1e-4))
    if k <= 30 and config is IVF:
        assert found / 10 > 0.7, "recall of the probed lists"


def test_the_kind_follows_the_number_of_rows() -> None:
    small = IndexConfig(exact_below_rows=10, ivf_from_rows=100)
    kinds = [type(VectorIndex(VECTORS[:n], small)._index).__name__ for n in (10, 99, 100)]
    assert kinds == ["NoneType", "IndexFlatIP", "IndexIVFFlat"]


def test_the_same_seed_builds_the_same_index() -> None:
    other, query = VectorIndex(VECTORS, IVF), VECTORS[5]
    every = np.ones(COUNT, np.uint8)
    np.testing.assert_array_equal(
        other.search(query, 50, every), INDEXES[IVF].search(query, 50, every)
    )


def test_nothing_is_found_among_nothing() -> None:
    empty = np.zeros((0, WIDTH), np.float32)
    query = np.ones(WIDTH, np.float32)
    assert len(VectorIndex(empty, EXACT).search(query, 5, np.zeros(0, np.uint8))) == 0
    assert len(exact_search(VECTORS, query, 5, np.zeros(0, np.int64))) == 0


@pytest.mark.parametrize("kind", ["zero", "same", "two", "few"])
@pytest.mark.parametrize("width", [0, 1, 8])
@pytest.mark.parametrize("count", [0, 1, 2, 129, 1_000])
def test_any_vectors_can_be_sorted_into_lists(kind: str, width: int, count: int) -> None:
    """Of no width, all alike or all zero, too: faiss would divide by zero and end the process."""
    vectors = np.zeros((count, width), np.float32)
    if kind == "same":
        vectors[:] = 1.0
    elif kind == "two":
        vectors[::2, :1], vectors[1::2, :1] = 1.0, -1.0
    elif kind == "few":
        vectors[: count // 50 + 1] = 0.5
    lists = build_lists(vectors, np.zeros(count, np.int32), seed=1)
    assert lists.list_start[-1] == count
    np.testing.assert_array_equal(np.sort(lists.row), np.arange(count))

"""What faiss does for us: exact searches are exact, and any vectors can be sorted into lists."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsvc.model.index import directions, exact_search, nearest
from recsvc.model.lists import build_lists

COUNT, WIDTH = 3_000, 8
VECTORS = np.random.default_rng(0).normal(size=(COUNT, WIDTH)).astype(np.float32)


@settings(max_examples=25)
@given(st.integers(0, 1_000), st.integers(1, 40), st.sampled_from([0.0, 0.001, 0.05, 0.5, 1.0]))
def test_an_exact_search_is_brute_force(seed: int, k: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    query = rng.normal(size=WIDTH).astype(np.float32)
    allowed = rng.permutation(np.flatnonzero(rng.random(COUNT) < share))
    rows = exact_search(VECTORS, query, k, allowed)
    assert rows.dtype == np.int32
    assert len(set(rows.tolist()) & set(allowed.tolist())) == min(k, len(allowed)) == len(rows)
    scores = VECTORS.astype(np.float64) @ query
    np.testing.assert_allclose(scores[rows], np.sort(scores[allowed])[::-1][:k], rtol=1e-4)


def test_a_row_goes_to_the_centre_of_the_largest_cosine() -> None:
    centres = directions(VECTORS, 12, np.random.default_rng(3))
    np.testing.assert_allclose(np.linalg.norm(centres, axis=1), 1.0, rtol=1e-5)
    label = nearest(3.0 * VECTORS, centres)
    np.testing.assert_array_equal(label, np.argmax(VECTORS @ centres.T, axis=1))
    assert len(set(label.tolist())) == 12


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

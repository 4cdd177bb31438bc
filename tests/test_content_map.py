"""Content maps: the formula, composition, and the way to arrays and back."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from recsvc.model.content_map import ContentMap, content_lengths


def some_map(seed: int, dimensions_count: int) -> ContentMap:
    rng = np.random.default_rng(seed)
    shapes = [(4, 2), (2, dimensions_count), (dimensions_count,), (2, 2)]
    return ContentMap(*(rng.standard_normal(shape).astype(np.float32) for shape in shapes))


def test_content_map_is_the_stated_formula() -> None:
    content = sparse.csr_matrix(np.array([[0.5, 0, 0, 0.5], [0, 0, 0, 0]], np.float32))
    found = some_map(1, 3)
    reduced = content.toarray() @ found.terms + content_lengths(content) @ found.length
    np.testing.assert_allclose(found.vectors(content), reduced @ found.mix + found.bias, rtol=1e-5)
    np.testing.assert_allclose(found.vectors(content)[1], found.bias)
    np.testing.assert_allclose(content_lengths(content), [[np.log(3.0), 1.0], [0.0, 0.0]])


def test_joined_and_scaled_maps() -> None:
    content = sparse.random(5, 4, 0.5, format="csr", random_state=3, dtype=np.float32)
    first, second = some_map(1, 3), some_map(2, 2).scaled(4.0)
    together = ContentMap.joined([first, second]).vectors(content)
    apart = np.concatenate([first.vectors(content), 4 * some_map(2, 2).vectors(content)], axis=1)
    np.testing.assert_allclose(together, apart, rtol=1e-4, atol=1e-5)


def test_content_map_survives_arrays() -> None:
    content = sparse.random(5, 4, 0.5, format="csr", random_state=3, dtype=np.float32)
    found = some_map(5, 3)
    read = ContentMap.from_arrays(found.to_arrays())
    np.testing.assert_array_equal(read.vectors(content), found.vectors(content))
    assert not ContentMap.zero(4, 3).vectors(content).any()

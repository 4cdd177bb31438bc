"""The content map and the decomposition beneath, against dense arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from recsvc.model.content_map import content_lengths
from training.embeddings.als import AlsModel
from training.embeddings.content import ContentConfig, fit_content_map
from training.embeddings.spectral import SpectralModel
from training.embeddings.svd import truncated_svd


def random_content(rows_count: int, terms_count: int, seed: int) -> sparse.csr_matrix:
    content = sparse.random(
        rows_count, terms_count, 0.1, format="csr", random_state=seed, dtype=np.float32
    )
    norms = np.maximum(np.sqrt(content.multiply(content).sum(axis=1)), 1e-9)
    return sparse.csr_matrix(content.multiply(1.0 / norms), dtype=np.float32)


def test_map_is_the_weighted_ridge_with_an_intercept() -> None:
    rng = np.random.default_rng(0)
    content = random_content(200, 30, 1)
    targets = rng.standard_normal((200, 5)).astype(np.float32)
    counts = rng.integers(1, 20, 200)
    config = ContentConfig(rank=5, regularization=2.0, count_power=0.5, most_iterations=200)
    found = fit_content_map(content, targets, counts, np.eye(5, dtype=np.float32), config)
    rows = np.diff(content.indptr) > 0
    inputs = np.concatenate([content.toarray(), content_lengths(content)], axis=1)[rows]
    weights = np.sqrt(counts[rows])
    weights = weights / weights.mean()
    centre = weights @ inputs / weights.sum()
    mean = weights @ targets[rows] / weights.sum()
    left = (inputs - centre).T * weights
    normal = left @ (inputs - centre) + 2.0 * np.eye(32)
    exact = np.linalg.solve(normal, left @ (targets[rows] - mean))
    np.testing.assert_allclose(
        found.vectors(content)[rows], (inputs - centre) @ exact + mean, atol=2e-3
    )


def test_reduced_directions_keep_the_scores_with_the_partners() -> None:
    """Partners use 3 of 12 columns' directions: rank 3 then predicts scores as well as rank 12."""
    rng = np.random.default_rng(2)
    content = random_content(300, 20, 3)
    targets = (content.toarray() @ rng.standard_normal((20, 12))).astype(np.float32)
    partners = (rng.standard_normal((50, 3)) @ rng.standard_normal((3, 12))).astype(np.float32)
    counts = np.ones(300, np.int64)
    scores = [
        fit_content_map(content, targets, counts, partners, ContentConfig(rank=rank)).vectors(
            content
        )
        @ partners.T
        for rank in (3, 12)
    ]
    assert np.abs(scores[0] - scores[1]).max() < 0.02 * scores[1].std()


def test_rows_that_nobody_touched_teach_nothing() -> None:
    content = random_content(60, 10, 4)
    targets = np.random.default_rng(5).standard_normal((60, 3)).astype(np.float32)
    counts = np.repeat([1, 0], 30)
    other = targets.copy()
    other[30:] = 99.0
    eye, config = np.eye(3, dtype=np.float32), ContentConfig()
    first = fit_content_map(content, targets, counts, eye, config)
    second = fit_content_map(content, other, counts, eye, config)
    np.testing.assert_array_equal(first.terms, second.terms)
    nothing = fit_content_map(content, targets, np.zeros(60, np.int64), eye, config)
    assert not nothing.vectors(content).any()


def test_threads_share_the_columns_and_change_no_byte() -> None:
    """150 columns: two whole blocks and a part of one."""
    content = random_content(300, 200, 8)
    targets = np.random.default_rng(9).standard_normal((300, 150)).astype(np.float32)
    counts, partners = np.ones(300, np.int64), np.eye(150, dtype=np.float32)
    config = ContentConfig(rank=150)
    first, second = (
        fit_content_map(content, targets, counts, partners, config, threads=threads)
        for threads in (1, 3)
    )
    np.testing.assert_array_equal(first.terms, second.terms)
    np.testing.assert_array_equal(first.length, second.length)


@pytest.mark.parametrize("model", [SpectralModel(dimensions=16), AlsModel(dimensions=16)])
def test_cold_leads_are_found_far_better_than_by_chance(model: SpectralModel | AlsModel) -> None:
    """Planted rank 6: tastes and lead factors, content a noisy linear image of the factors."""
    rng = np.random.default_rng(6)
    tastes, factors = rng.standard_normal((300, 6)), rng.standard_normal((240, 6))
    taken = tastes @ factors.T > 2.5
    image = factors @ rng.standard_normal((6, 60)) + 0.5 * rng.standard_normal((240, 60))
    content = sparse.csr_matrix(np.where(image > 2.0, image, 0.0), dtype=np.float32)
    content = sparse.csr_matrix(content / np.maximum(sparse.linalg.norm(content), 1e-9) * 15.0)
    cold = np.arange(0, 240, 6)
    known = taken.copy()
    known[:, cold] = False
    found = model.fit(
        sparse.csr_matrix(known, dtype=np.float32), content.tocsr(), seed=1, threads=1
    )
    top = np.argsort(-(found.members @ found.leads[cold].T), axis=1)[:, :8]
    hits = np.take_along_axis(taken[:, cold], top, axis=1).sum()
    chance = taken[:, cold].sum() * 8 / len(cold)
    assert hits > 2.0 * chance


@pytest.mark.parametrize(("rows", "columns"), [(400, 90), (90, 400), (2400, 2100)])
def test_svd_agrees_with_the_dense_one(rows: int, columns: int) -> None:
    rng = np.random.default_rng(7)
    decay = 0.9 ** np.arange(60)
    dense = rng.standard_normal((rows, 60)) * decay @ rng.standard_normal((60, columns))
    dense[rng.random(dense.shape) < 0.5] = 0.0
    matrix = sparse.csr_matrix(dense, dtype=np.float32)
    found = truncated_svd(matrix, 10, seed=0, threads=1)
    assert found.left.shape == (rows, 10)
    assert found.right.shape == (columns, 10)
    norm = np.linalg.norm(dense, axis=0)
    exact = np.sqrt(
        np.sort(np.linalg.eigvalsh(dense.T @ dense if norm.size <= rows else dense @ dense.T))[
            ::-1
        ][:10]
    )
    np.testing.assert_allclose(found.values, exact, rtol=1e-3)
    np.testing.assert_allclose(found.right.T @ found.right, np.eye(10), atol=1e-4)
    np.testing.assert_allclose(found.left.T @ found.left, np.eye(10), atol=1e-3)
    np.testing.assert_allclose(matrix @ found.right, found.left * found.values, atol=1e-2)


def test_svd_of_a_matrix_with_less_rank_than_asked_for() -> None:
    """40 blocks of ones: 40 equal values, then nothing; the Krylov space ends after one step."""
    matrix = sparse.kron(sparse.identity(40), np.ones((60, 60)), format="csr").astype(np.float32)
    found = truncated_svd(matrix, 64, seed=0, threads=1)
    np.testing.assert_allclose(found.values[:40], 60.0, rtol=1e-4)
    assert not found.values[40:].any()
    assert not found.left[:, 40:].any()
    assert np.isfinite(found.right).all()

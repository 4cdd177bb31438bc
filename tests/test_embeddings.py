"""One conformance suite for every embedding model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from training.embeddings import Embedding, EmbeddingModel, blend
from training.embeddings.als import AlsModel
from training.embeddings.base import centred
from training.embeddings.blended import BlendModel
from training.embeddings.bpr import BprModel
from training.embeddings.lightfm import LightFmModel
from training.embeddings.spectral import SpectralModel

MODELS: list[EmbeddingModel] = [
    SpectralModel(dimensions=8),
    AlsModel(dimensions=8, regularization=1.0),
    BprModel(dimensions=8, iterations=30),
    LightFmModel(dimensions=8, epochs=10),
    BlendModel((SpectralModel(dimensions=8), AlsModel(dimensions=4)), (1.0, 0.5)),
]
EVERY_MODEL = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
SILENT_MEMBER, UNTOUCHED_LEAD = 3, 5


def planted(seed: int = 1) -> tuple[sparse.csr_matrix, sparse.csr_matrix, sparse.csr_matrix]:
    """120 members x 80 leads in 4 groups; content and member content name the group, with noise."""
    rng = np.random.default_rng(seed)
    members, leads = np.arange(120) % 4, np.arange(80) % 4
    same = members[:, None] == leads[None, :]
    taken = rng.random(same.shape) < np.where(same, 0.4, 0.03)
    taken[SILENT_MEMBER] = False
    taken[:, UNTOUCHED_LEAD] = False
    weights = taken * rng.integers(1, 4, same.shape)
    return sparse.csr_matrix(weights, dtype=np.float32), words(leads, rng), words(members, rng)


def words(groups: np.ndarray, rng: np.random.Generator) -> sparse.csr_matrix:
    """One word of its group of 5 and one of 20 for anybody; rows of length 1."""
    content = np.zeros((len(groups), 40), np.float32)
    rows = np.arange(len(groups))
    content[rows, groups * 5 + rng.integers(0, 5, len(groups))] = 0.8
    content[rows, 20 + rng.integers(0, 20, len(groups))] = 0.6
    return sparse.csr_matrix(content)


def fitted(model: EmbeddingModel, seed: int = 1, threads: int = 1) -> Embedding:
    return model.fit(*planted(), seed=seed, threads=threads)


def check_arrays(found: Embedding, members_count: int, leads_count: int) -> None:
    assert found.members.shape == (members_count, found.dimensions_count)
    assert found.leads.shape == (leads_count, found.dimensions_count)
    assert found.fold_in.default.shape == (found.dimensions_count,)
    for array in (found.members, found.leads, found.fold_in.default):
        assert array.dtype == np.float32
        assert array.flags.c_contiguous
        assert np.isfinite(array).all()


@EVERY_MODEL
def test_shapes_types_and_name(model: EmbeddingModel) -> None:
    found = fitted(model)
    check_arrays(found, 120, 80)
    assert found.name == model.name


@EVERY_MODEL
def test_members_find_their_group_and_lists_differ(model: EmbeddingModel) -> None:
    found = fitted(model)
    scores = found.members @ found.leads.T
    own = np.arange(120)[:, None] % 4 == np.arange(80)[None, :] % 4
    own[SILENT_MEMBER] = False
    assert scores[own].mean() > scores[~own].mean()
    top = np.argsort(-scores, axis=1)[:, :10]
    active = np.arange(120) != SILENT_MEMBER
    assert (top[active] % 4 == np.arange(120)[active, None] % 4).mean() > 0.8
    assert len({tuple(row) for row in top}) > 60


@EVERY_MODEL
def test_same_seed_one_thread_same_bytes(model: EmbeddingModel) -> None:
    first, second = fitted(model, seed=7), fitted(model, seed=7)
    assert first.members.tobytes() == second.members.tobytes()
    assert first.leads.tobytes() == second.leads.tobytes()


@pytest.mark.parametrize("model", [MODELS[0], MODELS[1], MODELS[4]], ids=lambda m: m.name)
def test_where_promised_two_threads_give_the_same_bytes_again(model: EmbeddingModel) -> None:
    first, second = fitted(model, threads=2), fitted(model, threads=2)
    assert first.members.tobytes() == second.members.tobytes()


@EVERY_MODEL
def test_content_map_places_the_untouched_lead_in_its_group(model: EmbeddingModel) -> None:
    found = fitted(model)
    content = planted()[1]
    assert found.content_map is not None
    vectors = found.content_map.vectors(content)
    np.testing.assert_allclose(vectors[UNTOUCHED_LEAD], found.leads[UNTOUCHED_LEAD], atol=1e-5)
    scores = found.members @ vectors[UNTOUCHED_LEAD]
    own = np.arange(120) % 4 == UNTOUCHED_LEAD % 4
    assert scores[own].mean() > scores[~own].mean() + scores.std()


@EVERY_MODEL
def test_member_map_places_the_silent_member(model: EmbeddingModel) -> None:
    found = fitted(model)
    scores = found.leads @ found.members[SILENT_MEMBER]
    own = np.arange(80) % 4 == SILENT_MEMBER % 4
    assert scores[own].mean() > scores[~own].mean()


@EVERY_MODEL
def test_without_content_new_rows_are_popular_or_zero(model: EmbeddingModel) -> None:
    found = model.fit(planted()[0], seed=1, threads=1)
    assert found.content_map is None
    assert found.member_map is None
    np.testing.assert_array_equal(found.members[SILENT_MEMBER], found.fold_in.default)
    assert not found.leads[UNTOUCHED_LEAD].any()


@EVERY_MODEL
@pytest.mark.parametrize("shape", [(1, 80), (120, 1), (1, 1)])
def test_one_member_or_one_lead(model: EmbeddingModel, shape: tuple[int, int]) -> None:
    pairs, content, member_content = planted()
    cut = pairs[: shape[0], : shape[1]]
    found = model.fit(cut, content[: shape[1]], member_content[: shape[0]], seed=1, threads=1)
    check_arrays(found, *shape)


@EVERY_MODEL
def test_no_interaction_at_all(model: EmbeddingModel) -> None:
    empty = sparse.csr_matrix((4, 3), dtype=np.float32)
    content = sparse.csr_matrix(np.eye(3, 5, dtype=np.float32))
    found = model.fit(empty, content, seed=1, threads=1)
    check_arrays(found, 4, 3)
    assert not found.fold_in.vector(found.leads, np.ones(3, np.float32)).any()
    check_arrays(model.fit(empty[:0], content, seed=1, threads=1), 0, 3)


@EVERY_MODEL
def test_fold_in_of_the_own_history_ranks_like_the_trained_vector(model: EmbeddingModel) -> None:
    pairs = planted()[0]
    found = model.fit(pairs, seed=1, threads=1)
    folded = found.fold_in.vectors(found.leads, pairs) @ found.leads.T
    trained = found.members @ found.leads.T
    active = np.diff(pairs.indptr) > 0
    agreement = [
        np.corrcoef(a, b)[0, 1] for a, b in zip(folded[active], trained[active], strict=True)
    ]
    assert np.mean(agreement) > 0.9


def test_spectral_fold_in_is_exact() -> None:
    pairs = planted()[0]
    model = SpectralModel(12, 0.3, 0.4, 0.2, value_power=0.5, weight_power=0.5)
    found = model.fit(pairs, seed=1, threads=1)
    folded = found.fold_in.vectors(found.leads, pairs)
    np.testing.assert_allclose(folded, found.members, rtol=1e-4, atol=1e-5)


def test_spectral_of_full_rank_is_the_normalised_matrix_itself() -> None:
    """With all directions and plain output, member @ lead = R V V^T d^c, so R d^c itself."""
    pairs = planted()[0]
    found = SpectralModel(80, 0.5, 0.5, 0.5).fit(pairs, seed=1, threads=1)
    degrees = np.asarray((pairs > 0).sum(axis=1), np.float64).ravel()
    with np.errstate(divide="ignore"):
        expected = (pairs > 0).toarray() * np.where(degrees > 0, degrees**-0.5, 0.0)[:, None]
    active = degrees > 0
    scores = found.members @ found.leads.T
    np.testing.assert_allclose(scores[active], expected[active], atol=1e-4)


def test_blend_scores_are_the_weighted_standardised_scores() -> None:
    pairs, content, member_content = planted()
    parts = [m.fit(pairs, content, member_content, seed=1, threads=1) for m in MODELS[:3]]
    found = blend(parts, [1.0, 0.5, 0.0], seed=3)
    assert found.name == "spectral+als"
    plain = [p.members @ p.leads.T for p in parts[:2]]
    scores = found.members @ found.leads.T
    coefficients = np.linalg.lstsq(
        np.stack([p.ravel() for p in plain], axis=1), scores.ravel(), rcond=None
    )[0]
    spreads = coefficients * [p.std() for p in plain]
    assert spreads[1] / spreads[0] == pytest.approx(0.5, rel=0.1)
    rebuilt = sum(c * p for c, p in zip(coefficients, plain, strict=True))
    np.testing.assert_allclose(scores, rebuilt, atol=1e-3)
    assert found.member_map is not None
    silent = found.member_map.vectors(member_content)[SILENT_MEMBER]
    np.testing.assert_allclose(silent, found.members[SILENT_MEMBER], rtol=1e-4, atol=1e-5)


def test_a_blend_has_maps_only_where_every_part_has() -> None:
    whole = fitted(MODELS[0])
    assert blend([whole, replace(whole, content_map=None)], [1.0, 1.0]).content_map is None


def test_centred_scores_and_levels_are_the_scores() -> None:
    _, content, _ = planted()
    whole = fitted(MODELS[0])
    found = centred(whole)
    levels = found.fold_in.levels(found.members)
    np.testing.assert_allclose(
        found.members @ found.leads.T + levels[:, None], whole.members @ whole.leads.T, atol=1e-4
    )
    assert levels.min() > 0.01
    np.testing.assert_allclose(found.leads.mean(axis=0), 0.0, atol=1e-6)
    assert found.content_map is not None
    untouched = found.content_map.vectors(content)[UNTOUCHED_LEAD]
    np.testing.assert_allclose(untouched, found.leads[UNTOUCHED_LEAD], rtol=1e-4, atol=1e-5)
    again = centred(found).fold_in.lead_mean
    np.testing.assert_allclose(again, found.fold_in.lead_mean, atol=1e-6)


def test_a_blend_needs_a_weight() -> None:
    with pytest.raises(ValueError, match="weight above zero"):
        blend([fitted(MODELS[0])], [0.0])


@EVERY_MODEL
def test_content_of_another_size_is_refused(model: EmbeddingModel) -> None:
    pairs, content, member_content = planted()
    with pytest.raises(ValueError, match="79 rows for 80 leads"):
        model.fit(pairs, content[:79], seed=1, threads=1)
    with pytest.raises(ValueError, match="119 rows for 120 members"):
        model.fit(pairs, content, member_content[:119], seed=1, threads=1)


@EVERY_MODEL
def test_the_input_is_left_as_it_was(model: EmbeddingModel) -> None:
    pairs = planted()[0]
    before = pairs.copy()
    model.fit(pairs, seed=1, threads=1)
    assert (pairs != before).nnz == 0

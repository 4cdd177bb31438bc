"""Fold-in: the formulas, composition, and the way to disk and back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from recsvc.model.foldin import FoldIn, GramPart, LinearPart

LEADS = np.array([[1.0, 0.0, 2.0], [0.0, 1.0, 4.0], [3.0, 1.0, 8.0]], np.float32)


def linear_part() -> LinearPart:
    return LinearPart(
        start=0,
        stop=3,
        gain=np.array([1.0, 2.0, 0.0], np.float32),
        offset=np.array([0.0, 0.0, 1.0], np.float32),
        scale_column=2,
        length_exponent=0.5,
        weight_power=1.0,
    )


def gram_part(scale: float = 1.0) -> GramPart:
    gram = (LEADS.T @ LEADS + 0.5 * np.eye(3)).astype(np.float32)
    return GramPart(start=0, stop=3, gram=gram, alpha=5.0, scale=scale)


def fold(*parts: LinearPart | GramPart) -> FoldIn:
    default = np.array([7.0, 8.0, 9.0] * len(parts), np.float32)
    return FoldIn(parts, default, np.zeros_like(default))


def test_linear_fold_is_the_stated_formula() -> None:
    vector = fold(linear_part()).vector(LEADS[:2], np.array([1.0, 3.0], np.float32))
    # (1 * 2 * lead0 + 3 * 4 * lead1) / sqrt(4) = (1, 6, ...), gain (1, 2, 0), offset (0, 0, 1)
    np.testing.assert_allclose(vector, [1.0, 12.0, 1.0], rtol=1e-6)


def test_gram_fold_solves_the_weighted_normal_equations() -> None:
    weights = np.array([1.0, 2.0], np.float32)
    vector = fold(gram_part()).vector(LEADS[:2], weights)
    confidence = np.array([5.0, 10.0, 1.0])
    wanted = np.array([5.0, 10.0, 0.0])
    normal = LEADS.T @ np.diag(confidence) @ LEADS + 0.5 * np.eye(3)
    np.testing.assert_allclose(vector, np.linalg.solve(normal, LEADS.T @ wanted), rtol=1e-4)


def test_leads_without_their_mean_fold_as_whole_ones() -> None:
    whole, weights = fold(gram_part(), linear_part()), np.array([1.0, 2.0], np.float32)
    leads, mean = np.hstack([LEADS, LEADS]), np.arange(6, dtype=np.float32)
    found = replace(whole, lead_mean=mean).vector(leads[:2] - mean, weights)
    np.testing.assert_allclose(found, whole.vector(leads[:2], weights), rtol=1e-4)


@pytest.mark.parametrize("weights", [[], [0.0], [-1.0]])
def test_without_history_the_default_is_given(weights: list[float]) -> None:
    found = fold(linear_part())
    vector = found.vector(LEADS[: len(weights)], np.array(weights, np.float32))
    np.testing.assert_array_equal(vector, found.default)
    vector[0] = -1.0
    assert found.default[0] == 7.0


def test_entries_without_weight_do_not_count() -> None:
    found = fold(gram_part())
    whole = found.vector(LEADS, np.array([1.0, 0.0, 2.0], np.float32))
    part = found.vector(LEADS[[0, 2]], np.array([1.0, 2.0], np.float32))
    np.testing.assert_array_equal(whole, part)


def test_vectors_of_many_members_are_those_of_each() -> None:
    found = fold(linear_part())
    history = sparse.csr_matrix(np.array([[1.0, 0, 2], [0, 0, 0], [0, 3, 0]], np.float32))
    members = found.vectors(LEADS, history)
    one = found.vector(LEADS[[0, 2]], np.array([1.0, 2.0], np.float32))
    np.testing.assert_array_equal(members[0], one)
    np.testing.assert_array_equal(members[1], found.default)


def test_joined_folds_give_scaled_vectors_side_by_side() -> None:
    first, second = fold(linear_part()), fold(gram_part())
    weights = np.array([1.0, 3.0], np.float32)
    joined = FoldIn.joined([first, second], [2.0, 0.5])
    wide = np.concatenate([LEADS, LEADS], axis=1)[:2]
    vector = joined.vector(wide, weights)
    np.testing.assert_allclose(vector[:3], 2 * first.vector(LEADS[:2], weights), rtol=1e-6)
    np.testing.assert_allclose(vector[3:], second.vector(LEADS[:2], weights) / 2, rtol=1e-6)
    np.testing.assert_allclose(joined.default[:4], [14.0, 16.0, 18.0, 3.5])


def test_fold_survives_a_file_without_pickles(tmp_path: Path) -> None:
    joined = FoldIn.joined([fold(linear_part()), fold(gram_part(2.0))], [1.0, 0.5])
    arrays: dict[str, Any] = joined.to_arrays()
    np.savez(tmp_path / "fold.npz", **arrays)
    with np.load(tmp_path / "fold.npz", allow_pickle=False) as file:
        read = FoldIn.from_arrays(dict(file))
    wide = np.concatenate([LEADS, LEADS], axis=1)
    weights = np.array([1.0, 2.0, 3.0], np.float32)
    np.testing.assert_array_equal(read.vector(wide, weights), joined.vector(wide, weights))
    np.testing.assert_array_equal(read.default, joined.default)


def test_a_missing_array_is_an_error_and_not_a_guess() -> None:
    arrays = fold(gram_part()).to_arrays()
    del arrays["part0.gram"]
    with pytest.raises(KeyError):
        FoldIn.from_arrays(arrays)

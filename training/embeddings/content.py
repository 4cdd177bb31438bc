"""The content map: words and topics -> vectors in the space of a trained embedding.

A ridge regression from content to the trained vectors, which gives a vector to leads nobody touched
yet, and to members without history. Of the trained vectors only the directions are predicted that
matter most to scores.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import eigh

from recsvc.model.foldin import ContentMap, content_lengths
from training.embeddings.base import Floats

Doubles = NDArray[np.float64]

# Floating point operations one map may take: more content means fewer steps, not a longer night.
_MOST_WORK = 6e10


@dataclass(frozen=True)
class ContentConfig:
    """How the map is fitted.

    rank: directions of the vectors that are predicted, at most. regularization: ridge, for content
    rows of length 1. count_power: a row seen n times weighs n ** count_power. most_iterations: of
    the conjugate gradients; stopping early regularises too.
    """

    rank: int = 320
    regularization: float = 4.0
    count_power: float = 0.0
    most_iterations: int = 40


def fit_content_map(
    content: sparse.csr_matrix,
    targets: Floats,
    counts: NDArray[np.int64],
    partners: Floats,
    config: ContentConfig,
) -> ContentMap:
    """Ridge from content csr float32[n, t] to targets float32[n, d], over rows with counts > 0.

    `partners` float32[m, d] are the other side's vectors: an error counts as the error of scores
    with them. With no usable row the map gives zero vectors. Reproducible byte for byte.
    """
    known = np.flatnonzero((counts > 0) & (np.diff(content.indptr) > 0))
    if not len(known):
        return ContentMap.zero(content.shape[1], targets.shape[1])
    weights = (counts[known].astype(np.float64) ** config.count_power).astype(np.float32)
    weights /= weights.mean()
    rows, goals = _with_lengths(content[known]), targets[known]
    mean_goal = weights @ goals / weights.sum()
    goals = goals - mean_goal
    into, back = _score_directions(goals * np.sqrt(weights)[:, None], partners, config.rank)
    found = _ridge(rows, goals @ into, weights, config)
    centre = np.asarray(weights @ rows).ravel() / weights.sum()
    terms, length = found[:-2], found[-2:]
    bias = mean_goal - (centre @ found) @ back
    return ContentMap(terms, back, bias.astype(np.float32), length)


def _with_lengths(content: sparse.csr_matrix) -> sparse.csr_matrix:
    """Two more columns: how many terms a row has says how many members it may find."""
    lengths = sparse.csr_matrix(content_lengths(content))
    return sparse.hstack([content, lengths], format="csr", dtype=np.float32)


def _score_directions(goals: Floats, partners: Floats, rank: int) -> tuple[Floats, Floats]:
    """Projections into float32[d, r] and back float32[r, d] that keep most of the scores.

    The best rank-r approximation of `goals @ partners.T`, from the two Gram matrices. A direction
    that no partner has is left out: it counts in no score.
    """
    if goals.shape[1] <= rank:
        identity = np.eye(goals.shape[1], dtype=np.float32)
        return identity, identity
    partner_gram = (partners.T @ partners).astype(np.float64) / max(len(partners), 1)
    squares, vectors = eigh(partner_gram)
    used = squares > 1e-9 * max(squares[-1], 1e-30)
    root = vectors[:, used] * np.sqrt(squares[used])
    inverse = vectors[:, used] / np.sqrt(squares[used])
    scores_gram = root.T @ (goals.T @ goals).astype(np.float64) @ root
    _, kept = eigh(scores_gram)
    kept = kept[:, ::-1][:, :rank]
    return (root @ kept).astype(np.float32), (inverse @ kept).T.astype(np.float32)


def _ridge(
    rows: sparse.csr_matrix, goals: Floats, weights: Floats, config: ContentConfig
) -> Floats:
    """argmin sum w |(rows - mean) X - goals|^2 + regularization |X|^2: float32[t, r].

    Conjugate gradients for all columns at once, preconditioned by the diagonal (Saad 2003).
    """
    transposed, total = rows.T.tocsr(), float(weights.sum())
    column = weights[:, None]
    mean = np.asarray(transposed @ weights, np.float32) / total
    squares = rows.multiply(rows).T @ weights - total * mean**2
    inverse = (1.0 / (np.maximum(squares, 0.0) + config.regularization))[:, None].astype(np.float32)

    def normal(x: Floats) -> Floats:
        image = rows @ x - mean @ x
        product: Floats = transposed @ (column * image) + np.float32(config.regularization) * x
        return product

    residual = np.asarray(transposed @ (column * goals), np.float32)
    solution = np.zeros_like(residual)
    direction = inverse * residual
    rho = _dots(residual, direction)
    enough = 1e-6 * rho
    for _ in range(_iterations(rows.nnz * goals.shape[1], config.most_iterations)):
        if (rho <= enough).all():
            break
        image = normal(direction)
        step = _ratio(rho, _dots(direction, image))
        solution += step * direction
        residual -= step * image
        scaled = inverse * residual
        before, rho = rho, _dots(residual, scaled)
        direction = scaled + _ratio(rho, before) * direction
    return solution


def _iterations(products_count: int, most: int) -> int:
    return int(np.clip(_MOST_WORK / max(4 * products_count, 1), min(8, most), most))


def _dots(first: Floats, second: Floats) -> Doubles:
    sums: Doubles = np.einsum("ij,ij->j", first, second, dtype=np.float64)
    return sums


def _ratio(above: Doubles, below: Doubles) -> Floats:
    safe = np.divide(above, below, out=np.zeros_like(above), where=below > 0.0)
    return safe.astype(np.float32)

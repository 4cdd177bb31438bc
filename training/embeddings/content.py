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

from recsvc.model.arrays import F32
from recsvc.model.content_map import ContentMap, content_lengths
from training.embeddings.ridge import ridge


@dataclass(frozen=True)
class ContentConfig:
    """How the map is fitted.

    rank: directions of the vectors that are predicted, at most. regularization: ridge, for content
    rows of length 1. count_power: a row seen n times weighs n ** count_power. most_iterations: of
    the conjugate gradients. Few directions and few iterations regularise, too.
    """

    rank: int = 128
    regularization: float = 8.0
    count_power: float = 0.0
    most_iterations: int = 6


def fit_content_map(
    content: sparse.csr_matrix,
    targets: F32,
    counts: NDArray[np.int64],
    partners: F32,
    config: ContentConfig,
    *,
    threads: int = 1,
) -> ContentMap:
    """Ridge from content csr float32[n, t] to targets float32[n, d], over rows with counts > 0.

    `partners` float32[m, d] are the other side's vectors: an error counts as the error of scores
    with them. With no usable row the map gives zero vectors. Reproducible byte for byte, with any
    number of threads.
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
    found = ridge(
        rows,
        goals @ into,
        weights,
        regularization=config.regularization,
        iterations=config.most_iterations,
        threads=threads,
    )
    centre = np.asarray(weights @ rows).ravel() / weights.sum()
    terms, length = found[:-2], found[-2:]
    bias = mean_goal - (centre @ found) @ back
    return ContentMap(terms, back, bias.astype(np.float32), length)


def _with_lengths(content: sparse.csr_matrix) -> sparse.csr_matrix:
    """Two more columns: how many terms a row has says how many members it may find."""
    lengths = sparse.csr_matrix(content_lengths(content))
    return sparse.hstack([content, lengths], format="csr", dtype=np.float32)


def _score_directions(goals: F32, partners: F32, rank: int) -> tuple[F32, F32]:
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

"""The content map: words and topics -> vectors in the space of a trained embedding.

A ridge regression from TF-IDF-weighted, SVD-reduced content to the trained vectors, in which a lead
that many members touched counts more, because its vector is known better. It gives a vector to
leads nobody touched yet, and to members without history.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recsvc.foldin import ContentMap, FoldIn, GramPart, LinearPart
from training.embeddings.base import (
    Embedding,
    Floats,
    TrainingData,
    lead_counts,
    mean_vector,
    with_default,
)
from training.embeddings.svd import truncated_svd


@dataclass(frozen=True)
class ContentConfig:
    """How the map is fitted.

    rank: directions of content kept (at most; 0 never). regularization: ridge, in units of the mean
    weighted squared norm of a direction. count_power: a row seen n times weighs n ** count_power.
    """

    rank: int = 1000
    regularization: float = 1.0
    count_power: float = 0.5


def fit_content_map(
    content: sparse.csr_matrix,
    targets: Floats,
    counts: NDArray[np.int64],
    config: ContentConfig,
    *,
    seed: int,
    threads: int,
) -> ContentMap:
    """Ridge from content csr float32[n, t] to targets float32[n, d], over rows with counts > 0.

    Raises nothing on empty input: with no usable row the map gives zero vectors.
    """
    known = np.flatnonzero((counts > 0) & (np.diff(content.indptr) > 0))
    rank = min(config.rank, len(known), content.shape[1])
    if rank == 0:
        return _zero_map(content.shape[1], targets.shape[1])
    used = content[known]
    terms = truncated_svd(used, rank, seed=seed, threads=threads).right
    reduced = np.asarray(used @ terms, np.float64)
    weights = counts[known].astype(np.float64) ** config.count_power
    weights /= weights.mean()
    mix, bias = _ridge(reduced, targets[known].astype(np.float64), weights, config.regularization)
    return ContentMap(terms, mix, bias)


def _ridge(
    inputs: NDArray[np.float64],
    targets: NDArray[np.float64],
    weights: NDArray[np.float64],
    regularization: float,
) -> tuple[Floats, Floats]:
    """Weighted ridge with an unpenalised intercept: mix float32[r, d] and bias float32[d]."""
    total = weights.sum()
    centre, goal = weights @ inputs / total, weights @ targets / total
    centred = inputs - centre
    weighted = centred * weights[:, None]
    gram = weighted.T @ centred
    gram[np.diag_indices_from(gram)] += max(regularization, 1e-6)
    mix = np.linalg.solve(gram, weighted.T @ (targets - goal))
    return mix.astype(np.float32), (goal - centre @ mix).astype(np.float32)


def _zero_map(terms_count: int, dimensions_count: int) -> ContentMap:
    return ContentMap(
        np.zeros((terms_count, 0), np.float32),
        np.zeros((0, dimensions_count), np.float32),
        np.zeros(dimensions_count, np.float32),
    )


def finished(
    name: str,
    members: Floats,
    leads: Floats,
    parts: tuple[LinearPart | GramPart, ...],
    data: TrainingData,
    config: ContentConfig,
    *,
    seed: int,
    threads: int,
) -> Embedding:
    """The Embedding around trained vectors: content maps, untouched leads, silent members.

    Leads without interactions get the content map's vector (zero without content), members without
    any get the member map's or else the mean member.
    """
    counts = lead_counts(data.interactions)
    leads = np.array(leads, np.float32, order="C")
    leads[counts == 0] = 0.0
    content_map = member_map = None
    if data.content is not None:
        content_map = fit_content_map(
            data.content, leads, counts, config, seed=seed, threads=threads
        )
        leads[counts == 0] = content_map.vectors(data.content[counts == 0])
    default = mean_vector(members, data.interactions)
    members = with_default(members, data.interactions, default)
    if data.member_content is not None:
        active = np.diff(data.interactions.indptr).astype(np.int64)
        member_map = fit_content_map(
            data.member_content, members, active, config, seed=seed, threads=threads
        )
        members[active == 0] = member_map.vectors(data.member_content[active == 0])
    return Embedding(name, members, leads, FoldIn(parts, default), content_map, member_map)

"""How well an embedding finds what was held out of the events, for the choice between models.

Only ever sees the events it is given: truth files and the later part of the log stay out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from training.embeddings.base import Embedding, TrainingData, as_csr
from training.embeddings.ranks import Mixture, Part, Places, Question, Rows, find_places

_MOST_MEMBERS = 4_000


@dataclass(frozen=True)
class Holdout:
    """Events to learn from, pairs held out of them, and leads held out whole.

    warm csr float32[m, n]: pairs of leads that `train` knows. cold: the pairs of `cold_leads`
    int64[c], which have no interaction left in `train`.
    """

    train: TrainingData
    warm: sparse.csr_matrix
    cold: sparse.csr_matrix
    cold_leads: Rows


@dataclass(frozen=True)
class Figures:
    """warm: mean of Recall@20 and NDCG@20 among known leads; cold: Recall@100 among untouched."""

    warm: float
    cold: float


def hold_out(data: TrainingData, *, share: float, cold_share: float, seed: int) -> Holdout:
    """Cuts `share` of the pairs and, whole, `cold_share` of the leads that have pairs."""
    rng = np.random.default_rng(seed)
    pairs = data.interactions.tocoo()
    counts = np.bincount(pairs.col, minlength=pairs.shape[1])
    touched = np.flatnonzero(counts)
    cold_leads = np.sort(rng.choice(touched, int(cold_share * len(touched)), replace=False))
    is_cold = np.isin(pairs.col, cold_leads)
    drawn = rng.random(pairs.nnz) < share
    parts = []
    for mask in (~is_cold & ~drawn, ~is_cold & drawn, is_cold):
        triple = (pairs.data[mask], (pairs.row[mask], pairs.col[mask]))
        parts.append(as_csr(sparse.csr_matrix(triple, shape=pairs.shape)))
    known = np.bincount(parts[0].indices, minlength=pairs.shape[1]) > 0
    warm = as_csr(parts[1] @ sparse.diags(known.astype(np.float32)))
    train = TrainingData(parts[0], data.content, data.member_content)
    return Holdout(train, warm, parts[2], cold_leads)


def measure(embedding: Embedding, holdout: Holdout, seed: int, *, threads: int = 1) -> Figures:
    """Figures over at most 4,000 members each; 0 where nothing is held out."""
    part = Part(embedding.members, embedding.leads)
    return measure_mixtures([part], [Mixture((1.0,))], holdout, seed, threads=threads)[0]


def measure_mixtures(
    parts: Sequence[Part],
    mixtures: Sequence[Mixture],
    holdout: Holdout,
    seed: int,
    *,
    threads: int,
) -> list[Figures]:
    """`measure` of each mixture; what they share is multiplied once."""
    questions = _known(holdout, seed), _untouched(holdout, seed)
    warm, cold = (find_places(q, parts, mixtures, threads=threads) for q in questions)
    return [
        Figures((_recall(w, 20) + _ndcg(w, 20)) / 2.0, _recall(c, 100))
        for w, c in zip(warm, cold, strict=True)
    ]


def _known(holdout: Holdout, seed: int) -> Question:
    train = holdout.train.interactions
    known = np.setdiff1d(np.arange(train.shape[1]), holdout.cold_leads)
    return Question(_asked(holdout.warm, seed), holdout.warm, known, train)


def _untouched(holdout: Holdout, seed: int) -> Question:
    return Question(_asked(holdout.cold, seed), holdout.cold, holdout.cold_leads, None)


def _asked(held: sparse.csr_matrix, seed: int) -> Rows:
    """At most 4,000 of the members that something was held out of, ascending."""
    asked = np.flatnonzero(np.diff(held.indptr))
    if len(asked) > _MOST_MEMBERS:
        asked = np.sort(np.random.default_rng(seed).choice(asked, _MOST_MEMBERS, replace=False))
    return asked


def _recall(found: Places, k: int) -> float:
    return _mean_sum((found.places < k).astype(np.float64), found, np.diff(found.starts))


def _ndcg(found: Places, k: int) -> float:
    gains = np.where(found.places < k, 1.0 / np.log2(found.places.astype(np.float64) + 2.0), 0.0)
    best = np.cumsum(1.0 / np.log2(np.arange(k) + 2.0))
    return _mean_sum(gains, found, best[np.minimum(np.diff(found.starts), k) - 1])


def _mean_sum(values: NDArray[np.float64], found: Places, best: NDArray[Any]) -> float:
    """Mean over members of the sum of their values (float64[wanted]) over `best` (float64[a])."""
    if not len(best):
        return 0.0
    return float((np.add.reduceat(values, found.starts[:-1]) / best).mean())

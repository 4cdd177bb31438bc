"""How well an embedding finds what was held out of the events, for the choice between models.

Only ever sees the events it is given: truth files and the later part of the log stay out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from training.embeddings.base import Embedding, Floats, TrainingData, as_csr

Rows = NDArray[np.int64]

_MOST_MEMBERS = 4_000
_BATCH = 250
_DEEPEST = 100


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


def measure(embedding: Embedding, holdout: Holdout, seed: int) -> Figures:
    """Figures over at most 4,000 members each; 0 where nothing is held out."""
    known = np.setdiff1d(np.arange(embedding.leads.shape[0]), holdout.cold_leads)
    seen = holdout.train.interactions[:, known].tocsr()
    found = _ranks(embedding, holdout.warm, known, seen, seed)
    warm = (_recall(found, 20) + _ndcg(found, 20)) / 2.0
    cold = _recall(_ranks(embedding, holdout.cold, holdout.cold_leads, None, seed), 100)
    return Figures(warm, cold)


def _ranks(
    embedding: Embedding,
    held: sparse.csr_matrix,
    candidates: Rows,
    seen: sparse.csr_matrix | None,
    seed: int,
) -> list[Floats]:
    """For each asked member the places (from 0) of what was held out, among the candidates.

    `seen` csr float32[m, candidates]: what the member had before, which is no candidate.
    """
    asked = np.flatnonzero(np.diff(held.indptr))
    if len(asked) > _MOST_MEMBERS:
        asked = np.sort(np.random.default_rng(seed).choice(asked, _MOST_MEMBERS, replace=False))
    within = held[:, candidates].tocsr()
    leads = np.ascontiguousarray(embedding.leads[candidates].T)
    ranks: list[Floats] = []
    for start in range(0, len(asked), _BATCH):
        members = asked[start : start + _BATCH]
        scores = embedding.members[members] @ leads
        for row, member in zip(scores, members, strict=True):
            if seen is not None:
                row[seen.indices[seen.indptr[member] : seen.indptr[member + 1]]] = -np.inf
            wanted = row[within.indices[within.indptr[member] : within.indptr[member + 1]]]
            ranks.append(_places(row, wanted))
    return ranks


def _places(scores: Floats, wanted: Floats) -> Floats:
    """Places of the wanted scores as far as they matter; ties count half, as chance places them."""
    kept = min(_DEEPEST, len(scores))
    top = np.partition(scores, len(scores) - kept)[len(scores) - kept :]
    places = np.full(len(wanted), len(scores), np.float32)
    for at in np.flatnonzero(wanted >= top.min()):
        # The last place may be shared with leads further down: count in all of them.
        among = scores if wanted[at] == top.min() else top
        above, equal = (among > wanted[at]).sum(), (among == wanted[at]).sum()
        places[at] = above + (equal - 1) / 2.0
    return places


def _recall(ranks: list[Floats], k: int) -> float:
    return float(np.mean([(r < k).mean() for r in ranks])) if ranks else 0.0


def _ndcg(ranks: list[Floats], k: int) -> float:
    if not ranks:
        return 0.0
    best = np.cumsum(1.0 / np.log2(np.arange(k) + 2.0))
    gains = [(1.0 / np.log2(r[r < k] + 2.0)).sum() / best[min(len(r), k) - 1] for r in ranks]
    return float(np.mean(gains))

"""What every embedding model takes and gives, and how several become one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recsvc.model.arrays import F32
from recsvc.model.content_map import ContentMap
from recsvc.model.foldin import FoldIn, LinearPart

_SAMPLED_PAIRS_COUNT = 200_000


@dataclass(frozen=True)
class Embedding:
    """Trained vectors: the score of a pair is the plain inner product members[m] @ leads[n].

    Once `centred`, what a member's scores have in common is out of it: see there.

    members float32[m, d] and leads float32[n, d] are finite and C-contiguous; biases are columns in
    which the other side is 1. A member without events has the fold-in's default, a lead without
    events the content map's vector (the zero vector when there is no content).
    `content_map` and `member_map` give vectors for new leads and members from their words.
    """

    name: str
    members: F32
    leads: F32
    fold_in: FoldIn
    content_map: ContentMap | None = None
    member_map: ContentMap | None = None

    @property
    def dimensions_count(self) -> int:
        """d, the number of columns."""
        return int(self.leads.shape[1])


@dataclass(frozen=True)
class TrainingData:
    """What a model learns from: interactions csr float32[m, n], content [n, t], members' [m, u]."""

    interactions: sparse.csr_matrix
    content: sparse.csr_matrix | None = None
    member_content: sparse.csr_matrix | None = None

    @classmethod
    def checked(
        cls,
        interactions: sparse.csr_matrix,
        content: sparse.csr_matrix | None,
        member_content: sparse.csr_matrix | None,
    ) -> TrainingData:
        """Clean float32 CSR; raises ValueError when the shapes do not belong together.

        What is clean already is not copied: nobody writes into training data.
        """
        members_count, leads_count = interactions.shape
        if content is not None and content.shape[0] != leads_count:
            raise ValueError(f"content has {content.shape[0]} rows for {leads_count} leads")
        if member_content is not None and member_content.shape[0] != members_count:
            rows = member_content.shape[0]
            raise ValueError(f"member content has {rows} rows for {members_count} members")
        return cls(
            _clean(interactions),
            None if content is None else _clean(content),
            None if member_content is None else _clean(member_content),
        )


class EmbeddingModel(Protocol):
    """A model with its hyper-parameters, ready to fit any data."""

    @property
    def name(self) -> str: ...

    def fit(
        self,
        interactions: sparse.csr_matrix,
        content: sparse.csr_matrix | None = None,
        member_content: sparse.csr_matrix | None = None,
        *,
        seed: int,
        threads: int,
    ) -> Embedding:
        """Learn from interactions csr float32[m, n], one weight > 0 a member and lead.

        content csr float32[n, t] and member_content csr float32[m, u] are words and topics
        (rows L2-normalised); empty rows and columns are allowed everywhere.
        """
        ...


def _clean(matrix: sparse.spmatrix) -> sparse.csr_matrix:
    """The matrix itself where it is what `as_csr` would make of it."""
    clean = (
        isinstance(matrix, sparse.csr_matrix)
        and matrix.dtype == np.float32
        and matrix.has_canonical_format
        and bool(np.all(matrix.data))
    )
    return matrix if clean else as_csr(matrix)


def as_csr(matrix: sparse.spmatrix) -> sparse.csr_matrix:
    """A float32 CSR with sorted indices and without stored zeros; the input stays as it was."""
    copied = sparse.csr_matrix(matrix, dtype=np.float32, copy=True)
    copied.sum_duplicates()
    copied.eliminate_zeros()
    return copied


def powered(interactions: sparse.csr_matrix, weight_power: float) -> sparse.csr_matrix:
    """The same pairs with weight ** weight_power (0 makes every weight 1)."""
    changed = as_csr(interactions)
    changed.data **= np.float32(weight_power)
    return changed


def lead_counts(interactions: sparse.csr_matrix) -> NDArray[np.int64]:
    """How many members touched each lead, int64[n]."""
    counts: NDArray[np.int64] = np.bincount(
        interactions.indices, minlength=interactions.shape[1]
    ).astype(np.int64)
    return counts


def mean_vector(members: F32, interactions: sparse.csr_matrix) -> F32:
    """The mean vector (float32[d]) of the members that have any interaction (zero if none)."""
    active = np.diff(interactions.indptr) > 0
    if not active.any():
        return np.zeros(members.shape[1], np.float32)
    mean: F32 = members[active].mean(axis=0, dtype=np.float64).astype(np.float32)
    return mean


def with_default(members: F32, interactions: sparse.csr_matrix, default: F32) -> F32:
    """A copy of the members in which rows without interactions are `default` (C-contiguous)."""
    filled = np.array(members, np.float32, order="C")
    filled[np.diff(interactions.indptr) == 0] = default
    return filled


def untrained(name: str, data: TrainingData) -> Embedding:
    """One column of zeros: what a model knows when there is no interaction at all."""
    members_count, leads_count = data.interactions.shape
    none = np.zeros(1, np.float32)
    part = LinearPart(start=0, stop=1, gain=none, offset=none)
    return Embedding(
        name,
        np.zeros((members_count, 1), np.float32),
        np.zeros((leads_count, 1), np.float32),
        FoldIn((part,), none, none),
        None if data.content is None else ContentMap.zero(data.content.shape[1], 1),
        None if data.member_content is None else ContentMap.zero(data.member_content.shape[1], 1),
    )


def score_spread(embedding: Embedding, seed: int) -> float:
    """Standard deviation of the scores of random pairs; 1 when it is zero."""
    rng = np.random.default_rng(seed)
    members, leads = embedding.members, embedding.leads
    if not len(members) or not len(leads):
        return 1.0
    rows = rng.integers(len(members), size=max(1, _SAMPLED_PAIRS_COUNT // 512))
    columns = rng.integers(len(leads), size=512)
    spread = float(np.std(members[rows].astype(np.float64) @ leads[columns].T))
    return spread if spread > 0.0 else 1.0


def blend(embeddings: Sequence[Embedding], weights: Sequence[float], *, seed: int = 0) -> Embedding:
    """One embedding whose score is the weighted sum of the given ones' standardised scores.

    Vectors are laid side by side; scores are brought to one spread first, so weights compare
    models and not units. Models of weight 0 are left out. FoldIn and ContentMap compose; the maps
    exist only where every part has them. Raises ValueError when no weight is above zero.
    """
    used = [(e, w) for e, w in zip(embeddings, weights, strict=True) if w > 0.0]
    if not used:
        raise ValueError("a blend needs a weight above zero: give one for each embedding")
    parts = [e for e, _ in used]
    scales = [w / score_spread(e, seed) for e, w in used]
    members = [e.members * np.float32(s) for e, s in zip(parts, scales, strict=True)]
    return Embedding(
        name="+".join(e.name for e in parts),
        members=np.concatenate(members, axis=1),
        leads=np.concatenate([e.leads for e in parts], axis=1),
        fold_in=FoldIn.joined([e.fold_in for e in parts], scales),
        content_map=_joined_maps([e.content_map for e in parts], [1.0] * len(parts)),
        member_map=_joined_maps([e.member_map for e in parts], scales),
    )


def centred(embedding: Embedding) -> Embedding:
    """The same embedding with the mean of all leads' vectors taken out of each.

    A score then says how a lead differs from others for a member. How high the member's scores are
    as a whole (`FoldIn.levels`) tells of the member and not of any lead: one weight for both let
    willingness weigh down interest, or interest willingness.
    """
    count = max(1, len(embedding.leads))
    mean = (embedding.leads.sum(axis=0, dtype=np.float64) / count).astype(np.float32)
    content = embedding.content_map
    return replace(
        embedding,
        leads=embedding.leads - mean,
        fold_in=replace(embedding.fold_in, lead_mean=embedding.fold_in.lead_mean + mean),
        content_map=None if content is None else content.shifted(-mean),
    )


def _joined_maps(maps: Sequence[ContentMap | None], scales: Sequence[float]) -> ContentMap | None:
    scaled = [m.scaled(s) for m, s in zip(maps, scales, strict=True) if m is not None]
    return ContentMap.joined(scaled) if len(scaled) == len(maps) else None

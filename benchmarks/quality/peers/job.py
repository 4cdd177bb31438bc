"""What a peer is told and what it answers: one .npz each, read by both environments.

Rows are those of the data set's members and leads. Nothing here is pickled.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Ints = NDArray[np.int32]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Job:
    """The training part of a log, what is known of members and leads, and one question.

    question: "lists" (the best k of `candidates` for each of `asked` members, nothing `excluded`),
    "pairs" (a score for each of `pair_member`, `pair_lead`) or "matches" (the best k members for
    each of `asked` leads). Contents are counts of words and topics over one vocabulary.
    Coordinates are radians, NaN unknown; `fold_leads`: the question is about untouched leads.
    """

    question: str
    claim_member: Ints
    claim_lead: Ints
    claim_count: Floats
    exposed_member: Ints
    exposed_lead: Ints
    exposed_label: Floats
    exposed_us: NDArray[np.int64]
    lead_content: sparse.csr_matrix
    member_content: sparse.csr_matrix
    lead_latitude: Floats
    lead_longitude: Floats
    member_latitude: Floats
    member_longitude: Floats
    lead_us: NDArray[np.int64]
    as_of_us: int
    fold_leads: bool
    asked: Ints
    candidates: Ints
    excluded: sparse.csr_matrix
    pair_member: Ints
    pair_lead: Ints
    k: int
    seed: int
    threads: int

    @property
    def shape(self) -> tuple[int, int]:
        """(members, leads)."""
        return int(self.member_content.shape[0]), int(self.lead_content.shape[0])

    def interactions(self) -> sparse.csr_matrix:
        """csr float32[m, n]: how often a member took a lead."""
        triple = (self.claim_count, (self.claim_member, self.claim_lead))
        return sparse.csr_matrix(triple, shape=self.shape)

    def untouched(self) -> NDArray[np.bool_]:
        """bool[n]: leads that nobody has taken."""
        return np.asarray(np.bincount(self.claim_lead, minlength=self.shape[1]) == 0)


@dataclass(frozen=True)
class Reply:
    """What a peer answers: rows int32[asked, k] (-1 = no more) or scores float32[pairs]."""

    rows: Ints
    scores: Floats
    seconds: float
    peak_mib: float


_SPARSE = ("data", "indices", "indptr", "shape")


def save(thing: Job | Reply, path: Path) -> None:
    """Writes it as .npz."""
    arrays: dict[str, Any] = {}
    for field in fields(thing):
        value = getattr(thing, field.name)
        if sparse.issparse(value):
            arrays |= {f"{field.name}.{part}": getattr(value, part) for part in _SPARSE}
        else:
            arrays[field.name] = value
    np.savez(path, **arrays)


def load_job(path: Path) -> Job:
    """Reads a Job."""
    return Job(**_load(path, Job))


def load_reply(path: Path) -> Reply:
    """Reads a Reply."""
    return Reply(**_load(path, Reply))


def _load(path: Path, kind: type[Job] | type[Reply]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with np.load(path, allow_pickle=False) as file:
        for field in fields(kind):
            if f"{field.name}.data" in file:
                data, indices, indptr, shape = (file[f"{field.name}.{p}"] for p in _SPARSE)
                found[field.name] = sparse.csr_matrix(
                    (data, indices, indptr), shape=tuple(shape.tolist())
                )
            else:
                array = file[field.name]
                found[field.name] = array.item() if array.ndim == 0 else array
    return found

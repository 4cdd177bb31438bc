"""Places of held-out leads among all candidates: counted, not sorted.

Models that differ in a factor or in how parts are mixed share the products of their parts, which
cost most.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from threadpoolctl import threadpool_limits

from recsvc.model.arrays import F32

Rows = NDArray[np.int64]

_DEEPEST = 1_000
"""Further down nobody looks: who shares a place there is not counted."""
_CELLS = 8_000_000
_MOST_ROWS = 128
"""Scores of a part that a thread holds, and members they are of: few rows waste the products."""


@dataclass(frozen=True)
class Part:
    """One inner product: members float32[m, k], leads float32[n, k]."""

    members: F32
    leads: F32


@dataclass(frozen=True)
class Mixture:
    """A score of several parts: lead_factor[n] * sum of weights[p] * part p (None: factor 1)."""

    weights: tuple[float, ...]
    lead_factor: F32 | None = None


@dataclass(frozen=True)
class Question:
    """Which leads are to be found again, among which.

    asked int64[a]: members. wanted csr [m, n]: what was held out of them; seen csr [m, n]: what
    they had before, which is no candidate. candidates int64[c], ascending, hold all wanted leads.
    """

    asked: Rows
    wanted: sparse.csr_matrix
    candidates: Rows
    seen: sparse.csr_matrix | None


@dataclass(frozen=True)
class Places:
    """Places from 0 of each asked member's wanted leads: float32[wanted], starts int64[a + 1]."""

    starts: Rows
    places: F32


def find_places(
    question: Question, parts: Sequence[Part], mixtures: Sequence[Mixture], *, threads: int
) -> list[Places]:
    """The places by each mixture; ties count half, as chance places them.

    The same for any number of threads.
    """
    job = _Job(question, parts, mixtures)
    threads = max(1, threads)
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda first: job.run(first, threads), range(threads)))
    return [Places(job.wanted_starts, own) for own in job.places]


class _Job:
    """What all blocks have in common, in candidates' columns."""

    def __init__(
        self, question: Question, parts: Sequence[Part], mixtures: Sequence[Mixture]
    ) -> None:
        asked, candidates = question.asked, question.candidates
        self._step = int(np.clip(_CELLS // max(len(candidates), 1), 1, _MOST_ROWS))
        self._members = [part.members[asked] for part in parts]
        self._leads = [np.ascontiguousarray(part.leads[candidates].T) for part in parts]
        self._weights = np.array([m.weights for m in mixtures], np.float32)
        ones = np.ones(len(candidates), np.float32)
        factors = [ones if m.lead_factor is None else m.lead_factor[candidates] for m in mixtures]
        self._factors = np.array(factors, np.float32)
        wanted = question.wanted[asked][:, candidates].tocsr()
        self.wanted_starts, self._wanted = wanted.indptr.astype(np.int64), wanted.indices
        nothing = sparse.csr_matrix(wanted.shape, dtype=np.float32)
        seen = nothing if question.seen is None else question.seen[asked][:, candidates].tocsr()
        self._seen_starts, self._seen = seen.indptr.astype(np.int64), seen.indices
        self.places = np.empty((len(mixtures), wanted.nnz), np.float32)

    def run(self, first: int, every: int) -> None:
        """Fills in every `every`-th block of members from the `first` on."""
        asked_count = len(self.wanted_starts) - 1
        shape = len(self._leads), min(self._step, asked_count), self._factors.shape[1]
        held = np.empty(shape, np.float32)
        for start in range(first * self._step, asked_count, every * self._step):
            stop = min(start + self._step, asked_count)
            scores = held[:, : stop - start]
            for part, (members, leads) in enumerate(zip(self._members, self._leads, strict=True)):
                np.matmul(members[start:stop], leads, out=scores[part])
            span = slice(start, stop + 1)
            seen, wanted = self._seen_starts[span], self.wanted_starts[span]
            columns = self.places[:, wanted[0] : wanted[-1]]
            _count(
                scores, self._weights, self._factors, seen, self._seen, wanted, self._wanted,
                columns,
            )  # fmt: skip


@numba.njit(cache=True, nogil=True, fastmath={"contract", "reassoc", "nsz"})
def _count(scores, weights, factors, seen_starts, seen, wanted_starts, wanted, out):  # type: ignore[no-untyped-def]
    """out[mixture, wanted] = scores above it and half of those beside it, row by row."""
    own = np.empty(scores.shape[2], np.float32)
    for row in range(scores.shape[1]):
        for mixture in range(len(weights)):
            _mix(scores[:, row], weights[mixture], factors[mixture], own)
            for entry in range(seen_starts[row], seen_starts[row + 1]):
                own[seen[entry]] = -np.inf
            for entry in range(wanted_starts[row], wanted_starts[row + 1]):
                limit, above, equal = own[wanted[entry]], np.float32(0.0), np.float32(0.0)
                for k in range(len(own)):
                    above += np.float32(1.0) if own[k] > limit else np.float32(0.0)
                if above < _DEEPEST:
                    for k in range(len(own)):
                        equal += np.float32(1.0) if own[k] == limit else np.float32(0.0)
                    above += np.float32(0.5) * (equal - np.float32(1.0))
                out[mixture, entry - wanted_starts[0]] = above


@numba.njit(cache=True, nogil=True, fastmath={"contract"})
def _mix(scores, weights, factor, own):  # type: ignore[no-untyped-def]
    """own = factor * sum of weight * score of the parts that count, in as few passes as parts."""
    last = np.flatnonzero(weights)[-1]
    begun = False
    for part in range(last + 1):
        weight = weights[part]
        if weight == 0.0:
            continue
        score = scores[part]
        if part == last and not begun:
            for k in range(len(own)):
                own[k] = weight * score[k] * factor[k]
        elif part == last:
            for k in range(len(own)):
                own[k] = (own[k] + weight * score[k]) * factor[k]
        elif begun:
            for k in range(len(own)):
                own[k] += weight * score[k]
        else:
            for k in range(len(own)):
                own[k] = weight * score[k]
        begun = True

"""Recall and latency of vector searches over a bundle's own leads.

Queries are the embeddings of members drawn at random, vectors those of the leads; eligible are
shares of the leads drawn at random, because masks leave anything from all of them to a handful.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from recsvc.model.arrays import F32, I32, I64, U8
from recsvc.model.bundle import Bundle
from recsvc.model.index import exact_search
from training.tune_index import DEPTH, SHARES, Point

_WARM = 3
_ROUNDING = 1e-5
"""Inner products that differ by less, as a share, may come in either order."""

Search = Callable[[F32, int, U8], I32]
"""(query float32[d], k, eligible uint8[n]) -> the best rows, int32[≤ k]."""


@dataclass(frozen=True)
class Exam:
    """Vectors (float32[n, d]), queries (float32[q, d]) of `members` (int64[q], rows) and, a share,
    who is eligible and the exact best of them for each query.
    """

    vectors: F32
    queries: F32
    members: I64
    eligible: tuple[U8, ...]
    exact: tuple[tuple[frozenset[int], ...], ...]

    @classmethod
    def of(cls, bundle: Bundle, queries: int, seed: int) -> Exam:
        """Of a bundle's leads, asked for so many of its members."""
        rng = np.random.default_rng(seed)
        vectors = np.ascontiguousarray(bundle.leads.vector)
        known = np.flatnonzero(bundle.members.vector.any(axis=1))
        members = rng.choice(known, min(queries, len(known)), replace=False)
        asked = np.ascontiguousarray(bundle.members.vector[members])
        masks, exact = [], []
        for share in SHARES:
            mask = (rng.random(len(vectors)) < share).astype(np.uint8)
            allowed = np.flatnonzero(mask)
            masks.append(mask)
            best = (exact_search(vectors, query, DEPTH, allowed) for query in asked)
            exact.append(tuple(frozenset(rows.tolist()) for rows in best))
        return cls(vectors, asked, members, tuple(masks), tuple(exact))

    def take(self, search: Search) -> tuple[Point, ...]:
        """How a search does, one point a share."""
        return tuple(self._point(search, place) for place in range(len(SHARES)))

    def _point(self, search: Search, place: int) -> Point:
        mask = self.eligible[place]
        for query in self.queries[:_WARM]:
            search(query, DEPTH, mask)
        recalls, seconds = [], []
        for query, exact in zip(self.queries, self.exact[place], strict=True):
            begin = time.perf_counter()
            found = search(query, DEPTH, mask)
            seconds.append(time.perf_counter() - begin)
            if exact:
                recalls.append(self._recall(query, exact, found))
        p50, p99 = np.percentile(seconds, (50, 99)) * 1e6
        recall = float(np.mean(recalls)) if recalls else 1.0
        return Point(SHARES[place], recall, float(p50), float(p99))

    def _recall(self, query: F32, exact: frozenset[int], found: I32) -> float:
        """The share of the exact rows that was found; one that is as good counts as well."""
        least = float((self.vectors[list(exact)] @ query).min())
        near = self.vectors[np.unique(found)] @ query >= least - _ROUNDING * abs(least)
        return min(1.0, int(near.sum()) / len(exact))

"""Which index and knobs to search leads with: recall and latency of each on a bundle's own vectors.

Queries are what serving asks for members drawn at random; eligible are shares of the leads drawn at
random, because masks leave anything from all of them to a handful. The recall of a kind is that of
the share it is worst at.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from recsvc.matching.candidates import lead_query
from recsvc.model.arrays import F32, I32, U8
from recsvc.model.bundle import Bundle
from recsvc.model.index import IndexConfig, VectorIndex, exact_search
from recsvc.model.snapshot import lead_search_vectors

SHARES = (1.0, 0.1, 0.01, 0.001)
DEPTH = 50
_WARM = 3

Search = Callable[[F32, int, U8], I32]
"""(query float32[d], k, eligible uint8[n]) -> the best rows, int32[≤ k]."""


class Point(NamedTuple):
    """One way to search, at one share of eligible rows."""

    share: float
    recall: float
    p50_us: float
    p99_us: float


@dataclass(frozen=True)
class Exam:
    """Vectors (float32[n, d]), queries (float32[q, d]) and, a share, who is eligible and the exact
    best of them for each query.
    """

    vectors: F32
    queries: F32
    eligible: tuple[U8, ...]
    exact: tuple[tuple[frozenset[int], ...], ...]

    @classmethod
    def of(cls, bundle: Bundle, queries: int, seed: int) -> Exam:
        """Of a bundle's leads, asked for so many of its members."""
        rng = np.random.default_rng(seed)
        vectors = np.ascontiguousarray(lead_search_vectors(bundle.leads))
        count = len(bundle.member_ids)
        rows = rng.choice(count, min(queries, count), replace=False).tolist()
        asked = np.stack([lead_query(bundle.ranker, bundle.members, row) for row in rows])
        asked = asked[asked.any(axis=1)]
        masks, exact = [], []
        for share in SHARES:
            mask = (rng.random(len(vectors)) < share).astype(np.uint8)
            allowed = np.flatnonzero(mask)
            masks.append(mask)
            best = (exact_search(vectors, query, DEPTH, allowed) for query in asked)
            exact.append(tuple(frozenset(rows.tolist()) for rows in best))
        return cls(vectors, asked, tuple(masks), tuple(exact))

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
                recalls.append(len(exact.intersection(found.tolist())) / len(exact))
        p50, p99 = np.percentile(seconds, (50, 99)) * 1e6
        recall = float(np.mean(recalls)) if recalls else 1.0
        return Point(SHARES[place], recall, float(p50), float(p99))


@dataclass(frozen=True)
class Candidate:
    """A configuration and how it did."""

    config: IndexConfig
    points: tuple[Point, ...]

    @property
    def recall(self) -> float:
        """At the share it is worst at."""
        return min(point.recall for point in self.points)

    @property
    def mean_us(self) -> float:
        """Mean over the shares of the median latency."""
        return float(np.mean([point.p50_us for point in self.points]))


def default_grid(rows: int) -> list[IndexConfig]:
    """What is tried for so many leads."""
    from_rows = min(rows, IndexConfig().ivf_from_rows)
    exact = [n for n in (2_000, 20_000, 50_000) if n < rows] or [0]
    flat = [IndexConfig(kind="FLAT", exact_below_rows=n) for n in exact]
    return flat + [
        IndexConfig(kind="IVF", ivf_from_rows=from_rows, ivf_probes=p, exact_below_rows=exact[-1])
        for p in (16, 64, 256)
    ]


def try_all(
    exam: Exam, grid: Sequence[IndexConfig], step: Callable[[str], None] = lambda _: None
) -> list[Candidate]:
    """Builds and examines each configuration."""
    found = []
    for config in grid:
        step(f"{config.kind}, probes {config.ivf_probes}, exact below {config.exact_below_rows:,}")
        index = VectorIndex(exam.vectors, config)
        found.append(Candidate(config, exam.take(index.search)))
    return found


def choose(candidates: Sequence[Candidate], target_recall: float) -> Candidate | None:
    """The fastest that reaches the recall at every share; None when none does."""
    good = [c for c in candidates if c.recall >= target_recall]
    return min(good, key=lambda c: c.mean_us) if good else None

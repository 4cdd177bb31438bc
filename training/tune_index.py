"""Which knobs to retrieve leads with: recall and latency of each on an operator's own bundle.

Asked are members drawn at random, for the fifty best of shares of the leads drawn at random, as
masks leave anything from all of them to a handful; judged is against the full ranker over every
eligible lead. The recall of some knobs is that of the share they are worst at.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import NamedTuple

import numpy as np

from recsvc.matching.candidates import EVERY_LEAD, CandidateConfig
from recsvc.matching.pipeline import Pipeline, PipelineConfig
from recsvc.matching.queries import ListQuery, Wanted
from recsvc.model.bundle import Bundle
from recsvc.model.snapshot import Snapshot

SHARES = (1.0, 0.1, 0.01, 0.001)
DEPTH = 50
FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""What the default knobs are multiplied with."""
_WARM = 3


class Point(NamedTuple):
    """One way to search, at one share of eligible rows; latencies of one query."""

    share: float
    recall: float
    p50_us: float
    p99_us: float


@dataclass(frozen=True)
class Candidate:
    """Knobs and how they did."""

    config: CandidateConfig
    points: tuple[Point, ...]

    @property
    def recall(self) -> float:
        """At the share they are worst at."""
        return min(point.recall for point in self.points)

    @property
    def mean_us(self) -> float:
        """Mean over the shares of the median latency."""
        return float(np.mean([point.p50_us for point in self.points]))


class ListExam:
    """Questions to a bundle's pipeline, and the exact answers."""

    def __init__(self, bundle: Bundle, members: int, as_of_us: int, seed: int) -> None:
        """`members` are asked at each share, as at `as_of_us`."""
        rng = np.random.default_rng(seed)
        self._snapshot = Snapshot(bundle)
        self._as_of_us = as_of_us
        ids = bundle.member_ids.ids
        rows = rng.choice(len(ids), min(members, len(ids)), replace=False)
        self._members = [ids[row] for row in rows.tolist()]
        self._queries = [self._query(bundle, share, rng) for share in SHARES]
        exact = self._pipeline(EVERY_LEAD)
        self._exact = [
            [self._answer(exact, member, query) for member in self._members]
            for query in self._queries
        ]

    def take(self, config: CandidateConfig) -> Candidate:
        """How some knobs do."""
        pipeline = self._pipeline(config)
        return Candidate(config, tuple(self._point(pipeline, i) for i in range(len(SHARES))))

    def _point(self, pipeline: Pipeline, place: int) -> Point:
        query = self._queries[place]
        for member in self._members[:_WARM]:
            self._answer(pipeline, member, query)
        recalls, seconds = [], []
        for member, exact in zip(self._members, self._exact[place], strict=True):
            begin = time.perf_counter()
            found = self._answer(pipeline, member, query)
            seconds.append(time.perf_counter() - begin)
            if exact:
                recalls.append(len(exact & found) / len(exact))
        p50, p99 = np.percentile(seconds, (50, 99)) * 1e6
        recall = float(np.mean(recalls)) if recalls else 1.0
        return Point(SHARES[place], recall, float(p50), float(p99))

    def _query(self, bundle: Bundle, share: float, rng: np.random.Generator) -> ListQuery:
        wanted = Wanted()
        if share < 1.0:
            ids = bundle.lead_ids.ids
            rows = np.flatnonzero(rng.random(len(ids)) < share)
            wanted = Wanted(candidate_ids=tuple(ids[row] for row in rows.tolist()))
        return ListQuery(count=DEPTH, wanted=wanted, as_of_us=self._as_of_us)

    def _pipeline(self, config: CandidateConfig) -> Pipeline:
        return Pipeline(self._snapshot, PipelineConfig(config))

    @staticmethod
    def _answer(pipeline: Pipeline, member: str, query: ListQuery) -> frozenset[str]:
        return frozenset(item.id for item in pipeline.recommend(member, query).items)


def default_grid() -> list[CandidateConfig]:
    """The defaults, with all that is counted multiplied."""
    base = CandidateConfig()
    counted = {k: v for k, v in asdict(base).items() if isinstance(v, int)}
    return [
        replace(base, **{name: max(1, round(v * factor)) for name, v in counted.items()})
        for factor in FACTORS
    ]


def try_all(
    exam: ListExam, grid: Sequence[CandidateConfig], step: Callable[[str], None] = lambda _: None
) -> list[Candidate]:
    """Examines each."""
    found = []
    for number, config in enumerate(grid):
        step(f"knobs {number + 1} of {len(grid)}")
        found.append(exam.take(config))
    return found


def choose(candidates: Sequence[Candidate], target_recall: float) -> Candidate | None:
    """The fastest that reaches the recall at every share; None when none does."""
    good = [c for c in candidates if c.recall >= target_recall]
    return min(good, key=lambda c: c.mean_us) if good else None

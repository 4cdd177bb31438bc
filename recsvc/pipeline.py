"""The order of the stages: retrieve ► filter ► rank ► diversify ► explain. Only this file knows it.

Everything here is synchronous, CPU only and takes milliseconds; one thread at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from features.entities import Lead, Member
from recsvc.arrays import F32, I64, LeadColumns, MemberColumns
from recsvc.candidates import CandidateConfig
from recsvc.codec import decode_entity
from recsvc.diversify import diversify
from recsvc.errors import ServiceError, UnknownLeadError, UnknownMemberError
from recsvc.explain import Pair, distance_km, reasons_of, terms_of
from recsvc.filters import Verdict
from recsvc.masks import Masked, mask_leads, mask_members
from recsvc.modes import lead_mode, member_mode
from recsvc.pairs import explain_pair, score_given
from recsvc.queries import (
    Item,
    ListQuery,
    PairExplanation,
    PairScores,
    RankedList,
    ServingMode,
)
from recsvc.resolve import resolve
from recsvc.retrieve import lead_candidates, member_candidates
from recsvc.score import Scored, score_pairs
from recsvc.segments import Table
from recsvc.snapshot import Snapshot

DIVERSITY_POOL = 200
"""Diversity reorders so many of the best, whatever the page: the pages of a list fit together."""


class StageObserver(Protocol):
    """Hears what each stage took and what each filter removed (metrics)."""

    def stage(self, name: str, seconds: float) -> None: ...
    def removed(self, verdict: Verdict, count: int) -> None: ...


class _Nobody:
    def stage(self, name: str, seconds: float) -> None:
        pass

    def removed(self, verdict: Verdict, count: int) -> None:
        pass


@dataclass(frozen=True)
class PipelineConfig:
    """Knobs of the pipeline."""

    candidates: CandidateConfig = field(default_factory=CandidateConfig)


def now_us() -> int:
    """The present, in microseconds since the epoch."""
    return time.time_ns() // 1000


class Pipeline:
    """Answers queries on one snapshot."""

    def __init__(
        self,
        snapshot: Snapshot,
        config: PipelineConfig | None = None,
        observer: StageObserver | None = None,
        clock: Callable[[], int] = now_us,
    ) -> None:
        self.snapshot = snapshot
        self._config = config or PipelineConfig()
        self._observer = observer or _Nobody()
        self._clock = clock

    def recommend(self, member_id: str, query: ListQuery) -> RankedList:
        """The best leads for a member. Raises UnknownMemberError, InvalidRegionCodeError."""
        snapshot, when = self.snapshot, self._when(query.as_of_us)
        row = self._member_row(member_id)
        wanted, unknown = resolve(snapshot, query.wanted, snapshot.leads)
        with self._stage("filter"):
            masked = mask_leads(snapshot, row, wanted, when)
        with self._stage("retrieve"):
            depth = query.offset + query.count
            rows = lead_candidates(
                snapshot, row, masked, when, self._pool(query), self._config.candidates
            )
        with self._stage("rank"):
            members = np.full(len(rows), row, np.int64)
            scored = score_pairs(
                snapshot.bundle, snapshot.members, members, snapshot.leads, rows, when
            )
        columns, local = snapshot.members.locate(row)
        answer = _Answer(rows, scored, snapshot.leads, masked, member_mode(columns, local), unknown)
        member = decode_entity(Member, snapshot.members.record(row))
        who = member if isinstance(member, Member) else None

        def pair(at: int, lead_row: int) -> tuple[Pair, Member | None]:
            leads, lead_local = snapshot.leads.locate(lead_row)
            found = Pair(columns, local, leads, lead_local, scored.features[at], scored.terms[at])
            return found, who

        return self._finish(answer, query, depth, pair)

    def recommend_many(
        self, member_ids: Sequence[str], query: ListQuery
    ) -> Iterator[RankedList | ServiceError]:
        """One answer a member, in their order; a member's error does not touch the others."""
        for member_id in member_ids:
            try:
                yield self.recommend(member_id, query)
            except ServiceError as error:
                yield error

    def match(self, lead: str | Lead, query: ListQuery) -> RankedList:
        """The best members for a stored lead (its id) or a draft.

        Raises UnknownLeadError, InvalidRegionCodeError.
        """
        snapshot, when = self.snapshot, self._when(query.as_of_us)
        table, row, lead_id = self._lead_table(lead)
        leads, local = table.locate(row)
        wanted, unknown = resolve(snapshot, query.wanted, snapshot.members)
        with self._stage("filter"):
            masked = mask_members(snapshot, leads, local, lead_id, wanted, when)
        with self._stage("retrieve"):
            rows = member_candidates(
                snapshot, leads, local, masked, self._pool(query), self._config.candidates
            )
        with self._stage("rank"):
            lead_rows = np.full(len(rows), row, np.int64)
            scored = score_pairs(snapshot.bundle, snapshot.members, rows, table, lead_rows, when)
        answer = _Answer(rows, scored, snapshot.members, masked, lead_mode(leads, local), unknown)

        def pair(at: int, member_row: int) -> tuple[Pair, Member | None]:
            members, member_local = snapshot.members.locate(member_row)
            found = Pair(
                members, member_local, leads, local, scored.features[at], scored.terms[at], "该委员"
            )
            member = decode_entity(Member, snapshot.members.record(member_row))
            return found, member if isinstance(member, Member) else None

        return self._finish(answer, query, query.offset + query.count, pair)

    def score_pairs(
        self, pairs: Sequence[tuple[str, str]], as_of_us: int | None = None
    ) -> PairScores:
        """Scores of (member_id, lead_id) pairs, masked ones included; NaN where unknown."""
        with self._stage("rank"):
            return score_given(self.snapshot, pairs, self._when(as_of_us))

    def explain(self, member_id: str, lead_id: str, as_of_us: int | None = None) -> PairExplanation:
        """Why a member is offered a lead, or why not. Raises UnknownMember-, UnknownLeadError."""
        member_row = self._member_row(member_id)
        _, lead_row, _ = self._lead_table(lead_id)
        config = self._config.candidates
        return explain_pair(self.snapshot, member_row, lead_row, self._when(as_of_us), config)

    def _finish(
        self,
        answer: _Answer,
        query: ListQuery,
        depth: int,
        pair: Callable[[int, int], tuple[Pair, Member | None]],
    ) -> RankedList:
        """Orders, diversifies, and explains the items of one page."""
        bundle = self.snapshot.bundle
        for verdict, count in answer.masked.removed.items():
            self._observer.removed(verdict, count)
        with self._stage("diversify"):
            best = _top(answer.scored.scores, max(depth + 1, DIVERSITY_POOL))
            head, rest = best[:DIVERSITY_POOL], best[DIVERSITY_POOL:]
            vectors = _text_of(answer.table, answer.rows[head]) if query.diversity > 0 else _NONE
            slate = diversify(answer.scored.scores[head], vectors, query.diversity, depth + 1)
            order = np.concatenate([head[slate.order], rest])
            adjustments = np.append(slate.adjustments, np.zeros(len(rest)))
        with self._stage("explain"):
            items = []
            for place in range(query.offset, min(depth, len(order))):
                at = int(order[place])
                row = int(answer.rows[at])
                why, member = pair(at, row)
                scores = answer.scored.scores[at : at + 1]
                probability = bundle.calibration.probability(scores)
                items.append(
                    Item(
                        id=answer.table.identifier(row),
                        row=row,
                        score=float(scores[0]),
                        claim_probability=None if probability is None else float(probability[0]),
                        reasons=reasons_of(why, bundle.space, member),
                        distance_km=distance_km(why),
                        diversity_adjustment=float(adjustments[place]),
                        terms=terms_of(why) if query.with_terms else (),
                    )
                )
        return RankedList(
            items=tuple(items),
            more=len(order) > depth,
            mode=answer.mode,
            baseline=float(bundle.ranker.intercept),
            eligible_count=answer.masked.eligible_count,
            removed=answer.masked.removed,
            unknown_candidates=answer.unknown,
        )

    def _when(self, as_of_us: int | None) -> int:
        return self._clock() if as_of_us is None else as_of_us

    def _pool(self, query: ListQuery) -> int:
        """How many of the best the retrieval has to bring."""
        depth = query.offset + query.count + 1
        return max(depth, DIVERSITY_POOL) if query.diversity > 0 else depth

    def _member_row(self, member_id: str) -> int:
        row = self.snapshot.members.row(member_id)
        if row < 0:
            raise UnknownMemberError(f"there is no member {member_id!r}: import it first")
        return row

    def _lead_table(self, lead: str | Lead) -> tuple[Table[LeadColumns], int, str]:
        """The table a lead lives in, its global row there, and its id ("" for a draft)."""
        if isinstance(lead, Lead):
            return self.snapshot.draft_table(lead), 0, ""
        row = self.snapshot.leads.row(lead)
        if row < 0:
            raise UnknownLeadError(f"there is no lead {lead!r}: import it first, or send a draft")
        return self.snapshot.leads, row, lead

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self._observer.stage(name, time.perf_counter() - begin)


@dataclass(frozen=True)
class _Answer:
    """What the first stages found: rows to return and how each scored."""

    rows: I64
    scored: Scored
    table: Table[LeadColumns] | Table[MemberColumns]
    masked: Masked
    mode: ServingMode
    unknown: int


_NONE = np.empty((0, 0), np.float32)


def _top(scores: F32, count: int) -> I64:
    """Positions of the `count` highest scores, best first; equal scores keep their order."""
    if count < len(scores):
        part = np.argpartition(-scores, count)[:count]
        part.sort()
    else:
        part = np.arange(len(scores))
    return part[np.argsort(-scores[part], kind="stable")]


def _text_of(table: Table[LeadColumns] | Table[MemberColumns], rows: I64) -> F32:
    found = [table.locate(int(row)) for row in rows]
    return np.stack([columns.text[local] for columns, local in found]) if found else _NONE

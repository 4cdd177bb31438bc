"""The order of the stages: retrieve ► filter ► rank ► diversify ► explain. Only this file knows it.

Everything here is synchronous, CPU only and takes milliseconds; one thread at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from features.entities import Lead
from recsvc.errors import ServiceError, UnknownLeadError, UnknownMemberError
from recsvc.matching.candidates import CandidateConfig
from recsvc.matching.explain import SAME_FOR_LEAD, SAME_FOR_MEMBER, silent_groups
from recsvc.matching.lead_filter import filter_leads
from recsvc.matching.listed_members import MemberConfig, listed_members, member_candidates
from recsvc.matching.masks import Masked, mask_members
from recsvc.matching.member_filter import MembersFiltered, filter_members
from recsvc.matching.modes import lead_mode, member_mode
from recsvc.matching.page import Found, explained_page, order_items, pool_size
from recsvc.matching.pairs import explain_pair, score_given
from recsvc.matching.queries import (
    ANYTHING,
    ListQuery,
    PairExplanation,
    PairScores,
    RankedList,
    Wanted,
)
from recsvc.matching.reason_record import Told
from recsvc.matching.reason_texts import ReasonTexts
from recsvc.matching.resolve import resolve
from recsvc.matching.retrieve import listed_leads
from recsvc.matching.score import score_leads, score_members
from recsvc.matching.scored_pair import kinds_of_member, kinds_of_places
from recsvc.matching.told import told_leads, told_members
from recsvc.model.arrays import I64, LeadColumns
from recsvc.model.segments import Table
from recsvc.model.snapshot import Snapshot
from recsvc.model.verdicts import Verdict

_OF_MEMBER, _OF_LEAD = silent_groups(SAME_FOR_MEMBER), silent_groups(SAME_FOR_LEAD)


class StageObserver(Protocol):
    """Hears what each filter removed, and says who hears what each run of a stage took (s)."""

    def stage(self, name: str) -> Callable[[float], object]: ...
    def removed(self, verdict: Verdict, count: int) -> None: ...


class _Nobody:
    def stage(self, name: str) -> Callable[[float], object]:
        return lambda _: None

    def removed(self, verdict: Verdict, count: int) -> None:
        pass


@dataclass(frozen=True)
class PipelineConfig:
    """Knobs of the pipeline."""

    candidates: CandidateConfig = field(default_factory=CandidateConfig)
    members: MemberConfig = field(default_factory=MemberConfig)


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
        self._stages = _Stages(self._observer)
        self._clock = clock
        self._to_member = ReasonTexts(snapshot.bundle.space, "您")
        self._of_member = ReasonTexts(snapshot.bundle.space, "该委员")

    def recommend(self, member_id: str, query: ListQuery) -> RankedList:
        """The best leads for a member. Raises UnknownMemberError, InvalidRegionCodeError."""
        snapshot, when = self.snapshot, self._when(query.as_of_us)
        row = self._member_row(member_id)
        wanted, unknown = resolve(snapshot, query.wanted, snapshot.leads)
        depth, config = pool_size(query), self._config.candidates
        with self._stages.filter:
            masked = filter_leads(snapshot, row, when, wanted)
        with self._stages.retrieve:
            rows = listed_leads(snapshot, row, masked, depth, config)
        with self._stages.rank:
            columns, local = snapshot.members.locate(row)
            scored = score_leads(snapshot, columns, local, rows, when)

        def tell(page: I64) -> Told:
            kinds = kinds_of_member(snapshot, row)
            return told_leads(snapshot, columns, local, rows, scored, page, kinds, _OF_MEMBER)

        mode = member_mode(columns, local)
        found = Found(rows, scored, snapshot.leads, masked, mode, unknown, tell)
        return self._finish(found, query, self._to_member)

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
        depth, config = pool_size(query), self._config.members
        masked: Masked | MembersFiltered
        if wanted.restricts or not snapshot.members.base_count:
            with self._stages.filter:
                masked = mask_members(snapshot, leads, local, lead_id, wanted, when)
            with self._stages.retrieve:
                rows = member_candidates(snapshot, leads, local, masked, depth, config)
        else:
            with self._stages.filter:
                masked = filter_members(snapshot, leads, local, lead_id, when)
            with self._stages.retrieve:
                rows = listed_members(snapshot, leads, local, masked, depth, config)
        with self._stages.rank:
            scored = score_members(snapshot, rows, leads, local, when)

        def tell(page: I64) -> Told:
            kinds = kinds_of_places(snapshot, rows[page])
            return told_members(snapshot, leads, local, rows, scored, page, kinds, _OF_LEAD)

        mode = lead_mode(leads, local)
        found = Found(rows, scored, snapshot.members, masked, mode, unknown, tell)
        return self._finish(found, query, self._of_member)

    def score_pairs(
        self, pairs: Sequence[tuple[str, str]], as_of_us: int | None = None
    ) -> PairScores:
        """Scores of (member_id, lead_id) pairs, masked ones included; NaN where unknown."""
        with self._stages.rank:
            return score_given(self.snapshot, pairs, self._when(as_of_us))

    def explain(
        self,
        member_id: str,
        lead_id: str,
        as_of_us: int | None = None,
        wanted: Wanted = ANYTHING,
    ) -> PairExplanation:
        """Why a member is offered a lead, or why not, when asked for what is `wanted`.

        Raises UnknownMemberError, UnknownLeadError, InvalidRegionCodeError.
        """
        snapshot, member_row = self.snapshot, self._member_row(member_id)
        _, lead_row, _ = self._lead_table(lead_id)
        allowed, _ = resolve(snapshot, wanted, snapshot.leads)
        return explain_pair(
            snapshot,
            member_row,
            lead_row,
            allowed,
            self._when(as_of_us),
            self._config.candidates,
        )

    def _finish(self, found: Found, query: ListQuery, texts: ReasonTexts) -> RankedList:
        """Orders, diversifies, and explains the items of one page."""
        removed = found.masked.removed
        for verdict, count in removed.items():
            self._observer.removed(verdict, count)
        with self._stages.diversify:
            slate = order_items(found, query)
        with self._stages.explain:
            items = explained_page(texts, found, query, slate)
        return RankedList(
            items=items,
            more=len(slate.order) > query.offset + query.count,
            mode=found.mode,
            baseline=float(self.snapshot.bundle.ranker.intercept),
            eligible_count=found.masked.eligible_count,
            removed=removed,
            unknown_candidates=found.unknown,
        )

    def _when(self, as_of_us: int | None) -> int:
        return self._clock() if as_of_us is None else as_of_us

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


class _Stage:
    """Times a stage, one run after the other; a generator costs four times as much."""

    __slots__ = ("_begin", "_hear")

    def __init__(self, hear: Callable[[float], object]) -> None:
        self._hear = hear
        self._begin = 0.0

    def __enter__(self) -> None:
        self._begin = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            self._hear(time.perf_counter() - self._begin)


class _Stages:
    """All stages of a pipeline."""

    def __init__(self, observer: StageObserver) -> None:
        self.filter = _Stage(observer.stage("filter"))
        self.retrieve = _Stage(observer.stage("retrieve"))
        self.rank = _Stage(observer.stage("rank"))
        self.diversify = _Stage(observer.stage("diversify"))
        self.explain = _Stage(observer.stage("explain"))

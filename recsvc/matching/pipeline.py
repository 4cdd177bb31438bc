"""The order of the stages: retrieve ► filter ► rank ► diversify ► explain. Only this file knows it.

Everything here is synchronous, CPU only and takes milliseconds; one thread at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter, time_ns
from typing import Protocol

from features.entities import Lead
from recsvc.errors import ServiceError, UnknownLeadError, UnknownMemberError
from recsvc.matching.candidates import CandidateConfig
from recsvc.matching.explain import SAME_FOR_LEAD, SAME_FOR_MEMBER, silent_groups
from recsvc.matching.lead_filter import filter_leads
from recsvc.matching.listed_members import MemberConfig, listed_members
from recsvc.matching.member_filter import filter_members
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
from recsvc.model.drafts import draft_table
from recsvc.model.segments import Table
from recsvc.model.snapshot import Snapshot
from recsvc.model.verdicts import Verdict

_OF_MEMBER, _OF_LEAD = silent_groups(SAME_FOR_MEMBER), silent_groups(SAME_FOR_LEAD)


_LIST_STAGES = ("filter", "retrieve", "rank", "diversify", "explain")
_SCORE_STAGES = ("rank",)


class StageObserver(Protocol):
    """Hears of each answer."""

    def ran(
        self, stages: tuple[str, ...], moments: Sequence[float], removed: Mapping[Verdict, int]
    ) -> None:
        """`moments` (s): when each stage began, one after the other, and when the last one ended;
        how many candidates each filter took.
        """


class _Nobody:
    def ran(
        self, stages: tuple[str, ...], moments: Sequence[float], removed: Mapping[Verdict, int]
    ) -> None:
        pass


@dataclass(frozen=True)
class PipelineConfig:
    """Knobs of the pipeline."""

    candidates: CandidateConfig = field(default_factory=CandidateConfig)
    members: MemberConfig = field(default_factory=MemberConfig)


def now_us() -> int:
    """The present, in microseconds since the epoch."""
    return time_ns() // 1000


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
        self._to_member = ReasonTexts(snapshot.bundle.space, "您")
        self._of_member = ReasonTexts(snapshot.bundle.space, "该委员")

    def recommend(self, member_id: str, query: ListQuery) -> RankedList:
        """The best leads for a member. Raises UnknownMemberError, InvalidRegionCodeError."""
        snapshot, when = self.snapshot, self._when(query.as_of_us)
        row = self._member_row(member_id)
        wanted, unknown = resolve(snapshot, query.wanted, snapshot.leads)
        depth, config = pool_size(query), self._config.candidates
        moments = [perf_counter()]
        masked = filter_leads(snapshot, row, when, wanted)
        moments.append(perf_counter())
        rows = listed_leads(snapshot, row, masked, depth, config)
        moments.append(perf_counter())
        columns, local = snapshot.members.locate(row)
        scored = score_leads(snapshot, columns, local, rows, when)
        moments.append(perf_counter())

        def tell(page: I64) -> Told:
            kinds = kinds_of_member(snapshot, row)
            return told_leads(snapshot, columns, local, rows, scored, page, kinds, _OF_MEMBER)

        mode = member_mode(columns, local)
        found = Found(rows, scored, snapshot.leads, masked, mode, unknown, tell)
        return self._finish(found, query, self._to_member, moments)

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
        moments = [perf_counter()]
        masked = filter_members(snapshot, leads, local, lead_id, when, wanted)
        moments.append(perf_counter())
        rows = listed_members(snapshot, leads, local, masked, depth, config)
        moments.append(perf_counter())
        scored = score_members(snapshot, rows, leads, local, when)
        moments.append(perf_counter())

        def tell(page: I64) -> Told:
            kinds = kinds_of_places(snapshot, rows[page])
            return told_members(snapshot, leads, local, rows, scored, page, kinds, _OF_LEAD)

        mode = lead_mode(leads, local)
        found = Found(rows, scored, snapshot.members, masked, mode, unknown, tell)
        return self._finish(found, query, self._of_member, moments)

    def score_pairs(
        self, pairs: Sequence[tuple[str, str]], as_of_us: int | None = None
    ) -> PairScores:
        """Scores of (member_id, lead_id) pairs, masked ones included; NaN where unknown."""
        begin = perf_counter()
        scores = score_given(self.snapshot, pairs, self._when(as_of_us))
        self._observer.ran(_SCORE_STAGES, (begin, perf_counter()), {})
        return scores

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

    def _finish(
        self, found: Found, query: ListQuery, texts: ReasonTexts, moments: list[float]
    ) -> RankedList:
        """Orders, diversifies, and explains the items of one page; goes on with `moments`."""
        removed = found.masked.removed
        order, taken = order_items(found, query)
        moments.append(perf_counter())
        items = explained_page(texts, found, query, order, taken)
        moments.append(perf_counter())
        self._observer.ran(_LIST_STAGES, moments, removed)
        return RankedList(
            items=items,
            more=len(order) > query.offset + query.count,
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
            return draft_table(self.snapshot, lead), 0, ""
        row = self.snapshot.leads.row(lead)
        if row < 0:
            raise UnknownLeadError(f"there is no lead {lead!r}: import it first, or send a draft")
        return self.snapshot.leads, row, lead

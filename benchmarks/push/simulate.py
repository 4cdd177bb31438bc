"""Plays a policy on a stage, day by day, and counts what comes of it."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.province.config import DAY_US
from benchmarks.push.answers import NEVER, Answers, Members
from benchmarks.push.policies import Morning, Policy, Pushes
from benchmarks.push.scores import PairScores
from benchmarks.push.stage import LIFE_DAYS, Stage
from features.entities import DismissReason, Event, EventKind, LeadState
from recsvc.matching.updates import load_records
from recsvc.push.config import PushConfig
from recsvc.push.spread import busiest_share
from recsvc.push.types import PastPush, PushHistory
from recsvc.store.codec import RecordKind, encode_entity
from recsvc.store.types import StoredRecord

HORIZON_DAYS = 14.0
"""Time to claim is cut there: a lead nobody took by then counts as fourteen days. In a short play
it is cut at half of the days, so that there are leads to tell it of.
"""


@dataclass(frozen=True)
class Played:
    """What a policy did and got. Arrays have one entry a lead of the stage."""

    pushes_by_day: tuple[int, ...]
    claims: int
    claimed_leads: int
    leads: int
    servable: int
    reached: int  # of the servable ones
    wait_days: NDArray[np.float64]  # until the first claim, cut at the horizon
    member_pushes: NDArray[np.int64]
    dismissals: int
    see_less: int
    masks_broken: int

    def figures(self) -> dict[str, float]:
        """By name."""
        loads = self.member_pushes
        pushes = max(int(loads.sum()), 1)
        return {
            "pushes": float(loads.sum()),
            "claims": float(self.claims),
            "leads claimed": float(self.claimed_leads),
            "leads claimed a 100 pushes": 100.0 * self.claimed_leads / pushes,
            "share of leads claimed": self.claimed_leads / max(self.leads, 1),
            "coverage": self.reached / max(self.servable, 1),
            "days to claim": float(self.wait_days.mean()),
            "busiest 1 % of members": busiest_share(loads, len(loads)),
            "pushes a member, mean": float(loads.mean()),
            "pushes a member, p99": float(np.percentile(loads, 99)),
            "dismissals a 100 pushes": 100.0 * self.dismissals / pushes,
            "masks broken": float(self.masks_broken),
        }


def play(
    stage: Stage,
    policy: Policy,
    config: PushConfig,
    seed: int,
    budget: Sequence[int] | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Played:
    """Plays all days. `budget`: pushes a day; what is not used one day may be used the next."""
    run = _Run(stage, config, seed)
    saved = 0
    for day in range(stage.days):
        run.begin_day(day)
        allowed = None if budget is None else saved + budget[day]
        pushes = policy(run.morning(day, allowed))
        run.send(day, pushes)
        saved = 0 if allowed is None else allowed - len(pushes.member)
        progress(day)
    return run.end()


@dataclass
class _Run:
    """One play in progress. Leads and members are the province's rows."""

    stage: Stage
    config: PushConfig
    seed: int
    raised: list[int] = field(default_factory=list)
    first_claim: dict[int, int] = field(default_factory=dict)
    claim_counts: dict[int, int] = field(default_factory=dict)
    closed: set[int] = field(default_factory=set)
    pending: list[tuple[int, int, int]] = field(default_factory=list)  # time, member, lead
    past: list[PastPush] = field(default_factory=list)
    see_less: dict[str, int] = field(default_factory=dict)
    servable: set[int] = field(default_factory=set)
    counts: list[int] = field(default_factory=list)
    dismissals: int = 0
    broken: int = 0

    def __post_init__(self) -> None:
        self.snapshot = self.stage.snapshot()
        self.scores = PairScores(self.snapshot)
        self.people = Members(self.stage.province, self.seed)
        self.member_ids = self.stage.province.member_ids
        self.lead_ids = self.stage.province.lead_ids
        self.member_of = {name: row for row, name in enumerate(self.member_ids)}
        self.lead_of = {name: row for row, name in enumerate(self.lead_ids)}
        self.loads = np.zeros(len(self.member_ids), np.int64)
        self.reached = np.zeros(len(self.lead_ids), bool)
        log = self.stage.province.log.settled.exposures
        before = (log.position < 0) & (log.time_us < self.stage.begin_us)
        self.reached[log.lead[before]] = True
        self.raised = self.stage.open_rows.tolist()
        self._find_servable(self.raised)

    def begin_day(self, day: int) -> None:
        """Claims until now, leads that grew too old, leads that came."""
        now_us = self.stage.plan_us(day)
        self._settle(now_us)
        create = self.stage.province.leads.create_us
        for lead in self.raised:
            if lead not in self.closed and create[lead] < now_us - LIFE_DAYS * DAY_US:
                self._close(lead, now_us)
        new = self.stage.rows_of_day(day).tolist()
        records = [encode_entity(self.stage.leads[row]) for row in new]
        load_records(
            self.snapshot,
            RecordKind.LEAD,
            [StoredRecord(r.kind, r.id, r.fingerprint, r.data) for r in records],
        )
        self.raised += new
        self._find_servable(new)

    def morning(self, day: int, budget: int | None) -> Morning:
        """What the policy sees."""
        claimed = frozenset(self.lead_ids[lead] for lead in self.first_claim)
        history = PushHistory(tuple(self.past), claimed, dict(self.see_less))
        now_us = self.stage.plan_us(day)
        return Morning(self.snapshot, self.config, now_us, history, budget, self.seed, self.scores)

    def send(self, day: int, pushes: Pushes) -> None:
        """Delivers at once, and lets the members answer."""
        now_us = self.stage.plan_us(day)
        names = self.snapshot.members.identifier, self.snapshot.leads.identifier
        member = np.array([self.member_of[names[0](int(r))] for r in pushes.member], np.int64)
        lead = np.array([self.lead_of[names[1](int(r))] for r in pushes.lead], np.int64)
        self.counts.append(len(member))
        np.add.at(self.loads, member, 1)
        self.reached[lead] = True
        masks = self.stage.province.masks
        self.broken += int((~masks.allowed(member, lead)).sum()) if len(member) else 0
        for m, x, wave in zip(member.tolist(), lead.tolist(), pushes.wave.tolist(), strict=True):
            self.past.append(PastPush(self.member_ids[m], self.lead_ids[x], now_us, wave))
        if len(member):
            self._hear(member, lead, self.people.answer(member, lead, now_us), now_us)

    def end(self) -> Played:
        """After the last day, claims that were on their way still come."""
        stage = self.stage
        self._settle(stage.plan_us(stage.days - 1) + 7 * DAY_US)
        create = np.maximum(stage.province.leads.create_us, stage.begin_us)
        horizon = min(HORIZON_DAYS, stage.days / 2)
        last_us = stage.plan_us(stage.days) - int(horizon * DAY_US)
        told = [r for r in self.raised if create[r] < last_us]
        waits = [(self.first_claim.get(r, NEVER) - int(create[r])) / DAY_US for r in told]
        return Played(
            pushes_by_day=tuple(self.counts),
            claims=sum(self.claim_counts.values()),
            claimed_leads=len(self.first_claim),
            leads=len(self.raised),
            servable=len(self.servable),
            reached=int(self.reached[sorted(self.servable)].sum()),
            wait_days=np.minimum(np.array(waits, np.float64), horizon),
            member_pushes=self.loads,
            dismissals=self.dismissals,
            see_less=len(self.see_less),
            masks_broken=self.broken,
        )

    def _hear(
        self, member: NDArray[np.int64], lead: NDArray[np.int64], answers: Answers, now_us: int
    ) -> None:
        for i, (m, x) in enumerate(zip(member.tolist(), lead.tolist(), strict=True)):
            if answers.claim_us[i] < NEVER:
                heapq.heappush(self.pending, (int(answers.claim_us[i]), m, x))
            if answers.opened[i]:
                self._note(EventKind.OPENED, m, x, now_us + 1)
            if answers.dismiss_us[i] < NEVER:
                self.dismissals += 1
                reason = DismissReason(int(answers.reason[i]))
                self._note(EventKind.DISMISSED, m, x, int(answers.dismiss_us[i]), reason)
            if answers.sees_less[i]:
                self.see_less[self.member_ids[m]] = int(answers.dismiss_us[i])

    def _settle(self, until_us: int) -> None:
        """Claims in order of time, as far as there is capacity."""
        capacity = self.stage.province.leads.capacity
        while self.pending and self.pending[0][0] < until_us:
            when, member, lead = heapq.heappop(self.pending)
            count = self.claim_counts.get(lead, 0)
            if lead in self.closed or (capacity[lead] > 0 and count >= capacity[lead]):
                continue  # too late
            self.claim_counts[lead] = count + 1
            self.first_claim.setdefault(lead, when)
            self._note(EventKind.CLAIMED, member, lead, when)

    def _note(
        self,
        kind: EventKind,
        member: int,
        lead: int,
        time_us: int,
        reason: DismissReason = DismissReason.UNSPECIFIED,
    ) -> None:
        """Into the log that masks and caps read; the model learns nothing during a play."""
        names = self.member_ids[member], self.lead_ids[lead]
        self.snapshot.history.add(Event(kind, time_us, *names, reason=reason))

    def _close(self, lead: int, now_us: int) -> None:
        self.closed.add(lead)
        columns, local = self.snapshot.leads.locate(self.snapshot.leads.row(self.lead_ids[lead]))
        columns.state[local] = LeadState.CLOSED
        columns.close_time_us[local] = now_us

    def _find_servable(self, leads: list[int]) -> None:
        """Leads that somebody may be offered at all, by the province's own masks."""
        everybody = np.arange(len(self.member_ids))
        masks = self.stage.province.masks
        for lead in leads:
            if masks.allowed(everybody, np.full(len(everybody), lead)).any():
                self.servable.add(lead)

"""What each member did with which lead: the bundle's log, and what happened since.

It answers two questions of the hot path (which leads has this member done with, which members are
done with this lead) and one of the fold-in (what shapes this member's interest).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.entities import EXPOSURES, Event, EventKind
from features.willingness import slot_at
from recsvc.model.arrays import I32, I64, U8
from recsvc.model.verdicts import Verdict

# What a past event forbids: the pair is not offered again.
VERDICT_OF_KIND: dict[EventKind, Verdict] = {
    EventKind.AUTHORED: Verdict.AUTHOR,
    EventKind.CLAIMED: Verdict.ALREADY_TAKEN,
    EventKind.RELEASED: Verdict.ALREADY_TAKEN,
    EventKind.TRANSFERRED: Verdict.ALREADY_TAKEN,
    EventKind.RESOLVED: Verdict.ALREADY_TAKEN,
    EventKind.DISMISSED: Verdict.DISMISSED,
    EventKind.SEE_LESS: Verdict.SEE_LESS,
}
_EXPOSED = np.array(sorted(EXPOSURES), np.uint8)
_VERDICTS = np.zeros(256, np.uint8)
for _kind, _verdict in VERDICT_OF_KIND.items():
    _VERDICTS[_kind] = _verdict


class BaseHistory(NamedTuple):
    """The training log's events, grouped by member and (positions of them) by lead."""

    member_start: I64  # [members + 1] into the arrays below
    lead: I32  # [e] base lead row
    kind: U8  # [e]
    reason: U8  # [e]
    time_us: I64  # [e]
    slot: U8  # [e] see features.willingness
    lead_start: I64  # [leads + 1] into the two arrays below
    by_lead_member: I32  # [f] base member row of the events that forbid the pair
    by_lead_verdict: U8  # [f]
    asked_less_us: I64  # [members] last SEE_LESS without a lead, 0 never

    def forbidding(self) -> tuple[I64, I32, U8]:
        """The events that forbid a pair, by member: int64[members + 1], leads and verdicts [s]."""
        verdicts = _VERDICTS[self.kind]
        at = np.flatnonzero(verdicts)
        return np.searchsorted(at, self.member_start), self.lead[at], verdicts[at]


def group_events(
    member: I32,
    lead: I32,
    kind: U8,
    reason: U8,
    time_us: I64,
    slot: I32,
    member_count: int,
    lead_count: int,
) -> BaseHistory:
    """A BaseHistory of n events (arrays of length n). Without a lead (-1) only SEE_LESS counts."""
    known = lead >= 0
    asked = ~known & (kind == EventKind.SEE_LESS)
    asked_less_us = np.zeros(member_count, np.int64)
    np.maximum.at(asked_less_us, member[asked], time_us[asked])
    member, lead, kind = member[known], lead[known], kind[known]
    reason, time_us, slots = reason[known], time_us[known], slot[known].astype(np.uint8)
    order = np.argsort(member, kind="stable")
    forbids = np.flatnonzero(_VERDICTS[kind])
    forbids = forbids[np.argsort(lead[forbids], kind="stable")]
    return BaseHistory(
        _starts(member, member_count),
        lead[order],
        kind[order],
        reason[order],
        time_us[order],
        slots[order],
        _starts(lead[forbids], lead_count),
        member[forbids],
        _VERDICTS[kind[forbids]],
        asked_less_us,
    )


def _starts(rows: I32, count: int) -> I64:
    starts = np.zeros(count + 1, np.int64)
    np.cumsum(np.bincount(rows, minlength=count), out=starts[1:])
    return starts


class Seen(NamedTuple):
    """Rows that are not to be offered, each with its verdict."""

    base_rows: I32
    base_verdicts: U8
    ids: dict[str, Verdict]


class Met(NamedTuple):
    """What a pair has met: when and where it was first pushed or shown, and what came of it."""

    exposed_us: int = 0
    slot: int = -1  # see features.willingness; -1: never exposed
    claimed: bool = False
    claimed_us: int = 0  # the last time
    dismissed: bool = False

    @property
    def exposed(self) -> bool:
        """Whether it was ever pushed or shown."""
        return self.slot >= 0

    def after(self, event: Event) -> Met:
        """The same, once the pair has met this event, too."""
        found, when = self, event.time_us
        if event.kind in EXPOSURES:
            first = (when, slot_at(event.position))
            if self.exposed:
                first = min(first, (self.exposed_us, self.slot))
            found = found._replace(exposed_us=first[0], slot=first[1])
        elif event.kind is EventKind.CLAIMED:
            last = max(when, self.claimed_us) if self.claimed else when
            found = found._replace(claimed=True, claimed_us=last)
        elif event.kind is EventKind.DISMISSED:
            found = found._replace(dismissed=True)
        return found


@dataclass
class History:
    """The base log plus a growing record of later events, by id."""

    base: BaseHistory
    by_member: dict[str, list[Event]] = field(default_factory=lambda: defaultdict(list))
    by_lead: dict[str, dict[str, Verdict]] = field(default_factory=lambda: defaultdict(dict))
    asked_less_us: dict[str, int] = field(default_factory=dict)

    def add(self, event: Event) -> None:
        """Takes one later event in; of those without a lead only SEE_LESS says something."""
        if not event.lead_id:
            if event.kind is EventKind.SEE_LESS:
                last_us = self.asked_less_us.get(event.member_id, 0)
                self.asked_less_us[event.member_id] = max(last_us, event.time_us)
            return
        self.by_member[event.member_id].append(event)
        verdict = VERDICT_OF_KIND.get(event.kind)
        if verdict is not None:
            self.by_lead[event.lead_id][event.member_id] = verdict

    def seen_leads(self, base_member: int, member_id: str) -> Seen:
        """Leads not to be offered to a member (base row, -1 for one the bundle does not know)."""
        rows, kinds = np.empty(0, np.int32), np.empty(0, np.uint8)
        if base_member >= 0:
            part = self.base_slice(base_member)
            verdicts = _VERDICTS[self.base.kind[part]]
            rows, kinds = self.base.lead[part][verdicts > 0], verdicts[verdicts > 0]
        return Seen(rows, kinds, self.later_verdicts(member_id))

    def later_verdicts(self, member_id: str) -> dict[str, Verdict]:
        """The leads that later events forbid a member, each with its last verdict."""
        return {
            e.lead_id: VERDICT_OF_KIND[e.kind]
            for e in self.by_member.get(member_id, ())
            if e.kind in VERDICT_OF_KIND
        }

    def seen_by(self, base_lead: int, lead_id: str) -> Seen:
        """Members to whom a lead is not to be offered (base row, -1 unknown to the bundle)."""
        rows: NDArray[np.int32] = np.empty(0, np.int32)
        verdicts: NDArray[np.uint8] = np.empty(0, np.uint8)
        if base_lead >= 0:
            part = slice(self.base.lead_start[base_lead], self.base.lead_start[base_lead + 1])
            rows, verdicts = self.base.by_lead_member[part], self.base.by_lead_verdict[part]
        return Seen(rows, verdicts, dict(self.by_lead.get(lead_id, {})))

    def met(self, event: Event, base_member: int, base_lead: int) -> Met:
        """What the pair of an event had met before it (base rows, -1 unknown to the bundle)."""
        found = Met()
        if base_member >= 0 and base_lead >= 0:
            found = self._met_in_base(base_member, base_lead)
        for earlier in self.by_member.get(event.member_id, ()):
            if earlier.lead_id == event.lead_id:
                found = found.after(earlier)
        return found

    def _met_in_base(self, member: int, lead: int) -> Met:
        part = self.base_slice(member)
        at = np.flatnonzero(self.base.lead[part] == lead) + part.start
        kind, time_us = self.base.kind[at], self.base.time_us[at]
        exposed = np.isin(kind, _EXPOSED)
        shown = zip(time_us[exposed].tolist(), self.base.slot[at][exposed].tolist(), strict=True)
        exposed_us, slot = min(shown, default=(0, -1))
        claims = time_us[kind == EventKind.CLAIMED]
        dismissed = bool((kind == EventKind.DISMISSED).any())
        return Met(exposed_us, slot, len(claims) > 0, int(claims.max(initial=0)), dismissed)

    def kinds(
        self, member_id: str, base_member: int, lead_id: str, base_lead: int
    ) -> list[EventKind]:
        """What a pair did, in order (base rows, -1 unknown to the bundle)."""
        found: list[EventKind] = []
        if base_member >= 0 and base_lead >= 0:
            part = self.base_slice(base_member)
            of_pair = self.base.kind[part][self.base.lead[part] == base_lead]
            found = [EventKind(kind) for kind in of_pair.tolist()]
        return found + [e.kind for e in self.by_member.get(member_id, ()) if e.lead_id == lead_id]

    def base_slice(self, base_member: int) -> slice:
        """Where a base member's events lie in the base arrays."""
        return slice(
            int(self.base.member_start[base_member]), int(self.base.member_start[base_member + 1])
        )

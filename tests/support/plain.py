"""The rules of who may be offered what, once more: slow, in plain Python, pair by pair.

Nothing here shares code with the service beside the entities and the names of the verdicts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from features.entities import Conflict, Event, EventKind, Lead, LeadState, Member, Organization
from recsvc.model.verdicts import Verdict
from recsvc.store.codec import RecordKind, entity_id
from support.changes import Step
from support.worlds import tiny_dataset, tiny_events

AHEAD_US = 5 * 60 * 1_000_000
FORBIDS = {
    EventKind.AUTHORED: Verdict.AUTHOR,
    EventKind.CLAIMED: Verdict.ALREADY_TAKEN,
    EventKind.RELEASED: Verdict.ALREADY_TAKEN,
    EventKind.TRANSFERRED: Verdict.ALREADY_TAKEN,
    EventKind.RESOLVED: Verdict.ALREADY_TAKEN,
    EventKind.DISMISSED: Verdict.DISMISSED,
    EventKind.SEE_LESS: Verdict.SEE_LESS,
}


@dataclass
class PlainWorld:
    """The records that live, and all events in the order in which they came."""

    members: dict[str, Member] = field(default_factory=dict)
    leads: dict[str, Lead] = field(default_factory=dict)
    organizations: dict[str, Organization] = field(default_factory=dict)
    conflicts: dict[str, Conflict] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    @classmethod
    def tiny(cls) -> PlainWorld:
        """The small world."""
        data = tiny_dataset()
        return cls(
            {m.member_id: m for m in data.members},
            {lead.lead_id: lead for lead in data.leads},
            {o.organization_id: o for o in data.organizations},
            {entity_id(c): c for c in data.conflicts},
            list(tiny_events()),
        )

    def take(self, step: Step) -> None:
        """One thing that happens."""
        match step:
            case Event():
                self.events.append(step)
            case Member():
                self.members[step.member_id] = step
            case Lead():
                self.leads[step.lead_id] = step
            case Organization():
                self.organizations[step.organization_id] = step
            case Conflict():
                self.conflicts[entity_id(step)] = step
            case (kind, identifier):
                self._delete(kind, identifier)

    def _delete(self, kind: RecordKind, identifier: str) -> None:
        match kind:
            case RecordKind.MEMBER:
                self.members.pop(identifier, None)
            case RecordKind.LEAD:
                self.leads.pop(identifier, None)
            case RecordKind.ORGANIZATION:
                self.organizations.pop(identifier, None)
            case RecordKind.CONFLICT:
                self.conflicts.pop(identifier, None)

    def forbidden(self) -> dict[tuple[str, str], Verdict]:
        """What each pair's last forbidding event says."""
        return {
            (e.member_id, e.lead_id): FORBIDS[e.kind]
            for e in self.events
            if e.lead_id and e.kind in FORBIDS
        }

    def verdicts(self, now_us: int) -> dict[tuple[str, str], Verdict]:
        """The verdict of every pair of a living member and a living lead."""
        past = self.forbidden()
        found = {}
        for m in self.members.values():
            for lead in self.leads.values():
                verdict = self.verdict(m, lead, now_us)
                if verdict is Verdict.KEPT:
                    verdict = past.get((m.member_id, lead.lead_id), verdict)
                found[m.member_id, lead.lead_id] = verdict
        return found

    def verdict(self, member: Member, lead: Lead, now_us: int) -> Verdict:
        """What the records say of a pair: the first rule that stands against it."""
        return next(self.standing(member, lead, now_us), Verdict.KEPT)

    def all_verdicts(self, member_id: str, lead_id: str, now_us: int) -> list[Verdict]:
        """Every rule that stands against a pair, each once; its own past last, latest first."""
        records = self.standing(self.members[member_id], self.leads[lead_id], now_us)
        past = [
            FORBIDS[e.kind]
            for e in reversed(self.events)
            if (e.member_id, e.lead_id) == (member_id, lead_id) and e.kind in FORBIDS
        ]
        return list(dict.fromkeys([*records, *past]))

    def standing(self, member: Member, lead: Lead, now_us: int) -> Iterator[Verdict]:
        """What the records say against a pair, rule by rule."""
        over = lead.state is not LeadState.OPEN and lead.close_time_us <= now_us + AHEAD_US
        if over and lead.state is not LeadState.CLAIMED:
            yield Verdict.CLOSED
        if (over and lead.state is LeadState.CLAIMED) or lead.claim_capacity == 0:
            yield Verdict.CAPACITY
        if lead.create_time_us > now_us + AHEAD_US:
            yield Verdict.NOT_YET_CREATED
        if any(covers(c, lead) for c in self.conflicts.values() if c.member_id == member.member_id):
            yield Verdict.CONFLICT
        if lead.author_id == member.member_id:
            yield Verdict.AUTHOR
        if not self.sees(member.organization_id, lead.organization_id):
            yield Verdict.JURISDICTION
        if not member.active:
            yield Verdict.INACTIVE

    def sees(self, own: str, other: str) -> bool:
        """Whether members of organization `own` may see leads of `other` ("" for none)."""
        organization = self.organizations.get(own)
        if organization is None or not other:
            return True
        rules = [r.strip().upper() for r in organization.jurisdiction.split(";") if r.strip()]
        if not rules or "ANY" in rules:
            return True
        siblings = (
            own != other
            and organization.parent_id != ""
            and self.parent(other) == organization.parent_id
        )
        return (
            ("OWN" in rules and own == other)
            or ("PARENTS" in rules and other in self.ancestors(own))
            or ("CHILDREN" in rules and own in self.ancestors(other))
            or ("NEIGHBOURS" in rules and siblings)
        )

    def parent(self, organization_id: str) -> str:
        """The parent's id, "" for none."""
        organization = self.organizations.get(organization_id)
        return organization.parent_id if organization else ""

    def ancestors(self, organization_id: str) -> list[str]:
        """Parents up to the root; a circle ends where it would begin again."""
        found: list[str] = []
        at = self.parent(organization_id)
        while at and at not in found and at != organization_id:
            found.append(at)
            at = self.parent(at)
        return found


def covers(conflict: Conflict, lead: Lead) -> bool:
    """Whether a recusal is about this lead."""
    named: Iterable[tuple[str, str]] = (
        (conflict.lead_id, lead.lead_id),
        (conflict.author_id, lead.author_id),
        (conflict.organization_id, lead.organization_id),
    )
    return any(wanted and wanted == found for wanted, found in named)

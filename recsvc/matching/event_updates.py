"""Events, taken into a snapshot: the masks and counters they move, the profiles they change."""

from __future__ import annotations

from collections.abc import Sequence

from features.entities import ACTIONS, EXPOSURES, INTERESTS, Event, EventKind
from recsvc.matching.profile import fold_profile
from recsvc.model.answers import add_answer, answer_of
from recsvc.model.arrays import LeadColumns, MemberColumns
from recsvc.model.history import Met
from recsvc.model.snapshot import Snapshot
from recsvc.store.codec import RecordKind

_POSITIVE = INTERESTS | ACTIONS


def add_events(snapshot: Snapshot, events: Sequence[Event]) -> None:
    """Takes events in: masks and counters at once, then the members' profiles.

    An event about somebody or something not heard of yet waits for it: records and events come
    from different buckets, in no common order.
    """
    touched: dict[str, None] = {}
    for event in events:
        missing = _missing(snapshot, event)
        if missing is not None:
            snapshot.waiting[missing].append(event)
            continue
        if event.lead_id:
            _count(snapshot, event)
        snapshot.history.add(event)
        if event.lead_id and event.kind not in EXPOSURES:
            touched[event.member_id] = None
    for member_id in touched:
        refold(snapshot, member_id)


def add_waiting(snapshot: Snapshot, kind: RecordKind, identifiers: Sequence[str]) -> None:
    """Takes the events in that waited for these members or leads."""
    for identifier in identifiers:
        add_events(snapshot, snapshot.waiting.pop((kind, identifier), ()))


def _missing(snapshot: Snapshot, event: Event) -> tuple[RecordKind, str] | None:
    """The side of an event that was never here, None when both were."""
    if snapshot.members.last_row(event.member_id) < 0:
        return RecordKind.MEMBER, event.member_id
    if event.lead_id and snapshot.leads.last_row(event.lead_id) < 0:
        return RecordKind.LEAD, event.lead_id
    return None


def _count(snapshot: Snapshot, event: Event) -> None:
    """Moves the counters of both sides, as training counts a log: see `training.state`."""
    bundle = snapshot.bundle
    base = bundle.member_ids.get(event.member_id), bundle.lead_ids.get(event.lead_id)
    before = snapshot.history.met(event, *base)
    _answer(snapshot, event, before)
    exposed = before.exposed or event.kind in EXPOSURES
    claimed = before.claimed or event.kind is EventKind.CLAIMED
    places: tuple[tuple[MemberColumns | LeadColumns, int], ...] = (
        snapshot.members.locate(snapshot.members.last_row(event.member_id)),
        snapshot.leads.locate(snapshot.leads.last_row(event.lead_id)),
    )
    snapshot.members.touch(snapshot.members.last_row(event.member_id))
    snapshot.leads.touch(snapshot.leads.last_row(event.lead_id))
    for columns, local in places:
        columns.exposures[local] += exposed and not before.exposed
        columns.claims[local] += (exposed and claimed) and not (before.exposed and before.claimed)
        columns.events[local] += event.kind in _POSITIVE


def _answer(snapshot: Snapshot, event: Event, before: Met) -> None:
    """Moves willingness, appeal and what the member answers to by what the event changed."""
    context = snapshot.bundle.context
    answers = [answer_of(met, context.counted_until_us) for met in (before, before.after(event))]
    if answers[0] == answers[1]:
        return
    members, member = snapshot.members.locate(snapshot.members.last_row(event.member_id))
    leads, lead = snapshot.leads.locate(snapshot.leads.last_row(event.lead_id))
    for answer, sign in zip(answers, (-1, 1), strict=True):
        if answer is not None:
            add_answer(members, member, leads, lead, answer, sign, context)


def refold(snapshot: Snapshot, member_id: str) -> None:
    """Recomputes a member's vectors from their whole history; the row moves to the tail."""
    if snapshot.members.row(member_id) < 0:
        return
    profile = fold_profile(snapshot, member_id)
    row = snapshot.members.move_to_tail(member_id) - snapshot.members.base_count
    tail = snapshot.members.tail
    for name, values in profile._asdict().items():
        getattr(tail, name)[row] = values

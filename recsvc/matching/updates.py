"""Changes of the store, taken into a snapshot: records, deletions, events.

Everything here is idempotent: a worker may see a change twice (once in the records it loads at
start, once in the stream), and a record equal to the bundle's changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from features.entities import Conflict, Lead, Member, Organization
from recsvc.matching.claims import fill_capacity, set_holders
from recsvc.matching.event_updates import add_events, add_waiting, refold
from recsvc.model.answers import content_appeal
from recsvc.model.arrays import F32, LeadColumns, MemberColumns
from recsvc.model.assemble import fill_lead_states, fill_leads, fill_members
from recsvc.model.lead_readings import LeadReading
from recsvc.model.segments import Table
from recsvc.model.snapshot import Snapshot
from recsvc.store.claims import decode_holders
from recsvc.store.codec import (
    DELETED,
    RecordKind,
    Tombstone,
    decode_entity,
    decode_event,
    stored_fingerprint,
)
from recsvc.store.types import Change, ChangeBatch, ChangeKind, StoredRecord

E = TypeVar("E", Member, Lead, Organization, Conflict)


def apply_batch(snapshot: Snapshot, batch: ChangeBatch) -> None:
    """Takes a batch in and moves the snapshot to its revision.

    Changes before the snapshot's revision are left out; runs of one kind are taken in together.
    """
    fresh = [c for c in batch.changes if not snapshot.revision.includes(c.bucket, c.position)]
    begin = 0
    while begin < len(fresh):
        end = begin
        while end < len(fresh) and fresh[end].kind == fresh[begin].kind:
            end += 1
        _apply_run(snapshot, fresh[begin].kind, fresh[begin:end])
        begin = end
    snapshot.revision = snapshot.revision.merge(batch.revision)


def load_records(snapshot: Snapshot, kind: RecordKind, records: Sequence[StoredRecord]) -> None:
    """Lays stored records (and tombstones) over the bundle's catalog."""
    _put(snapshot, kind, [(r.id, r.data, None) for r in records])


def _apply_run(snapshot: Snapshot, kind: ChangeKind, changes: Sequence[Change]) -> None:
    if kind is ChangeKind.EVENT:
        add_events(snapshot, [decode_event(c.payload) for c in changes])
    elif kind is ChangeKind.CLAIM:
        set_holders(snapshot, {c.id: decode_holders(c.payload) for c in changes})
    elif kind is not ChangeKind.ACTIVATION:
        version = snapshot.model_id
        rows = [
            (c.id, c.payload, c.vector if c.model_version == version else None) for c in changes
        ]
        _put(snapshot, RecordKind(kind.value), rows)


def _put(
    snapshot: Snapshot, kind: RecordKind, rows: Sequence[tuple[str, bytes, F32 | None]]
) -> None:
    latest = {identifier: (data, vector) for identifier, data, vector in rows}
    deleted = [i for i, (data, _) in latest.items() if stored_fingerprint(data) == DELETED]
    for identifier in deleted:
        _delete(snapshot, kind, identifier)
        del latest[identifier]
    match kind:
        case RecordKind.MEMBER:
            _put_members(snapshot, {i: data for i, (data, _) in latest.items()})
        case RecordKind.LEAD:
            _put_leads(snapshot, latest)
        case RecordKind.ORGANIZATION:
            for data, _ in latest.values():
                snapshot.organizations.put(_decode(Organization, data))
        case RecordKind.CONFLICT:
            for data, _ in latest.values():
                snapshot.recusals.put(_decode(Conflict, data))


def _delete(snapshot: Snapshot, kind: RecordKind, identifier: str) -> None:
    match kind:
        case RecordKind.MEMBER:
            snapshot.members.delete(identifier)
        case RecordKind.LEAD:
            snapshot.leads.delete(identifier)
        case RecordKind.ORGANIZATION:
            snapshot.organizations.delete(identifier)
        case RecordKind.CONFLICT:
            snapshot.recusals.delete(identifier)


def _decode(entity_type: type[E], data: bytes) -> E:
    entity = decode_entity(entity_type, data)
    assert not isinstance(entity, Tombstone), "tombstones were sorted out before"
    return entity


def _is_current(
    table: Table[MemberColumns] | Table[LeadColumns], identifier: str, data: bytes
) -> bool:
    row = table.row(identifier)
    return row >= 0 and stored_fingerprint(table.record(row)) == stored_fingerprint(data)


def _only_state_changed(snapshot: Snapshot, lead: Lead) -> bool:
    """Whether nothing that makes a lead's vectors differs from what is known of it."""
    row = snapshot.leads.row(lead.lead_id)
    if row < 0:
        return False
    old = _decode(Lead, snapshot.leads.record(row))
    return lead == replace(
        old,
        state=lead.state,
        close_time_us=lead.close_time_us,
        claim_capacity=lead.claim_capacity,
        support_count=lead.support_count,
    )


def _put_members(snapshot: Snapshot, found: dict[str, bytes]) -> None:
    changed = {i: d for i, d in found.items() if not _is_current(snapshot.members, i, d)}
    if not changed:
        return
    members = [_decode(Member, data) for data in changed.values()]
    new = [m.member_id for m in members if snapshot.members.row(m.member_id) < 0]
    rows = [snapshot.members.move_to_tail(m.member_id, changed[m.member_id]) for m in members]
    local = np.array(rows, np.int32) - snapshot.members.base_count
    features = snapshot.bundle.space.members(members)
    fill_members(snapshot.members.tail, local, members, features, snapshot.organizations)
    for member_id in new:
        refold(snapshot, member_id)
    add_waiting(snapshot, RecordKind.MEMBER, new)


def _put_leads(snapshot: Snapshot, found: dict[str, tuple[bytes, F32 | None]]) -> None:
    """New or changed leads; one whose vector training learned keeps it."""
    table = snapshot.leads
    changed = {i: d for i, (d, _) in found.items() if not _is_current(table, i, d)}
    moving = []
    for lead in (_decode(Lead, data) for data in changed.values()):
        if _only_state_changed(snapshot, lead):
            row = table.row(lead.lead_id)
            columns, local = table.locate(row)
            fill_lead_states(columns, np.array([local], np.int32), [lead])
            table.replace_record(row, changed[lead.lead_id])
            table.touch(row)
            fill_capacity(snapshot, lead)
        else:
            moving.append(lead)
    if not moving:
        return
    new = [lead.lead_id for lead in moving if table.row(lead.lead_id) < 0]
    for lead in moving:
        table.move_to_tail(lead.lead_id, changed[lead.lead_id])
    given = {i: vector for i, (_, vector) in found.items()}
    for leads, reading in _readings(snapshot, moving, given):
        _fill_tail(snapshot, leads, reading, given)
    for lead in moving:
        fill_capacity(snapshot, lead)
    add_waiting(snapshot, RecordKind.LEAD, new)


def _readings(
    snapshot: Snapshot, leads: list[Lead], given: Mapping[str, F32 | None]
) -> Iterator[tuple[list[Lead], LeadReading]]:
    """What this worker read of the leads when it accepted them; the others are read now."""
    taken = snapshot.readings.take(leads)
    if taken is not None:
        kept, reading, leads = taken
        yield kept, reading
    vectors = [v for lead in leads if (v := given[lead.lead_id]) is not None]
    if leads and len(vectors) == len(leads):
        yield leads, LeadReading(snapshot.bundle.space.leads(leads), np.stack(vectors))
    elif leads:
        yield leads, snapshot.read_leads(leads)


def _fill_tail(
    snapshot: Snapshot,
    leads: Sequence[Lead],
    reading: LeadReading,
    given: Mapping[str, F32 | None],
) -> None:
    """Writes leads that are in the tail; `given` are vectors that another worker made of them."""
    table, features = snapshot.leads, reading.features
    rows = np.array([table.row(lead.lead_id) for lead in leads], np.int32) - table.base_count
    fill_leads(table.tail, rows, leads, features, snapshot.organizations)
    table.tail.content_appeal[rows] = content_appeal(features.text, snapshot.bundle.context)
    for at, lead in enumerate(leads):
        if snapshot.is_trained(lead.lead_id):
            continue  # training learned its vector
        vector = given[lead.lead_id]
        table.tail.vector[rows[at]] = reading.vectors[at] if vector is None else vector

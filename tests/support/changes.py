"""A change stream as the store would give it, without a store."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence

from features.entities import Conflict, Event, Lead, Member, Organization
from recsvc.matching.updates import apply_batch
from recsvc.model.snapshot import Snapshot
from recsvc.store.codec import (
    EncodedRecord,
    RecordKind,
    bucket_id,
    encode_entity,
    encode_event,
    encode_tombstone,
)
from recsvc.store.revision import Position, Revision
from recsvc.store.types import Change, ChangeBatch, ChangeKind, StoredRecord

BUCKETS = 8
Entity = Member | Lead | Organization | Conflict
Deletion = tuple[RecordKind, str]
Step = Entity | Event | Deletion
"""What may happen: a record written, an event recorded, a record deleted."""


def bucket_of(identifier: str) -> int:
    """The bucket of an id."""
    return zlib.crc32(identifier.encode()) % BUCKETS


def changes_of(steps: Iterable[Step], start: int = 1) -> list[Change]:
    """The stream entries of these steps, one after the other."""
    return [_change(step, Position(start + at, 0)) for at, step in enumerate(steps)]


def _change(step: Step, position: Position) -> Change:
    match step:
        case Event():
            data, _ = encode_event(step)
            bucket = bucket_of(step.member_id)
            return Change(ChangeKind.EVENT, step.member_id, data, bucket, position)
        case (kind, identifier):
            bucket = bucket_of(bucket_id(kind, identifier))
            tombstone = encode_tombstone(1)
            return Change(ChangeKind(kind.value), identifier, tombstone, bucket, position)
        case _:
            record = encode_entity(step)
            bucket = bucket_of(bucket_id(record.kind, record.id))
            return Change(ChangeKind(record.kind.value), record.id, record.data, bucket, position)


def batch_of(changes: Sequence[Change]) -> ChangeBatch:
    """One batch; its revision is the last position of each bucket."""
    return ChangeBatch(tuple(changes), Revision.of({c.bucket: c.position for c in changes}))


def apply_steps(snapshot: Snapshot, *steps: Step) -> None:
    """Takes steps in as one batch, after everything the snapshot has."""
    last = max((p.milliseconds for _, p in snapshot.revision.positions), default=0)
    apply_batch(snapshot, batch_of(changes_of(steps, last + 1)))


def stored(entity: Entity) -> StoredRecord:
    """A record as a scan of the store gives it."""
    record: EncodedRecord = encode_entity(entity)
    return StoredRecord(record.kind, record.id, record.fingerprint, record.data)


def stored_tombstone(kind: RecordKind, identifier: str) -> StoredRecord:
    """What a scan gives for a deleted record."""
    return StoredRecord(kind, identifier, "", encode_tombstone(1))

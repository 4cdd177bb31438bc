"""Entities and events as JSON bytes with a schema version, as the store keeps them.

A record is `{"v": schema, "f": fingerprint, "d": content}`; a deleted one keeps a tombstone
`{"v": schema, "f": "", "x": deletion time}`. Content leaves out fields at their default, so a field
added later changes neither the bytes nor the fingerprint of what is already stored; unknown fields
are ignored when read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from enum import StrEnum
from typing import Any, Generic, TypeVar

import msgspec

from features.entities import Conflict, Event, Lead, Member, Organization
from features.errors import DataError

SCHEMA_VERSION = 1

Entity = Member | Lead | Organization | Conflict
E = TypeVar("E", bound=Entity)
T = TypeVar("T")

DELETED = ""
"""The fingerprint of a record that is deleted or was never written."""


class CodecError(DataError):
    """Stored bytes that this version cannot read."""


class RecordKind(StrEnum):
    """The tables of the catalog."""

    MEMBER = "member"
    LEAD = "lead"
    ORGANIZATION = "organization"
    CONFLICT = "conflict"


ENTITY_TYPES: Mapping[RecordKind, type[Entity]] = {
    RecordKind.MEMBER: Member,
    RecordKind.LEAD: Lead,
    RecordKind.ORGANIZATION: Organization,
    RecordKind.CONFLICT: Conflict,
}
_KINDS: Mapping[type, RecordKind] = {t: kind for kind, t in ENTITY_TYPES.items()}


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What is left of a deleted record."""

    delete_time_us: int


@dataclass(frozen=True, slots=True)
class EncodedRecord:
    """An entity ready to be stored."""

    kind: RecordKind
    id: str
    fingerprint: str
    data: bytes


class _Envelope(msgspec.Struct, Generic[T]):
    v: int
    f: str = DELETED
    d: T | None = None
    x: int = 0


class _Head(msgspec.Struct):
    v: int
    f: str = DELETED


_ENVELOPES: Mapping[type, msgspec.json.Decoder[Any]] = {
    t: msgspec.json.Decoder(_Envelope[t])  # type: ignore[valid-type]
    for t in (*ENTITY_TYPES.values(), Event)
}
_HEAD = msgspec.json.Decoder(_Head)
_DEFAULTS: Mapping[type, tuple[tuple[str, Any], ...]] = {
    t: tuple((f.name, None if f.default is MISSING else f.default) for f in fields(t))
    for t in _ENVELOPES
}


def kind_of(entity: Entity) -> RecordKind:
    """The table an entity belongs to."""
    return _KINDS[type(entity)]


def entity_id(entity: Entity) -> str:
    """The id a record is stored under. A conflict's is `<member_id>~<hash of what it names>`."""
    match entity:
        case Member():
            return entity.member_id
        case Lead():
            return entity.lead_id
        case Organization():
            return entity.organization_id
        case Conflict():
            named = (entity.member_id, entity.lead_id, entity.author_id, entity.organization_id)
            return f"{entity.member_id}~{_digest(msgspec.json.encode(named))}"


def bucket_id(kind: RecordKind, identifier: str) -> str:
    """The id that decides a record's bucket: a conflict lives beside its member."""
    return identifier.rpartition("~")[0] if kind is RecordKind.CONFLICT else identifier


def fingerprint(content: Entity | Event) -> str:
    """16 hex digits that change when the content does (BLAKE2b-8 of the canonical content)."""
    return _digest(_canonical(content))


def encode_entity(entity: Entity) -> EncodedRecord:
    """The stored form of an entity."""
    content = _canonical(entity)
    digest = _digest(content)
    envelope = {"v": SCHEMA_VERSION, "f": digest, "d": msgspec.Raw(content)}
    data = msgspec.json.encode(envelope)
    return EncodedRecord(kind_of(entity), entity_id(entity), digest, data)


def encode_tombstone(delete_time_us: int) -> bytes:
    """The stored form of a deleted record."""
    return msgspec.json.encode({"v": SCHEMA_VERSION, "f": DELETED, "x": delete_time_us})


def decode_entity(entity_type: type[E], data: bytes) -> E | Tombstone:
    """The entity (or what is left of it) in stored bytes; raises CodecError."""
    envelope = _open(entity_type, data)
    content: E | None = envelope.d
    return Tombstone(envelope.x) if content is None else content


def stored_fingerprint(data: bytes) -> str:
    """The fingerprint a stored record carries, DELETED for a tombstone; raises CodecError."""
    try:
        return _HEAD.decode(data).f
    except msgspec.MsgspecError as error:
        raise CodecError(f"unreadable record: {error}") from error


def encode_event(event: Event) -> tuple[bytes, str]:
    """An event's stored form, and its fingerprint."""
    content = _canonical(event)
    data = msgspec.json.encode({"v": SCHEMA_VERSION, "d": msgspec.Raw(content)})
    return data, _digest(content)


def decode_event(data: bytes) -> Event:
    """The event in stored bytes; raises CodecError."""
    event: Event | None = _open(Event, data).d
    if event is None:
        raise CodecError("unreadable event: it has no content")
    return event


def _open(content_type: type, data: bytes) -> _Envelope[Any]:
    try:
        envelope: _Envelope[Any] = _ENVELOPES[content_type].decode(data)
    except msgspec.MsgspecError as error:
        _check_schema(data)  # which may be why
        raise CodecError(f"unreadable {content_type.__name__} record: {error}") from error
    if envelope.v > SCHEMA_VERSION:
        _check_schema(data)
    return envelope


def _check_schema(data: bytes) -> None:
    try:
        schema = _HEAD.decode(data).v
    except msgspec.MsgspecError:
        return
    if schema > SCHEMA_VERSION:
        raise CodecError(
            f"a record was written with schema {schema}, this version reads up to "
            f"{SCHEMA_VERSION}: upgrade recsvc"
        )


def _canonical(content: Entity | Event) -> bytes:
    kept = {
        name: value
        for name, default in _DEFAULTS[type(content)]
        if (value := getattr(content, name)) != default
    }
    return msgspec.json.encode(kept)


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=8).hexdigest()

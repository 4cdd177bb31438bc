"""Stored bytes: what goes in comes out, and old and newer forms are told apart."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.entities import (
    Conflict,
    DismissReason,
    Event,
    EventKind,
    Lead,
    LeadState,
    Member,
    Organization,
    Place,
)
from recsvc.store import codec
from recsvc.store.codec import CodecError, RecordKind, Tombstone

texts = st.text(max_size=20)
degrees = st.none() | st.floats(-180, 180)
int64 = st.integers(-(2**63), 2**63 - 1)
members = st.builds(
    Member,
    member_id=texts,
    expertise=texts,
    topics=st.lists(texts, max_size=3).map(tuple),
    latitude=degrees,
    places=st.lists(st.builds(Place, latitude=degrees, region_code=texts), max_size=2).map(tuple),
    weekly_push_limit=st.none() | st.integers(0, 9),
    active=st.booleans(),
    join_time_us=int64,
)
leads = st.builds(
    Lead,
    lead_id=texts,
    title=texts,
    urgency=st.integers(0, 3),
    state=st.sampled_from(LeadState),
    claim_capacity=st.none() | st.integers(0, 5),
)
organizations = st.builds(Organization, organization_id=texts, level=st.integers(0, 3))
conflicts = st.builds(Conflict, member_id=texts, lead_id=texts, author_id=texts, reason=texts)
events = st.builds(
    Event,
    kind=st.sampled_from(EventKind),
    time_us=int64,
    member_id=texts,
    event_id=texts,
    propensity=st.none() | st.floats(0, 1),
    reason=st.sampled_from(DismissReason),
)


@given(members | leads | organizations | conflicts)
def test_entities_round_trip(entity: codec.Entity) -> None:
    record = codec.encode_entity(entity)
    assert codec.ENTITY_TYPES[record.kind] is type(entity)
    assert record.id == codec.entity_id(entity)
    back: object = codec.decode_entity(type(entity), record.data)
    assert back == entity
    assert type(back) is type(entity)
    assert codec.stored_fingerprint(record.data) == record.fingerprint == codec.fingerprint(entity)
    assert json.loads(record.data)["v"] == codec.SCHEMA_VERSION


@given(events)
def test_events_round_trip(event: Event) -> None:
    data, fingerprint = codec.encode_event(event)
    assert codec.decode_event(data) == event
    assert fingerprint == codec.fingerprint(event)


@given(members, members)
def test_fingerprints_differ_exactly_when_content_does(a: Member, b: Member) -> None:
    assert (codec.fingerprint(a) == codec.fingerprint(b)) == (a == b)


def test_fields_at_their_default_are_not_stored() -> None:
    data = json.loads(codec.encode_entity(Lead("L1", title="路灯不亮")).data)
    assert data["d"] == {"lead_id": "L1", "title": "路灯不亮"}


def test_fields_of_a_later_version_are_ignored() -> None:
    data = b'{"v":1,"f":"00","later":1,"d":{"lead_id":"L1","later":[1]}}'
    assert codec.decode_entity(Lead, data) == Lead("L1")


def test_a_conflict_lives_beside_its_member_under_an_id_of_its_content() -> None:
    conflict = Conflict("m~1", lead_id="L1", reason="亲属")
    identifier = codec.entity_id(conflict)
    assert codec.bucket_id(RecordKind.CONFLICT, identifier) == "m~1"
    assert codec.entity_id(replace(conflict, reason="同事")) == identifier
    others = [Conflict("m~1", author_id="L1"), Conflict("m~1", lead_id="L2")]
    assert identifier not in map(codec.entity_id, others)
    assert codec.bucket_id(RecordKind.MEMBER, "m~1") == "m~1"


def test_tombstones() -> None:
    data = codec.encode_tombstone(17)
    assert codec.decode_entity(Member, data) == Tombstone(17)
    assert codec.stored_fingerprint(data) == codec.DELETED


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"v":1,"d":{"lead_id":7}}', b"\xff"])
def test_unreadable_bytes_are_told(data: bytes) -> None:
    with pytest.raises(CodecError, match="unreadable Lead record"):
        codec.decode_entity(Lead, data)


def test_unreadable_heads_and_events_are_told() -> None:
    with pytest.raises(CodecError, match="unreadable record"):
        codec.stored_fingerprint(b"{")
    with pytest.raises(CodecError, match="no content"):
        codec.decode_event(b'{"v":1}')


def test_a_newer_schema_is_refused() -> None:
    with pytest.raises(CodecError, match="upgrade recsvc"):
        codec.decode_entity(Member, b'{"v":2,"d":{"another":"shape"}}')

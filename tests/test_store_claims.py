"""Claims in the store: one step each, never beyond capacity, one answer a request."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest

from features.entities import EventKind, Lead, LeadState
from recsvc.store.changes import changes_between
from recsvc.store.claims import (
    ClaimAction,
    ClaimAnswer,
    ClaimMove,
    ClaimState,
    ClaimStatus,
    decode_holders,
)
from recsvc.store.codec import RecordKind, decode_event, encode_entity
from recsvc.store.protocol import Change, ChangeKind, Store
from recsvc.store.redis_store import RedisStore
from recsvc.store.revision import NOTHING

LEAD = Lead("l1", 1, claim_capacity=2)
LEAD_MARK = encode_entity(LEAD).fingerprint


@pytest.fixture
async def store(url: str) -> AsyncGenerator[Store, None]:
    async with RedisStore(url) as opened:
        yield opened


@pytest.fixture
async def tenant(store: Store) -> str:
    """A tenant of its own for each test, with one lead."""
    name = f"t-{uuid.uuid4().hex[:12]}"
    await store.put(name, [LEAD])
    return name


def move(action: ClaimAction, member: str, request: str, **changes: object) -> ClaimMove:
    plain = ClaimMove(action, "l1", member, request, 1_000, LEAD_MARK, capacity=2)
    return replace(plain, **changes)  # type: ignore[arg-type]


def claim(member: str, request: str = "", **changes: object) -> ClaimMove:
    return move(ClaimAction.CLAIM, member, request or f"claim-{member}", **changes)


async def changes_of(store: Store, tenant: str, kind: ChangeKind) -> list[Change]:
    until = await store.latest_revision(tenant)
    found = changes_between(store, tenant, NOTHING, until)
    return [c async for batch in found for c in batch if c.kind is kind]


async def holders(store: Store, tenant: str) -> dict[str, int]:
    return {lead: n async for part in store.holders(tenant) for lead, n in part.items()}


async def states(store: Store, tenant: str) -> dict[str, ClaimState]:
    return {c.member_id: c.state for c in await store.claims(tenant, "l1")}


async def test_capacity_is_the_limit_whoever_comes(store: Store, tenant: str) -> None:
    moves = [claim(f"m{i}") for i in range(400)]  # more than there are connections
    answers = await asyncio.gather(*(store.move_claim(tenant, m) for m in moves))
    granted = [a for a in answers if a.status is ClaimStatus.DONE]
    assert len(granted) == 2
    assert {a.status for a in answers} == {ClaimStatus.DONE, ClaimStatus.FULL}
    assert all(a.holders == a.capacity == 2 for a in answers if a.status is ClaimStatus.FULL)
    assert await holders(store, tenant) == {"l1": 2}
    told = await changes_of(store, tenant, ChangeKind.CLAIM)
    assert [decode_holders(c.payload) for c in told] == [1, 2]


async def test_no_limit_without_a_capacity(store: Store, tenant: str) -> None:
    moves = [claim(f"m{i}", capacity=None) for i in range(5)]
    for each in moves:
        assert (await store.move_claim(tenant, each)).status is ClaimStatus.DONE
    assert await holders(store, tenant) == {"l1": 5}


async def test_a_repeated_request_gets_the_same_answer(store: Store, tenant: str) -> None:
    one = replace(LEAD, claim_capacity=1)
    first = await store.move_claim(tenant, claim("m1", capacity=1))
    lost = await store.move_claim(tenant, claim("m2", capacity=1))
    await store.move_claim(tenant, move(ClaimAction.RELEASE, "m1", "back"))
    await store.put(tenant, [replace(one, title="changed")])
    again = [claim("m1", capacity=1, time_us=9_999), claim("m2", capacity=7, refused=True)]
    assert [await store.move_claim(tenant, m) for m in again] == [first, lost]
    assert (first.status, lost.status) == (ClaimStatus.DONE, ClaimStatus.FULL)
    assert await holders(store, tenant) == {}


async def test_a_request_id_belongs_to_its_request(store: Store, tenant: str) -> None:
    await store.move_claim(tenant, claim("m1", "r"))
    for other in (claim("m2", "r"), move(ClaimAction.RELEASE, "m1", "r")):
        assert (await store.move_claim(tenant, other)).status is ClaimStatus.OTHER
    assert await states(store, tenant) == {"m1": ClaimState.ACTIVE}


async def test_refused_and_stale_steps_change_and_keep_nothing(store: Store, tenant: str) -> None:
    refused = await store.move_claim(tenant, claim("m1", refused=True))
    stale = await store.move_claim(tenant, claim("m1", lead_fingerprint="0" * 16))
    assert (refused.status, stale.status) == (ClaimStatus.REFUSED, ClaimStatus.STALE)
    assert await store.claims(tenant, "l1") == []
    assert (await store.move_claim(tenant, claim("m1"))).status is ClaimStatus.DONE


async def test_every_transition_and_its_events(store: Store, tenant: str) -> None:
    closed = encode_entity(replace(LEAD, state=LeadState.CLOSED))
    steps = [
        claim("m1", push_id="p"),
        move(ClaimAction.TRANSFER, "m1", "t", to_member_id="m2"),
        claim("m1", "again"),
        move(ClaimAction.RELEASE, "m1", "r"),
        move(ClaimAction.RESOLVE, "m2", "s", closed_lead=closed),
    ]
    seen = []
    for step in steps:
        answer = await store.move_claim(tenant, step)
        assert answer.status is ClaimStatus.DONE
        seen.append((await states(store, tenant), answer.holders))
    active, released = ClaimState.ACTIVE, ClaimState.RELEASED
    transferred, resolved = ClaimState.TRANSFERRED, ClaimState.RESOLVED
    assert seen == [
        ({"m1": active}, 1),
        ({"m1": transferred, "m2": active}, 1),
        ({"m1": active, "m2": active}, 2),
        ({"m1": released, "m2": active}, 1),
        ({"m1": released, "m2": resolved}, 0),
    ]
    changes = await changes_of(store, tenant, ChangeKind.EVENT)
    events = [decode_event(c.payload) for c in changes]
    kinds = EventKind
    assert [(e.member_id, e.kind) for e in events] == [
        ("m1", kinds.CLAIMED), ("m1", kinds.TRANSFERRED), ("m2", kinds.CLAIMED),
        ("m1", kinds.CLAIMED), ("m1", kinds.RELEASED), ("m2", kinds.RESOLVED),
    ]  # fmt: skip
    assert [e.push_id for e in events] == ["p", "", "", "", "", ""]
    assert [c.event_id for c in changes] == [e.event_id for e in events]
    assert len({e.event_id for e in events}) == 6
    record = await store.get(tenant, RecordKind.LEAD, "l1")
    assert record is not None
    assert record.data == closed.data


@pytest.mark.parametrize("action", [ClaimAction.RELEASE, ClaimAction.TRANSFER, ClaimAction.RESOLVE])
async def test_only_a_holder_can_part_with_it(
    store: Store, tenant: str, action: ClaimAction
) -> None:
    answer = await store.move_claim(tenant, move(action, "m1", "x", to_member_id="m2"))
    assert answer.status is ClaimStatus.NOT_HELD
    assert await changes_of(store, tenant, ChangeKind.EVENT) == []


async def test_it_is_not_handed_to_somebody_who_holds_it(store: Store, tenant: str) -> None:
    for member in ("m1", "m2"):
        await store.move_claim(tenant, claim(member))
    handed = move(ClaimAction.TRANSFER, "m1", "t", to_member_id="m2")
    assert (await store.move_claim(tenant, handed)).status is ClaimStatus.HELD
    assert await holders(store, tenant) == {"l1": 2}


async def test_claiming_what_one_holds_changes_nothing(store: Store, tenant: str) -> None:
    first = await store.move_claim(tenant, claim("m1"))
    second = await store.move_claim(tenant, claim("m1", "other", time_us=5_000))
    assert isinstance(second, ClaimAnswer)
    assert (second.status, second.time_us) == (ClaimStatus.DONE, first.time_us)
    assert len(await changes_of(store, tenant, ChangeKind.EVENT)) == 1

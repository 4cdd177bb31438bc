"""The outbox in the store: leases, groups, caps, fencing, digests, plans, pauses."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Sequence

import pytest

from features.entities import Event, EventKind
from recsvc.store.changes import changes_between
from recsvc.store.codec import decode_event
from recsvc.store.protocol import ChangeKind, Store
from recsvc.store.pushes import (
    AckStatus,
    FencedError,
    LeasedPush,
    NewPush,
    Pause,
    Push,
    PushPlace,
    PushState,
    PutStatus,
    bucket_of_push,
    digest_id_of,
    push_id_of,
)
from recsvc.store.redis_store import RedisStore
from recsvc.store.redis_store.keys import bucket_of
from recsvc.store.revision import NOTHING

DAY_US = 86_400_000_000
NOW_US = 1_800_000_000_000_000
LEASE_SECONDS = 60.0


@pytest.fixture
async def store(url: str) -> AsyncGenerator[Store, None]:
    async with RedisStore(url) as opened:
        yield opened


@pytest.fixture
def tenant() -> str:
    return f"t-{uuid.uuid4().hex[:12]}"


def new(
    member: str, lead: str, *, at_us: int = NOW_US, wave: int = 0, week: int = 7, day: int = 7
) -> NewPush:
    push = Push(
        push_id_of("t", member, lead, wave), member, lead, wave, "plan", at_us, at_us + 3 * DAY_US
    )
    return NewPush(push, b"detail of " + lead.encode(), week, day)


async def put(store: Store, tenant: str, *pushes: NewPush, token: int = 1) -> list[PutStatus]:
    return await store.put_pushes(tenant, pushes, token, NOW_US)


async def take(
    store: Store,
    tenant: str,
    group: str = "g",
    now_us: int = NOW_US,
    lease_seconds: float = LEASE_SECONDS,
    together: bool = False,
    most: int = 100,
) -> list[LeasedPush]:
    return await store.take_pushes(tenant, group, now_us, lease_seconds, most, together)


async def ack(store: Store, tenant: str, *ids: str, group: str = "g") -> list[AckStatus]:
    events = [
        Event(EventKind.PUSHED, NOW_US, "m", "l", event_id=f"push:{i}", push_id=i) for i in ids
    ]
    return (await store.ack_pushes(tenant, group, events, NOW_US))[0]


def leads(found: Sequence[LeasedPush]) -> set[str]:
    return {lease.push.lead_id for lease in found}


def test_a_push_id_tells_the_bucket_of_its_member() -> None:
    for member in ("m1", "委员:1", "a{b}"):
        push_id = push_id_of("t", member, "l", 0)
        assert bucket_of_push(push_id, 8) == bucket_of(member, 8)
        assert bucket_of_push(digest_id_of(member, [push_id]), 8) == bucket_of(member, 8)
    assert bucket_of_push("no such thing", 8) is None
    named = {push_id_of(t, m, x, w) for t in "ab" for m in "cd" for x in "ef" for w in (0, 1)}
    assert len(named) == 16


async def test_a_push_is_put_once_and_leased_to_one(store: Store, tenant: str) -> None:
    await store.join_group(tenant, "g")
    assert await put(store, tenant, new("m1", "a"), new("m2", "b")) == [PutStatus.NEW] * 2
    assert await put(store, tenant, new("m1", "a")) == [PutStatus.SAME]
    parts = await asyncio.gather(*(take(store, tenant, most=1) for _ in range(6)))
    taken = [lease for part in parts for lease in part]
    assert sorted(lease.push.lead_id for lease in taken) == ["a", "b"]
    assert all(lease.sent_before == 0 for lease in taken)


async def test_a_lease_that_ends_comes_again_an_acknowledged_one_does_not(
    store: Store, tenant: str
) -> None:
    await store.join_group(tenant, "g")
    await put(store, tenant, new("m1", "a"), new("m2", "b"))
    first = await take(store, tenant, lease_seconds=0.05)
    assert leads(first) == {"a", "b"}
    done = next(lease.push.push_id for lease in first if lease.push.lead_id == "a")
    assert await ack(store, tenant, done) == [AckStatus.ACKED]
    await asyncio.sleep(0.1)
    again = await take(store, tenant)
    assert [(lease.push.lead_id, lease.sent_before) for lease in again] == [("b", 1)]
    assert await ack(store, tenant, done, "0" * 28) == [AckStatus.REPEATED, AckStatus.UNKNOWN]


async def test_an_acknowledgement_is_an_exposure_once(store: Store, tenant: str) -> None:
    for group in ("g", "h"):
        await store.join_group(tenant, group)
    await put(store, tenant, new("m1", "a"))
    [lease] = await take(store, tenant)
    await take(store, tenant, "h")
    push_id = lease.push.push_id
    assert await ack(store, tenant, push_id) == [AckStatus.ACKED]
    assert await ack(store, tenant, push_id, group="h") == [AckStatus.ACKED]
    until = await store.latest_revision(tenant)
    changes = [c async for part in changes_between(store, tenant, NOTHING, until) for c in part]
    events = [decode_event(c.payload) for c in changes if c.kind is ChangeKind.EVENT]
    assert [(e.kind, e.push_id) for e in events] == [(EventKind.PUSHED, push_id)]


async def test_every_group_gets_every_push_also_one_that_comes_late(
    store: Store, tenant: str
) -> None:
    await put(store, tenant, new("m1", "a"))
    await store.join_group(tenant, "g")
    assert leads(await take(store, tenant)) == {"a"}
    await put(store, tenant, new("m2", "b"))
    await store.join_group(tenant, "late")
    await store.join_group(tenant, "late")
    assert leads(await take(store, tenant, "late")) == {"a", "b"}
    assert leads(await take(store, tenant)) == {"b"}


async def test_a_push_waits_for_its_release(store: Store, tenant: str) -> None:
    await store.join_group(tenant, "g")
    await put(store, tenant, new("m1", "a", at_us=NOW_US + DAY_US))
    assert await take(store, tenant) == []
    assert leads(await take(store, tenant, now_us=NOW_US + DAY_US)) == {"a"}


async def test_caps_of_the_week_and_the_day_hold_whoever_plans(store: Store, tenant: str) -> None:
    new_, capped = PutStatus.NEW, PutStatus.CAPPED
    three = [new("m1", lead, week=2) for lead in "abc"]
    assert await put(store, tenant, *three) == [new_, new_, capped]
    later = new("m1", "d", at_us=NOW_US + 8 * DAY_US, week=2)
    assert await put(store, tenant, later) == [new_]
    assert await put(store, tenant, new("m2", "a", day=1), new("m2", "b", day=1)) == [new_, capped]
    assert await put(store, tenant, new("m2", "b", day=1, at_us=NOW_US + 2 * DAY_US)) == [new_]
    assert await put(store, tenant, new("m3", "a", week=0)) == [capped]


async def test_what_is_dropped_leaves_all_groups_and_frees_the_cap(
    store: Store, tenant: str
) -> None:
    for group in ("g", "h"):
        await store.join_group(tenant, group)
    await put(store, tenant, new("m1", "a", week=1))
    [lease] = await take(store, tenant)
    await store.drop_pushes(tenant, [(lease.push.push_id, "CAPACITY")], NOW_US)
    assert await take(store, tenant, "h") == []
    found = (await store.pushes(tenant, [lease.push.push_id]))[lease.push.push_id]
    assert (found.state, found.why, found.detail) == (PushState.DROPPED, "CAPACITY", b"detail of a")
    assert await put(store, tenant, new("m1", "b", week=1)) == [PutStatus.NEW]
    again = new("m1", "a", week=2)
    assert await put(store, tenant, again, again) == [PutStatus.NEW, PutStatus.SAME]
    assert leads(await take(store, tenant, "h")) == {"a", "b"}


async def test_dropping_what_may_have_been_seen_frees_nothing(store: Store, tenant: str) -> None:
    await store.join_group(tenant, "g")
    await put(store, tenant, new("m1", "a", week=1))
    await take(store, tenant, lease_seconds=0.01)
    await asyncio.sleep(0.05)
    [lease] = await take(store, tenant)
    await store.drop_pushes(tenant, [(lease.push.push_id, "CLOSED")], NOW_US)
    assert await put(store, tenant, new("m1", "b", week=1)) == [PutStatus.CAPPED]
    assert await put(store, tenant, new("m1", "a")) == [PutStatus.SAME]
    assert await ack(store, tenant, lease.push.push_id) == [AckStatus.ACKED], "it came late"


async def test_places_tell_what_the_member_was_handed(store: Store, tenant: str) -> None:
    await store.join_group(tenant, "g")
    old = new("m1", "old", at_us=NOW_US - 3 * DAY_US)
    await put(store, tenant, old, new("m1", "a"), new("m1", "b"))
    [first] = await take(store, tenant, now_us=NOW_US - 3 * DAY_US)
    assert (first.week_place, first.day_place) == (0, 0)
    places = sorted((x.week_place, x.day_place) for x in await take(store, tenant))
    assert places == [(1, 0), (2, 1)]


async def test_returned_pushes_wait_as_if_never_handed_out(store: Store, tenant: str) -> None:
    await store.join_group(tenant, "g")
    await put(store, tenant, new("m1", "a"))
    [lease] = await take(store, tenant)
    await store.return_pushes(tenant, "g", [(lease.push.push_id, NOW_US + DAY_US)])
    assert await take(store, tenant) == []
    [again] = await take(store, tenant, now_us=NOW_US + DAY_US)
    assert (again.sent_before, again.week_place) == (0, 0)


async def test_a_digest_takes_all_of_a_member(store: Store, tenant: str) -> None:
    await store.join_group(tenant, "g")
    later = new("m1", "later", at_us=NOW_US + DAY_US)
    await put(store, tenant, *(new("m1", x) for x in "abc"), later)
    await put(store, tenant, *(new("m2", x) for x in "abc"))
    found = [x for x in await take(store, tenant, together=True) if x.push.member_id == "m1"]
    assert sorted(x.push.lead_id for x in found) == ["a", "b", "c"]
    assert {x.sent_before for x in found} == {0}
    ids = [lease.push.push_id for lease in found]
    digest = digest_id_of("m1", ids)
    assert digest == digest_id_of("m1", ids[::-1])
    await store.put_digest(tenant, digest, ids)
    assert await store.digests(tenant, [digest, "unknown"]) == {digest: ids}


async def test_a_planner_that_was_overtaken_puts_nothing(store: Store, tenant: str) -> None:
    await put(store, tenant, new("m1", "a"), token=5)
    with pytest.raises(FencedError, match="another process"):
        await put(store, tenant, new("m1", "b"), token=4)
    assert await put(store, tenant, new("m1", "b"), token=5) == [PutStatus.NEW]


async def test_what_nobody_fetched_in_time_is_swept(store: Store, tenant: str) -> None:
    await store.join_group(tenant, "g")
    old = new("m1", "old", at_us=NOW_US - 4 * DAY_US)
    await put(store, tenant, old)
    await put(store, tenant, new("m1", "a"))
    assert leads(await take(store, tenant)) == {"a"}
    found = await store.pushes(tenant, [old.push.push_id])
    assert found[old.push.push_id].why == "EXPIRED"
    again = new("m1", "old", week=2)
    assert await put(store, tenant, again, new("m1", "b", week=2)) == [
        PutStatus.NEW,
        PutStatus.CAPPED,
    ], "what nobody saw counts against no cap"
    found = await store.pushes(tenant, [old.push.push_id])
    assert (found[old.push.push_id].state, found[old.push.push_id].why) == (PushState.WAITING, "")
    still = [p.push.lead_id async for part in store.open_pushes(tenant) for p in part]
    assert sorted(still) == ["a", "old"]


@pytest.mark.parametrize("most", [1, 3, 100])
async def test_a_listing_has_every_push_once(store: Store, tenant: str, most: int) -> None:
    assert await store.list_pushes(tenant, PushPlace(), most) == ([], None)
    ids = [new(f"m{i % 5}", f"l{i}", week=99, day=99) for i in range(20)]
    await put(store, tenant, *ids[:12])
    await store.put_pushes(tenant, ids[12:], 1, NOW_US + 5_000)
    seen: list[str] = []
    place: PushPlace | None = PushPlace()
    while place is not None:
        found, place = await store.list_pushes(tenant, place, most)
        assert len(found) <= most
        seen += [stored.push.push_id for stored in found]
    assert sorted(seen) == sorted(p.push.push_id for p in ids)


async def test_a_plan_is_kept_until_it_is_closed(store: Store, tenant: str) -> None:
    pushes = [new(f"m{i}", "a") for i in range(250)]
    assert await store.open_plans(tenant) == []
    await store.save_plan(tenant, "p1", pushes)
    assert await store.open_plans(tenant) == ["p1"]
    parts = [await store.plan_part(tenant, "p1", i) for i in range(4)]
    assert [len(part) for part in parts] == [100, 100, 50, 0]
    assert [p for part in parts for p in part] == pushes
    await store.close_plan(tenant, "p1")
    assert await store.open_plans(tenant) == []
    assert await store.plan_part(tenant, "p1", 0) == []


async def test_pauses_last_until_they_are_resumed(store: Store, tenant: str) -> None:
    everything, one = Pause("", 1, "operator", "误推"), Pause("o1", 2)
    for pause in (everything, one):
        await store.pause(tenant, pause)
    assert await store.pauses(tenant) == {"": everything, "o1": one}
    await store.resume(tenant, "")
    await store.resume(tenant, "never paused")
    assert await store.pauses(tenant) == {"o1": one}

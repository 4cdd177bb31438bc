"""What every store promises, tried on each server there is here."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

import numpy as np
import pytest

from features.entities import Conflict, Event, EventKind, Lead, Member, Organization
from features.errors import DataError
from recsvc.store import codec
from recsvc.store.changes import changes_between
from recsvc.store.codec import decode_event
from recsvc.store.protocol import (
    DELETED,
    Activation,
    Change,
    ChangeKind,
    EventStatus,
    PageTokenError,
    RecordKind,
    RevisionTrimmedError,
    StaleWriteError,
    Store,
    Tombstone,
    Vectors,
    WorkerStatus,
)
from recsvc.store.redis_store import RedisStore
from recsvc.store.revision import NOTHING, Position, Revision

NOW_US = 1_700_000_000_000_000
ODD_IDS = ["委员:1", "a{b}c", "x y", "%", "~", "e\x00"]


@pytest.fixture
async def store(url: str) -> AsyncGenerator[Store, None]:
    """The store under test."""
    async with RedisStore(url, clock_us=lambda: NOW_US) as opened:
        yield opened


@pytest.fixture
def tenant() -> str:
    """A tenant of its own for each test."""
    return f"t-{uuid.uuid4().hex[:12]}"


async def read_all(store: Store, tenant: str, after: Revision = NOTHING) -> list[Change]:
    """Every change after a revision that is there now."""
    until = await store.latest_revision(tenant)
    found = changes_between(store, tenant, after, until)
    return [change async for changes in found for change in changes]


def event(number: int, member_id: str = "m1", **changes: object) -> Event:
    """An event of its own id."""
    plain = Event(EventKind.OPENED, NOW_US, member_id, f"L{number}", f"e{number}")
    return replace(plain, **changes)  # type: ignore[arg-type]


class TestRecords:
    """Members, leads, organizations, conflicts."""

    async def test_what_is_put_is_found(self, store: Store, tenant: str) -> None:
        member, lead = Member("m1", expertise="水利"), Lead("L1", title="路灯不亮")
        organization, conflict = Organization("o1", level=2), Conflict("m1", lead_id="L1")
        revision = (await store.put_members(tenant, [member])).merge(
            await store.put_leads(tenant, [lead]),
            await store.put_organizations(tenant, [organization]),
            await store.put_conflicts(tenant, [conflict]),
        )
        assert revision == await store.latest_revision(tenant)
        for entity in (member, lead, organization, conflict):
            kind, identifier = codec.kind_of(entity), codec.entity_id(entity)
            record = await store.get(tenant, kind, identifier)
            assert record is not None
            assert record.decode(type(entity)) == entity
            assert record.fingerprint == codec.fingerprint(entity)
            assert [[record]] == [part async for part in store.scan(tenant, kind)]

    async def test_an_unknown_tenant_is_empty_and_not_made_by_reading(
        self, store: Store, tenant: str
    ) -> None:
        assert await store.get(tenant, RecordKind.MEMBER, "m1") is None
        assert [part async for part in store.scan(tenant, RecordKind.MEMBER)] == []
        assert (await store.page(tenant, RecordKind.MEMBER, 5)).records == ()
        assert await store.latest_revision(tenant) == NOTHING
        assert await store.trim(tenant, Revision.parse("0.1-1")) == 0
        assert await store.workers(tenant) == []
        assert await store.activations(tenant) == []
        assert tenant not in await store.tenants()

    @pytest.mark.parametrize("bucket_count", [1, 3, 8])
    async def test_many_records_and_odd_ids(
        self, store: Store, tenant: str, bucket_count: int
    ) -> None:
        assert await store.open_tenant(tenant, bucket_count) == bucket_count
        leads = [Lead(i) for i in (*ODD_IDS, *(f"L{n}" for n in range(1300)))]
        await store.put_leads(tenant, leads)
        changes = await read_all(store, tenant)
        assert sorted(c.id for c in changes) == sorted(lead.lead_id for lead in leads)
        assert {c.bucket for c in changes} == set(range(bucket_count))
        found = await store.get_many(tenant, RecordKind.LEAD, [*ODD_IDS, "L7", "L7", "none"])
        assert set(found) == {*ODD_IDS, "L7"}
        scanned = [r.id async for part in store.scan(tenant, RecordKind.LEAD) for r in part]
        assert set(scanned) == {lead.lead_id for lead in leads}

    async def test_big_records_go_in_several_calls(self, store: Store, tenant: str) -> None:
        leads = [Lead(f"L{i}", body="路" * 700_000) for i in range(4)]
        await store.open_tenant(tenant, 1)
        await store.put_leads(tenant, leads)
        found = await store.get_many(tenant, RecordKind.LEAD, ["L0", "L3"])
        assert found["L3"].decode(Lead) == leads[3]

    async def test_the_last_of_several_with_one_id_wins(self, store: Store, tenant: str) -> None:
        await store.put_leads(tenant, [Lead("L1", urgency=n) for n in range(700)])
        [change] = await read_all(store, tenant)
        assert codec.decode_entity(Lead, change.payload) == Lead("L1", urgency=699)

    async def test_unchanged_content_makes_no_change(self, store: Store, tenant: str) -> None:
        first = await store.put_leads(tenant, [Lead("L1", title="路灯")])
        assert await store.put_leads(tenant, [Lead("L1", title="路灯")]) == first
        second = await store.put_leads(tenant, [Lead("L1", title="路灯 2")])
        assert second.covers(first)
        assert second != first
        assert len(await read_all(store, tenant)) == 2

    async def test_vectors_come_along(self, store: Store, tenant: str) -> None:
        values = np.arange(12, dtype=np.float32).reshape(3, 4)
        leads = [Lead("L2"), Lead("L1"), Lead("L3")]
        await store.put_leads(tenant, leads, Vectors("model-1", values))
        await store.put_members(tenant, [Member("m1")])
        changes = {c.id: c for c in await read_all(store, tenant)}
        assert changes["m1"].vector is None
        assert changes["m1"].model_version == ""
        for row, lead in zip(values, leads, strict=True):
            change = changes[lead.lead_id]
            assert change.model_version == "model-1"
            assert change.vector is not None
            np.testing.assert_array_equal(change.vector, row)

    async def test_deletion_leaves_a_tombstone(self, store: Store, tenant: str) -> None:
        await store.put_leads(tenant, [Lead("L1"), Lead("L2")])
        deleted = await store.delete(tenant, RecordKind.LEAD, ["L1", "never stored"])
        again = await store.delete(tenant, RecordKind.LEAD, ["L1", "never stored"])
        assert again == deleted
        assert await store.get(tenant, RecordKind.LEAD, "L1") is None
        assert list(await store.get_many(tenant, RecordKind.LEAD, ["L1", "L2"])) == ["L2"]
        records = [r async for part in store.scan(tenant, RecordKind.LEAD) for r in part]
        assert {r.id for r in records if r.deleted} == {"L1", "never stored"}
        assert {r.decode(Lead) for r in records if r.deleted} == {Tombstone(NOW_US)}
        await store.put_leads(tenant, [Lead("L1")])
        assert await store.get(tenant, RecordKind.LEAD, "L1") is not None
        assert len(await read_all(store, tenant)) == 5

    async def test_a_members_conflicts_go_with_the_member(self, store: Store, tenant: str) -> None:
        await store.open_tenant(tenant, 1)
        kept = Conflict("m", author_id="a")
        gone = [Conflict("m~1", lead_id="L1"), Conflict("m~1", author_id="a")]
        await store.put(tenant, [Member("m~1"), Member("m"), kept, *gone])
        await store.delete(tenant, RecordKind.MEMBER, ["m~1"])
        records = [r async for part in store.scan(tenant, RecordKind.CONFLICT) for r in part]
        assert [r.id for r in records if not r.deleted] == [codec.entity_id(kept)]
        told = [c.id for c in await read_all(store, tenant) if c.kind is ChangeKind.CONFLICT]
        assert sorted(told[3:]) == sorted(map(codec.entity_id, gone))

    async def test_deleting_a_lead_leaves_conflicts_alone(self, store: Store, tenant: str) -> None:
        conflict = Conflict("m1", lead_id="L1")
        await store.put(tenant, [Lead("m1"), conflict])
        await store.delete(tenant, RecordKind.LEAD, ["m1"])
        assert await store.get(tenant, RecordKind.CONFLICT, codec.entity_id(conflict))

    async def test_replace_takes_only_the_fingerprint_it_is_based_on(
        self, store: Store, tenant: str
    ) -> None:
        created = await store.replace(tenant, Lead("L1"), DELETED)
        assert created == await store.latest_revision(tenant)
        with pytest.raises(StaleWriteError, match="'L1' changed"):
            await store.replace(tenant, Lead("L1", urgency=1), DELETED)
        vectors = Vectors("m", np.ones((1, 2), np.float32))
        current = codec.fingerprint(Lead("L1"))
        await store.replace(tenant, Lead("L1", urgency=2), current, vectors)
        with pytest.raises(StaleWriteError):
            await store.replace(tenant, Lead("L1", urgency=3), current)
        await store.delete(tenant, RecordKind.LEAD, ["L1"])
        await store.replace(tenant, Lead("L1", urgency=4), DELETED)
        changes = await read_all(store, tenant)
        assert [c.vector is not None for c in changes] == [False, True, False, False]

    async def test_concurrent_read_modify_writes_lose_nothing(
        self, store: Store, tenant: str
    ) -> None:
        await store.put_leads(tenant, [Lead("L1")])

        async def support() -> None:
            while True:
                record = await store.get(tenant, RecordKind.LEAD, "L1")
                assert record is not None
                lead = record.decode(Lead)
                assert isinstance(lead, Lead)
                grown = replace(lead, support_count=lead.support_count + 1)
                try:
                    await store.replace(tenant, grown, record.fingerprint)
                except StaleWriteError:
                    continue
                return

        await asyncio.gather(*(support() for _ in range(16)))
        record = await store.get(tenant, RecordKind.LEAD, "L1")
        assert record is not None
        assert record.decode(Lead) == Lead("L1", support_count=16)

    @pytest.mark.parametrize("page_size", [1, 7, 100, 1000])
    async def test_pages_give_every_live_record_once(
        self, store: Store, tenant: str, page_size: int
    ) -> None:
        count = 25 if page_size == 1 else 700
        ids = {f"m{n}" for n in range(count)}
        await store.put_members(tenant, [Member(i) for i in ids])
        await store.delete(tenant, RecordKind.MEMBER, ["m3", "m4"])
        seen, token = [], ""
        while True:
            page = await store.page(tenant, RecordKind.MEMBER, page_size, token)
            seen += [r.id for r in page.records]
            assert len(page.records) <= page_size
            token = page.next_page_token
            if not token:
                break
        assert sorted(seen) == sorted(ids - {"m3", "m4"})

    @pytest.mark.parametrize("token", ["x", "!", "AAAA", "MDow", "LTE6MDo", "MDotMTo", "路"])
    async def test_malformed_page_tokens(self, store: Store, tenant: str, token: str) -> None:
        with pytest.raises(PageTokenError, match="malformed page token"):
            await store.page(tenant, RecordKind.LEAD, 10, token)


class TestEvents:
    """The participation log."""

    async def test_an_event_id_counts_once(self, store: Store, tenant: str) -> None:
        outcomes, revision = await store.record_events(tenant, [event(1), event(2)])
        assert [o.event_id for o in outcomes] == ["e1", "e2"]
        assert {o.status for o in outcomes} == {EventStatus.RECORDED}
        again, later = await store.record_events(tenant, [event(2), event(3), event(2)])
        statuses = [o.status for o in again]
        assert statuses == [EventStatus.DUPLICATE, EventStatus.RECORDED, EventStatus.DUPLICATE]
        assert later.covers(revision)
        changes = await read_all(store, tenant)
        assert [(c.kind, c.id, c.event_id) for c in changes] == [
            (ChangeKind.EVENT, "m1", f"e{n}") for n in (1, 2, 3)
        ]
        assert [decode_event(c.payload) for c in changes] == [event(n) for n in (1, 2, 3)]

    async def test_a_duplicate_is_answered_with_a_revision_that_covers_it(
        self, store: Store, tenant: str
    ) -> None:
        _, revision = await store.record_events(tenant, [event(1)])
        outcomes, again = await store.record_events(tenant, [event(1)])
        assert outcomes[0].status is EventStatus.DUPLICATE
        assert again.covers(revision)

    async def test_other_content_is_a_conflict_whoever_it_is_about(
        self, store: Store, tenant: str
    ) -> None:
        await store.record_events(tenant, [event(1)])
        others = [event(1, f"m{n}") for n in range(2, 20)] + [event(1, kind=EventKind.CLAIMED)]
        outcomes, _ = await store.record_events(tenant, [*others, event(2), event(2, "m9")])
        statuses = [o.status for o in outcomes]
        assert set(statuses[:-2]) == {EventStatus.CONFLICT}
        assert statuses[-2:] == [EventStatus.RECORDED, EventStatus.CONFLICT]
        assert len(await read_all(store, tenant)) == 2

    async def test_within_a_request_the_first_with_an_id_counts(
        self, store: Store, tenant: str
    ) -> None:
        await store.record_events(tenant, [event(1)])
        events = [event(1, "m2"), event(1), event(1, "m2"), event(3), event(3, "m2"), event(3)]
        outcomes, _ = await store.record_events(tenant, events)
        assert [o.status.value for o in outcomes] == [
            "conflict",
            "duplicate",
            "conflict",
            "recorded",
            "conflict",
            "duplicate",
        ]

    async def test_many_events(self, store: Store, tenant: str) -> None:
        events = [event(n, f"m{n % 40}") for n in range(1200)]
        outcomes, revision = await store.record_events(tenant, events)
        assert [o.event_id for o in outcomes] == [e.event_id for e in events]
        assert {o.status for o in outcomes} == {EventStatus.RECORDED}
        assert revision == await store.latest_revision(tenant)
        changes = await read_all(store, tenant)
        of_m7 = [c.event_id for c in changes if c.id == "m7"]
        assert of_m7 == [e.event_id for e in events if e.member_id == "m7"]

    async def test_ids_are_free_in_another_tenant(self, store: Store, tenant: str) -> None:
        await store.record_events(tenant, [event(1)])
        outcomes, _ = await store.record_events(tenant + "-b", [event(1, "m2")])
        assert outcomes[0].status is EventStatus.RECORDED

    async def test_id_and_member_are_needed(self, store: Store, tenant: str) -> None:
        for broken in (event(1, event_id=""), event(1, "")):
            with pytest.raises(DataError, match="needs an event_id and a member_id"):
                await store.record_events(tenant, [event(2), broken])
        assert await store.record_events(tenant, []) == ([], NOTHING)


class TestChanges:
    """The change stream."""

    async def test_changes_come_as_they_are_written(
        self, store: Store, tenant: str, url: str
    ) -> None:
        async with RedisStore(url) as reader, aclosing(reader.changes(tenant, NOTHING)) as batches:
            for n in range(5):
                coming = asyncio.create_task(anext(batches))
                await asyncio.sleep(0.01)
                revision = await store.put_leads(tenant, [Lead(f"L{n}")])
                batch = await asyncio.wait_for(coming, 5)
                assert [c.id for c in batch.changes] == [f"L{n}"]
                assert batch.revision.covers(revision)

    async def test_reading_goes_on_from_a_revision(self, store: Store, tenant: str) -> None:
        await store.put_leads(tenant, [Lead(f"L{n}") for n in range(50)])
        middle = await store.latest_revision(tenant)
        await store.put_leads(tenant, [Lead(f"L{n}") for n in range(50, 60)])
        rest = await read_all(store, tenant, Revision.parse(str(middle)))
        assert {c.id for c in rest} == {f"L{n}" for n in range(50, 60)}
        assert not any(middle.includes(c.bucket, c.position) for c in rest)
        end = await store.latest_revision(tenant)
        assert [c async for c in changes_between(store, tenant, end, middle)] == []

    async def test_reading_up_to_a_revision_that_never_was_ends(
        self, store: Store, tenant: str
    ) -> None:
        await store.put_leads(tenant, [Lead("L1")])
        far = Revision.of({b: Position(2**50, 0) for b in range(20)})
        found = changes_between(store, tenant, NOTHING, far)
        assert [[c.id for c in changes] async for changes in found] == [["L1"]]

    async def test_a_backlog_comes_in_batches_with_their_own_revision(
        self, store: Store, tenant: str
    ) -> None:
        await store.open_tenant(tenant, 1)
        await store.put_leads(tenant, [Lead(f"L{n}") for n in range(1200)])
        seen: list[str] = []
        async with aclosing(store.changes(tenant, NOTHING)) as batches:
            async for batch in batches:
                last = batch.changes[-1]
                assert batch.revision.position(last.bucket) == last.position
                seen += [c.id for c in batch.changes]
                if len(seen) == 1200:
                    break
        assert seen == [f"L{n}" for n in range(1200)]

    async def test_tenants_do_not_mix(self, store: Store, tenant: str) -> None:
        other = tenant + "-b"
        await store.put_leads(tenant, [Lead("L1")])
        await store.put_leads(other, [Lead("L2")])
        assert [c.id for c in await read_all(store, tenant)] == ["L1"]
        assert await store.get(tenant, RecordKind.LEAD, "L2") is None
        assert {tenant, other} <= set(await store.tenants())

    async def test_trimming_is_noticed_by_who_comes_too_late(
        self, store: Store, tenant: str
    ) -> None:
        await store.open_tenant(tenant, 2)
        await store.put_leads(tenant, [Lead(f"L{n}") for n in range(40)])
        point = await store.latest_revision(tenant)
        await store.put_leads(tenant, [Lead("late")])
        assert await store.trim(tenant, point) == 38
        assert await store.trim(tenant, point) == 0
        assert [c.id for c in await read_all(store, tenant, point)] == ["late"]
        for after in (NOTHING, Revision.of(point.positions[:1])):
            with pytest.raises(RevisionTrimmedError, match="load a newer bundle"):
                await read_all(store, tenant, after)

    async def test_trimming_never_passes_the_last_entry(self, store: Store, tenant: str) -> None:
        await store.put_leads(tenant, [Lead("L1")])
        await store.put_leads(tenant, [Lead("L1", urgency=1)])
        latest = await store.latest_revision(tenant)
        future = Revision.of({b: Position(p.milliseconds + 10**9, 0) for b, p in latest.positions})
        foreign = Revision.parse("1000.5-5")
        assert await store.trim(tenant, future.merge(foreign)) == 1
        assert await store.latest_revision(tenant) == latest
        await store.put_leads(tenant, [Lead("L1", urgency=2)])
        assert len(await read_all(store, tenant, latest)) == 1


class TestControl:
    """Tenants, activations, workers, leases, durability."""

    async def test_the_bucket_count_is_fixed_at_creation(
        self, store: Store, tenant: str, url: str
    ) -> None:
        assert await store.open_tenant(tenant, 3) == 3
        async with RedisStore(url) as other:
            assert await other.open_tenant(tenant, 5) == 3

    @pytest.mark.parametrize("name", ["", "a b", "a{b", "a}b", "a:b", "-a", "a" * 64, "省"])
    async def test_names_that_would_break_keys_are_refused(self, store: Store, name: str) -> None:
        with pytest.raises(DataError, match="is no tenant name"):
            await store.put_leads(name, [Lead("L1")])
        with pytest.raises(DataError, match="is no tenant name"):
            await store.get(name, RecordKind.LEAD, "L1")

    @pytest.mark.parametrize("count", [0, 1025])
    async def test_bucket_counts_have_limits(self, store: Store, tenant: str, count: int) -> None:
        with pytest.raises(DataError, match="1 to 1024 buckets"):
            await store.open_tenant(tenant, count)

    async def test_activations_are_appended_and_told(self, store: Store, tenant: str) -> None:
        records = [
            Activation("a", 1, "nightly"),
            Activation("b", 2),
            Activation("a", 3, "op", "回滚"),
        ]
        for record in records:
            revision = await store.activate(tenant, record)
        assert await store.activations(tenant) == records
        changes = await read_all(store, tenant)
        assert [(c.kind, c.id) for c in changes] == [(ChangeKind.ACTIVATION, i) for i in "aba"]
        assert revision == await store.latest_revision(tenant)

    async def test_workers_are_forgotten_after_a_while(self, store: Store, tenant: str) -> None:
        one = WorkerStatus("w1", "m", "0.1-1", NOW_US, NOW_US, host="h", process_id=7)
        two = WorkerStatus("w2", "", "", NOW_US, NOW_US, serving=False, message="损坏")
        await store.report_worker(tenant, two, 60)
        await store.report_worker(tenant, one, 0.05)
        assert await store.workers(tenant) == [one, two]
        await asyncio.sleep(0.06)
        assert await store.workers(tenant) == [two]
        await store.report_worker(tenant, one, 60)
        await store.report_worker(tenant, two, 0)
        assert await store.workers(tenant) == [one]

    async def test_a_lease_has_one_holder_and_growing_tokens(
        self, store: Store, tenant: str
    ) -> None:
        first = await store.acquire_lease(tenant, "archive", "a", 60)
        assert first is not None
        assert await store.acquire_lease(tenant, "archive", "a", 60) == first
        assert await store.acquire_lease(tenant, "archive", "b", 60) is None
        assert await store.acquire_lease(tenant, "other", "b", 60) is not None
        assert await store.renew_lease(tenant, "archive", first, 60)
        assert not await store.renew_lease(tenant, "archive", first + 1, 60)
        assert not await store.release_lease(tenant, "archive", first + 1)
        assert await store.release_lease(tenant, "archive", first)
        assert not await store.renew_lease(tenant, "archive", first, 60)
        second = await store.acquire_lease(tenant, "archive", "b", 60)
        assert second is not None
        assert second > first

    async def test_a_lease_ends_by_itself(self, store: Store, tenant: str) -> None:
        first = await store.acquire_lease(tenant, "archive", "a", 0.03)
        await asyncio.sleep(0.05)
        second = await store.acquire_lease(tenant, "archive", "b", 60)
        assert first is not None
        assert second is not None
        assert second > first
        assert not await store.renew_lease(tenant, "archive", first, 60)

    async def test_a_lease_needs_a_time(self, store: Store, tenant: str) -> None:
        with pytest.raises(DataError, match="must be positive"):
            await store.acquire_lease(tenant, "archive", "a", 0)

    async def test_it_tells_what_it_promises(self, store: Store, url: str) -> None:
        await store.ping()
        promise = await store.check_durability()
        assert promise.append_only is True
        assert promise.append_fsync == ("always" if url.startswith("unix") else "everysec")
        assert promise.durable == url.startswith("unix")
        assert promise.warnings == ()
        assert promise.role == "master"
        assert promise.server.split()[0] in ("valkey", "redis")

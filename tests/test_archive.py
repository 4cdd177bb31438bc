"""The archive keeps every event once, whatever happens to the archiver; exports train."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator
from pathlib import Path

import polars as pl
import pytest

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
from features.errors import DataError
from recsvc.store.archive import Archiver, trim_point, trim_stream
from recsvc.store.archive_folder import ArchiveFencedError, ArchiveFolder, ArchiveMark
from recsvc.store.codec import RecordKind
from recsvc.store.dataset_columns import batch_of, schema_of
from recsvc.store.embedded import EmbeddedValkey
from recsvc.store.export import export_dataset
from recsvc.store.protocol import RevisionTrimmedError, WorkerStatus
from recsvc.store.redis_store import RedisStore
from recsvc.store.revision import NOTHING, Position, Revision
from training.logs import read_dataset

NOW_US = 1_700_000_000_000_000


@pytest.fixture
async def valkey(tmp_path: Path) -> AsyncGenerator[EmbeddedValkey, None]:
    """A server."""
    async with EmbeddedValkey(tmp_path / "valkey") as running:
        yield running


@pytest.fixture
async def store(valkey: EmbeddedValkey) -> AsyncGenerator[RedisStore, None]:
    """A store."""
    async with RedisStore(valkey.url) as opened:
        yield opened


def events(first: int, count: int) -> list[Event]:
    """Events of their own ids."""
    return [
        Event(EventKind.OPENED, NOW_US + n, f"m{n % 5}", f"L{n % 7}", f"e{n}")
        for n in range(first, first + count)
    ]


def archived(folder: Path) -> list[str]:
    """The event ids in the parts the mark covers."""
    archive = ArchiveFolder(folder)
    return [
        event_id
        for part in archive.parts(archive.mark())
        for event_id in pl.read_parquet(part)["event_id"].to_list()
    ]


def ids(count: int) -> list[str]:
    """What `archived` gives, sorted, after `count` events."""
    return sorted(f"e{n}" for n in range(count))


async def until_archived(folder: Path, count: int) -> None:
    """Return when the archive holds so many events."""
    async with asyncio.timeout(10):
        while len(archived(folder)) < count:
            await asyncio.sleep(0.02)


async def stop(task: asyncio.Task[None]) -> None:
    """Cancel an archiver and wait for it."""
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


class TestArchiver:
    async def test_it_goes_on_where_it_ended(self, store: RedisStore, tmp_path: Path) -> None:
        archiver = Archiver(store, "t", tmp_path / "a", owner="me")
        assert await archiver.catch_up() == NOTHING
        for round_number in range(3):
            await store.record_events("t", events(round_number * 10, 10))
            await store.put_leads("t", [Lead(f"L{round_number}")])
            again = Archiver(store, "t", tmp_path / "a", owner="me")
            assert await again.catch_up() == await store.latest_revision("t")
            assert await again.catch_up() == await store.latest_revision("t")
        assert sorted(archived(tmp_path / "a")) == ids(30)
        assert archiver.archive.mark().part == 3

    async def test_catching_up_writes_as_it_goes(self, store: RedisStore, tmp_path: Path) -> None:
        await store.open_tenant("t", 1)
        await store.record_events("t", events(0, 1500))
        archiver = Archiver(store, "t", tmp_path / "a", owner="me", flush_rows=100)
        await archiver.catch_up()
        assert sorted(archived(tmp_path / "a")) == ids(1500)
        assert archiver.archive.mark().part > 1

    async def test_only_changes_move_the_mark_alone(
        self, store: RedisStore, tmp_path: Path
    ) -> None:
        await store.put_leads("t", [Lead("L1")])
        archiver = Archiver(store, "t", tmp_path / "a", owner="me")
        assert await archiver.catch_up() == await store.latest_revision("t")
        assert archiver.archive.mark().part == 0
        assert archiver.archive.revision() == await store.latest_revision("t")

    async def test_it_follows_the_stream(self, store: RedisStore, tmp_path: Path) -> None:
        archiver = Archiver(store, "t", tmp_path / "a", owner="me", flush_seconds=0.05)
        task = asyncio.create_task(archiver.run())
        for round_number in range(3):
            await store.record_events("t", events(round_number * 10, 10))
            await until_archived(tmp_path / "a", round_number * 10 + 10)
        await stop(task)
        assert sorted(archived(tmp_path / "a")) == ids(30)
        assert await store.acquire_lease("t", "archive", "other", 1) is not None

    async def test_many_events_make_several_parts(self, store: RedisStore, tmp_path: Path) -> None:
        archiver = Archiver(store, "t", tmp_path / "a", owner="me", flush_rows=100)
        task = asyncio.create_task(archiver.run())
        for first in range(0, 1000, 250):
            await store.record_events("t", events(first, 250))
            await until_archived(tmp_path / "a", first + 101)
        await stop(task)
        assert sorted(archived(tmp_path / "a")) == ids(1000)
        assert archiver.archive.mark().part > 1

    async def test_what_waits_is_written_when_it_is_stopped(
        self, store: RedisStore, tmp_path: Path
    ) -> None:
        archiver = Archiver(store, "t", tmp_path / "a", owner="me", flush_seconds=60)
        task = asyncio.create_task(archiver.run())
        await store.record_events("t", events(0, 10))
        await asyncio.sleep(0.2)
        assert archived(tmp_path / "a") == []
        await stop(task)
        assert sorted(archived(tmp_path / "a")) == ids(10)

    async def test_the_next_one_takes_over_when_the_lease_ends(
        self, store: RedisStore, tmp_path: Path
    ) -> None:
        token = await store.acquire_lease("t", "archive", "dead", 0.2)
        archiver = Archiver(store, "t", tmp_path / "a", owner="me", lease_seconds=0.3)
        with pytest.raises(DataError, match="another archiver works"):
            await archiver.catch_up()
        task = asyncio.create_task(archiver.run())
        await store.record_events("t", events(0, 5))
        await asyncio.sleep(0.5)
        await stop(task)
        assert sorted(archived(tmp_path / "a")) == ids(5)
        assert archiver.archive.mark().token > (token or 0)

    async def test_it_keeps_its_lease_while_it_waits(
        self, store: RedisStore, tmp_path: Path
    ) -> None:
        archiver = Archiver(store, "t", tmp_path / "a", owner="me", lease_seconds=0.2)
        task = asyncio.create_task(archiver.run())
        await asyncio.sleep(0.6)
        assert await store.acquire_lease("t", "archive", "other", 1) is None
        await stop(task)

    async def test_a_lost_lease_stops_it_before_it_writes(
        self, store: RedisStore, tmp_path: Path
    ) -> None:
        archiver = Archiver(
            store, "t", tmp_path / "a", owner="me", flush_seconds=0.1, lease_seconds=0.15
        )
        task = asyncio.create_task(archiver.run())
        await asyncio.sleep(0.05)
        await store.release_lease("t", "archive", await self._token(store))
        other = await store.acquire_lease("t", "archive", "other", 0.3)
        assert other is not None
        await store.record_events("t", events(0, 5))
        await asyncio.sleep(0.2)
        assert archived(tmp_path / "a") == []
        await until_archived(tmp_path / "a", 5)
        await stop(task)
        assert sorted(archived(tmp_path / "a")) == ids(5)
        assert archiver.archive.mark().token > other

    @staticmethod
    async def _token(store: RedisStore) -> int:
        token = await store.acquire_lease("t", "archive", "me", 1)
        assert token is not None
        return token

    async def test_a_crash_of_the_store_loses_nothing(
        self, store: RedisStore, valkey: EmbeddedValkey, tmp_path: Path
    ) -> None:
        archiver = Archiver(
            store, "t", tmp_path / "a", owner="me", flush_seconds=0.05, lease_seconds=0.3
        )
        task = asyncio.create_task(archiver.run())
        async with RedisStore(valkey.url) as writer:
            for first in range(0, 40, 10):
                await writer.record_events("t", events(first, 10))
                await asyncio.sleep(0.03)
                assert valkey.process_id is not None
                os.kill(valkey.process_id, signal.SIGKILL)
                await valkey.wait()
                await valkey.start()
        await until_archived(tmp_path / "a", 40)
        await stop(task)
        assert sorted(archived(tmp_path / "a")) == ids(40)

    async def test_trimmed_events_are_an_error_not_a_gap(
        self, store: RedisStore, tmp_path: Path
    ) -> None:
        await store.record_events("t", events(0, 50))
        await store.trim("t", await store.latest_revision("t"))
        archiver = Archiver(store, "t", tmp_path / "a", owner="me")
        with pytest.raises(RevisionTrimmedError):
            await archiver.run()
        with pytest.raises(RevisionTrimmedError):
            await archiver.catch_up()


class TestArchiveFolder:
    schema = schema_of(Event)

    def _append(self, folder: ArchiveFolder, token: int, first: int, revision: str) -> ArchiveMark:
        batch = batch_of(Event, events(first, 2))
        return folder.append(token, self.schema, [batch], Revision.parse(revision))

    def test_a_part_without_its_mark_is_written_again(self, tmp_path: Path) -> None:
        folder = ArchiveFolder(tmp_path)
        self._append(folder, 5, 0, "0.1-1")
        before = (tmp_path / "mark.json").read_bytes()
        self._append(folder, 5, 2, "0.2-1")
        (tmp_path / "mark.json").write_bytes(before)  # as if it had crashed in between
        assert archived(tmp_path) == ["e0", "e1"]
        for token in (5, 7):
            assert folder.take_over(token).part == 1
            (tmp_path / "mark.json").write_bytes(before)
            self._append(folder, token, 2, "0.3-1")
            assert archived(tmp_path) == ["e0", "e1", "e2", "e3"]
            assert len(list((tmp_path / "events").iterdir())) == 2
            (tmp_path / "mark.json").write_bytes(before)

    def test_an_older_lease_cannot_write(self, tmp_path: Path) -> None:
        folder = ArchiveFolder(tmp_path)
        self._append(folder, 7, 0, "0.1-1")
        with pytest.raises(ArchiveFencedError):
            self._append(folder, 6, 2, "0.2-1")
        with pytest.raises(ArchiveFencedError):
            folder.take_over(6)
        assert archived(tmp_path) == ["e0", "e1"]

    @pytest.mark.parametrize("text", ["", "{", '{"part": "x"}', '{"revision": "x"}'])
    def test_an_unreadable_mark_is_an_error(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "mark.json").write_text(text)
        with pytest.raises(DataError, match="put back a copy"):
            ArchiveFolder(tmp_path).mark()

    def test_strange_files_are_no_parts(self, tmp_path: Path) -> None:
        folder = ArchiveFolder(tmp_path)
        assert folder.parts(ArchiveMark(part=9)) == []
        self._append(folder, 1, 0, "0.1-1")
        (tmp_path / "events" / ".part-00000001-1.parquet").write_bytes(b"")
        assert len(folder.parts(ArchiveMark(part=9))) == 1


MEMBERS = [
    Member(
        "m0",
        "o2",
        "王",
        "教育",
        "小学语文",
        ("教育", "农村"),
        "4301",
        28.1,
        112.9,
        (Place("WORK", 28.0, 113.0), Place("STUDIO", region_code="430104")),
        3,
        True,
        NOW_US,
    ),
    Member("m1", "gone", active=False),
]
LEADS = [
    Lead(
        "L0",
        NOW_US,
        "o1",
        "网友留言",
        "a1",
        "路灯不亮",
        "一个月了",
        ("市政",),
        "430104",
        28.1,
        112.9,
        2,
        5,
        LeadState.CLOSED,
        NOW_US + 1,
        2,
    ),
    Lead("L1"),
]
ORGANIZATIONS = [
    Organization("o1", "市政协", "", 2, "4301", "OWN;CHILDREN", "0 8 * * *", "UTC", "22:00-07:00"),
    Organization("o2", "区政协", "o1"),
    Organization("o3", "无上级", "never stored"),
]
EVENTS = [
    Event(
        EventKind.PUSHED,
        NOW_US,
        "m0",
        "L0",
        "e1",
        3,
        "token",
        "push",
        1,
        0.25,
        "model",
    ),
    Event(EventKind.RATED, NOW_US + 1, "m0", "L0", "e2", rating=4.5),
    Event(EventKind.DISMISSED, NOW_US + 2, "m1", "L1", "e3", reason=DismissReason.TOO_FAR),
    Event(EventKind.SEE_LESS, NOW_US + 3, "m1", event_id="e4", topic="市政"),
    Event(EventKind.OPENED, NOW_US + 4, "m1", "deleted", "e5"),
    Event(EventKind.OPENED, NOW_US + 5, "deleted", "L1", "e6"),
]
CONFLICTS = [
    Conflict("m0", lead_id="L1", reason="亲属"),
    Conflict("m1", author_id="a9"),
    Conflict("m1", organization_id="o1"),
    Conflict("m1", lead_id="deleted"),
    Conflict("m1", organization_id="gone"),
    Conflict("nobody", author_id="a9"),
]


class TestExport:
    @staticmethod
    async def fill(store: RedisStore, tenant: str = "t") -> None:
        """All of the above, and something deleted."""
        await store.put(tenant, [*MEMBERS, *LEADS, *ORGANIZATIONS, *CONFLICTS])
        await store.put(tenant, [Member("deleted"), Lead("deleted")])
        await store.record_events(tenant, EVENTS)
        await store.delete(tenant, RecordKind.MEMBER, ["deleted"])
        await store.delete(tenant, RecordKind.LEAD, ["deleted"])

    async def test_an_export_reads_back_without_rejects(
        self, store: RedisStore, tmp_path: Path
    ) -> None:
        await self.fill(store)
        summary = await export_dataset(store, "t", tmp_path / "x" / "set")
        assert (summary.members, summary.leads, summary.organizations) == (2, 2, 3)
        assert (summary.conflicts, summary.events, summary.left_out) == (3, 4, 5)
        assert summary.revision == str(await store.latest_revision("t"))
        data = read_dataset(tmp_path / "x" / "set", max_reject_share=0.0)
        assert sorted(data.members, key=lambda m: m.member_id) == [
            MEMBERS[0],
            Member("m1", active=False),
        ]
        assert sorted(data.leads, key=lambda lead: lead.lead_id) == LEADS
        organizations = sorted(data.organizations, key=lambda o: o.organization_id)
        assert organizations == [*ORGANIZATIONS[:2], Organization("o3", "无上级")]
        assert set(data.conflicts) == set(CONFLICTS[:3])
        assert data.events.kind.tolist() == [e.kind for e in EVENTS[:4]]
        assert data.events.time_us.tolist() == [e.time_us for e in EVENTS[:4]]
        columns = pl.read_parquet(tmp_path / "x" / "set" / "events" / "*.parquet")
        assert columns.sort("event_id")["topic"].to_list() == [None, None, None, "市政"]
        assert [p.name for p in (tmp_path / "x").iterdir()] == ["set"]

    async def test_archive_and_stream_join_without_gap_or_repeat(
        self, store: RedisStore, tmp_path: Path
    ) -> None:
        await store.put("t", [Member(f"m{n}") for n in range(5)])
        await store.put("t", [Lead(f"L{n}") for n in range(7)])
        archiver = Archiver(store, "t", tmp_path / "a", owner="me")
        for first in (0, 40):
            await store.record_events("t", events(first, 40))
            await archiver.catch_up()
        await store.trim("t", archiver.archive.revision())
        await store.record_events("t", events(80, 40))
        with pytest.raises(RevisionTrimmedError):
            await export_dataset(store, "t", tmp_path / "set")
        assert not (tmp_path / "set").exists()
        summary = await export_dataset(store, "t", tmp_path / "set", archiver.archive)
        assert summary.events == 120
        assert summary.left_out == 0
        found = pl.read_parquet(tmp_path / "set" / "events" / "*.parquet")["event_id"].to_list()
        assert sorted(found) == ids(120)
        with pytest.raises(DataError, match="exists already"):
            await export_dataset(store, "t", tmp_path / "set", archiver.archive)

    async def test_without_organizations_references_stay(
        self, store: RedisStore, tmp_path: Path
    ) -> None:
        await store.put("t", [Member("m0", "o9"), Conflict("m0", organization_id="o9")])
        summary = await export_dataset(store, "t", tmp_path / "set")
        assert (summary.members, summary.conflicts, summary.events) == (1, 1, 0)
        assert pl.read_parquet(tmp_path / "set" / "members.parquet")["organization_id"][0] == "o9"

    async def test_a_tenant_without_anything(self, store: RedisStore, tmp_path: Path) -> None:
        summary = await export_dataset(store, "t", tmp_path / "set")
        assert summary.revision == ""
        assert summary.events == summary.leads == 0


class TestTrimming:
    def test_the_slowest_decides(self) -> None:
        a, b, c = (Revision.parse(t) for t in ("0.5-0_1.5-0", "0.3-0_1.9-0", "0.7-0_2.1-0"))
        assert trim_point(a, [b], [c]) == Revision.of({0: Position(3, 0)})
        assert trim_point(a, [], []) == a
        assert trim_point(a, [NOTHING], []) == NOTHING

    async def test_the_stream_is_trimmed_as_far_as_all_have_come(
        self, store: RedisStore, tmp_path: Path
    ) -> None:
        await store.open_tenant("t", 1)
        await store.record_events("t", events(0, 5))
        middle = await store.latest_revision("t")
        await store.record_events("t", events(5, 5))
        archiver = Archiver(store, "t", tmp_path, owner="me")
        end = await archiver.catch_up()
        status = WorkerStatus("w", "m", str(middle), NOW_US, NOW_US)
        await store.report_worker("t", status, 60)
        assert await trim_stream(store, "t", archiver.archive, [end]) == 4
        await store.report_worker("t", status, 0)
        assert await trim_stream(store, "t", archiver.archive, [NOTHING]) == 0
        assert await trim_stream(store, "t", archiver.archive, [end]) == 5

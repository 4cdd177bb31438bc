"""The log is kept: events reach the archive, and the stream goes only as far as all have come."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import structlog

from features.entities import Event, EventKind, Member
from recsvc.model.registry import ModelRegistry
from recsvc.serving.keeper import Keeper, archive_folder
from recsvc.store.embedded import EmbeddedValkey
from recsvc.store.redis_store import RedisStore

EVENTS = [
    Event(EventKind.OPENED, time.time_ns() // 1000, "m1", f"l{i}", event_id=f"e{i}")
    for i in range(20)
]


async def test_events_are_archived_when_the_keeper_ends(tmp_path: Path) -> None:
    folder = archive_folder(tmp_path / "data", "default")
    async with EmbeddedValkey(tmp_path / "valkey") as valkey, RedisStore(valkey.url) as store:
        await store.put_members("default", [Member("m1")])
        _, revision = await store.record_events("default", EVENTS)
        registry = ModelRegistry(tmp_path / "models")
        keeper = Keeper(store, registry, "default", folder, "w1", structlog.get_logger())
        keeper.start()
        for _ in range(100):
            if folder.is_dir():
                break
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.3)
        await keeper.aclose()
        assert keeper._archiver.archive.revision().covers(revision)
        assert list((folder / "events").glob("*.parquet"))
        # No bundle, no worker: only the archive holds the stream back, and it has everything.
        assert await keeper.trim() >= len(EVENTS) - 8

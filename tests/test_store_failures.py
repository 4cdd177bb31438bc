"""The store when its server is away, broken or misused."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import pytest
from redis import exceptions as foreign
from redis.asyncio import Redis
from store_servers import free_port, server

from features.entities import Event, EventKind, Lead
from features.errors import DataError, RecsvcError
from recsvc.store.changes import follow
from recsvc.store.codec import RecordKind
from recsvc.store.embedded import EmbeddedValkey
from recsvc.store.protocol import (
    EventStatus,
    RevisionTrimmedError,
    StoreError,
    StoreUnavailable,
)
from recsvc.store.redis_store import RedisStore
from recsvc.store.redis_store.durability import describe
from recsvc.store.redis_store.errors import translate
from recsvc.store.redis_store.keys import BucketKeys
from recsvc.store.redis_store.urls import check_url
from recsvc.store.revision import NOTHING


@pytest.fixture
async def valkey(tmp_path: Path) -> AsyncGenerator[EmbeddedValkey, None]:
    """A server to be mistreated."""
    async with EmbeddedValkey(tmp_path / "valkey") as running:
        yield running


async def kill(valkey: EmbeddedValkey) -> None:
    """End a server as a crash would."""
    assert valkey.process_id is not None
    os.kill(valkey.process_id, signal.SIGKILL)
    await valkey.wait()


async def test_writes_say_unavailable_while_the_server_is_away(valkey: EmbeddedValkey) -> None:
    async with RedisStore(valkey.url) as store:
        await store.put_leads("t", [Lead("L1")])
        await kill(valkey)
        with pytest.raises(StoreUnavailable, match="cannot be reached") as caught:
            await store.put_leads("t", [Lead("L2")])
        assert caught.value.retry_after_seconds > 0
        with pytest.raises(StoreUnavailable):
            await store.check_durability()
        await valkey.start()
        await store.put_leads("t", [Lead("L2")])
        assert set(await store.get_many("t", RecordKind.LEAD, ["L1", "L2"])) == {"L1", "L2"}


async def test_reads_are_tried_again(valkey: EmbeddedValkey) -> None:
    async with RedisStore(valkey.url) as store:
        await store.put_leads("t", [Lead("L1")])
        await kill(valkey)
        reading = asyncio.create_task(store.get("t", RecordKind.LEAD, "L1"))
        await valkey.start()
        assert await reading is not None
        await kill(valkey)
        with pytest.raises(StoreUnavailable):
            await store.get("t", RecordKind.LEAD, "L1")


async def test_an_event_sent_again_after_a_lost_answer_counts_once(
    valkey: EmbeddedValkey,
) -> None:
    event = Event(EventKind.CLAIMED, 1, "m1", "L1", "e1")
    async with RedisStore(valkey.url) as store:
        await store.record_events("t", [event])
        await kill(valkey)
        await valkey.start()
        outcomes, revision = await store.record_events("t", [event])
        assert outcomes[0].status is EventStatus.DUPLICATE
        assert revision == await store.latest_revision("t")


async def test_followers_go_on_after_a_crash_without_loss_or_repeat(
    valkey: EmbeddedValkey,
) -> None:
    errors: list[StoreUnavailable] = []
    seen: list[str] = []

    async def read(store: RedisStore) -> None:
        async with aclosing(follow(store, "t", NOTHING, errors.append, 0.1)) as batches:
            async for batch in batches:
                seen.extend(change.id for change in batch.changes)
                if len(seen) >= 30:
                    return

    async with RedisStore(valkey.url) as writer, RedisStore(valkey.url) as reader:
        reading = asyncio.create_task(read(reader))
        for number in range(30):
            await writer.put_leads("t", [Lead(f"L{number}")])
            if number % 10 == 5:
                await kill(valkey)
                await valkey.start()
        await asyncio.wait_for(reading, 10)
    assert sorted(seen) == sorted(f"L{n}" for n in range(30))
    assert errors


async def test_a_server_that_hangs_is_given_up(valkey: EmbeddedValkey) -> None:
    assert valkey.process_id is not None
    async with RedisStore(valkey.url, answer_seconds=0.2) as store:
        await store.put_leads("t", [Lead("L1")])
        os.kill(valkey.process_id, signal.SIGSTOP)
        with pytest.raises(StoreUnavailable, match="does not answer in time"):
            await store.put_leads("t", [Lead("L2")])
        os.kill(valkey.process_id, signal.SIGCONT)
        await store.put_leads("t", [Lead("L3")])
        assert "L3" in await store.get_many("t", RecordKind.LEAD, ["L3"])


async def test_a_follower_that_stops_leaves_at_once(valkey: EmbeddedValkey) -> None:
    async with RedisStore(valkey.url) as store:
        for _ in range(20):
            batches = follow(store, "t", NOTHING)
            waiting = asyncio.create_task(anext(batches))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(waiting, 1)
            await batches.aclose()


async def test_who_was_overtaken_by_trimming_while_asleep_is_told(
    valkey: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recsvc.store.redis_store.stream._CHECK_TRIM_SECONDS", 0.0)
    async with RedisStore(valkey.url) as store:
        await store.open_tenant("t", 1)
        await store.put_leads("t", [Lead("L1")])
        async with aclosing(store.changes("t", NOTHING)) as batches:
            await anext(batches)
            await store.put_leads("t", [Lead("L2"), Lead("L3")])
            await store.trim("t", await store.latest_revision("t"))
            with pytest.raises(RevisionTrimmedError):
                await anext(batches)


async def test_scripts_forgotten_by_the_server_are_sent_again(valkey: EmbeddedValkey) -> None:
    async with RedisStore(valkey.url) as store, Redis.from_url(valkey.url) as raw:
        await store.put_leads("t", [Lead("L1")])
        await raw.script_flush()
        await store.put_leads("t", [Lead(f"L{n}") for n in range(1200)])
        found = [r async for part in store.scan("t", RecordKind.LEAD) for r in part]
        assert len(found) == 1200


async def test_changes_of_a_later_version_are_passed_over(valkey: EmbeddedValkey) -> None:
    async with RedisStore(valkey.url) as store, Redis.from_url(valkey.url) as raw:
        await store.open_tenant("t", 1)
        changes = BucketKeys.of("t", 0).changes
        await raw.xadd(changes, {"k": "of-a-later-version", "i": "x", "d": "{}"})
        revision = await store.put_leads("t", [Lead("L1")])
        async with aclosing(store.changes("t", NOTHING)) as batches:
            batch = await anext(batches)
        assert [change.id for change in batch.changes] == ["L1"]
        assert batch.revision.covers(revision)


async def test_a_newer_layout_is_refused(valkey: EmbeddedValkey) -> None:
    async with RedisStore(valkey.url) as store, Redis.from_url(valkey.url) as raw:
        await raw.hset("recsvc:{t:0}:meta", mapping={"buckets": 8, "layout": 2})
        with pytest.raises(StoreError, match="upgrade recsvc"):
            await store.put_leads("t", [Lead("L1")])
        with pytest.raises(StoreError, match="upgrade recsvc"):
            await store.get("t", RecordKind.LEAD, "L1")


async def test_every_key_of_a_bucket_is_in_its_slot_and_passing_ones_expire(
    valkey: EmbeddedValkey,
) -> None:
    async with RedisStore(valkey.url) as store, Redis.from_url(valkey.url) as raw:
        await store.put_leads("t", [Lead("L1")])
        await store.record_events("t", [Event(EventKind.OPENED, 1, "m1", "L1", "e1")])
        await store.acquire_lease("t", "archive", "me", 9)
        keys = [key.decode() async for key in raw.scan_iter()]
        assert all(k.startswith("recsvc:{t:") or k == "recsvc:tenants" for k in keys)
        [event] = [k for k in keys if ":event:" in k]
        assert 7 * 86_400 - 60 < await raw.ttl(event) <= 7 * 86_400
        [lease] = [k for k in keys if ":lease:" in k]
        assert 0 < await raw.ttl(lease) <= 9


async def test_a_full_server_takes_no_writes_and_says_why(valkey: EmbeddedValkey) -> None:
    async with RedisStore(valkey.url) as store, Redis.from_url(valkey.url) as raw:
        await store.put_leads("t", [Lead("L1")])
        await raw.config_set("maxmemory", "1")
        with pytest.raises(StoreUnavailable, match="raise maxmemory"):
            await store.put_leads("t", [Lead("L2")])
        assert await store.get("t", RecordKind.LEAD, "L1") is not None


async def test_a_replica_takes_no_writes_and_is_told(tmp_path: Path) -> None:
    primary, port = free_port(), free_port()
    options = ("--replicaof", f"127.0.0.1 {primary}")
    with server(tmp_path / "p", primary), server(tmp_path / "r", port, *options):
        async with RedisStore(f"redis://127.0.0.1:{port}") as store:
            with pytest.raises(StoreUnavailable, match="failover"):
                await store.put_leads("t", [Lead("L1")])
            promise = await store.check_durability()
            assert not promise.durable
            assert promise.warnings == ("it is a replica: writes will be refused",)


async def test_a_password_is_needed_and_told(tmp_path: Path) -> None:
    port = free_port()
    with server(tmp_path, port) as _:
        async with Redis(port=port) as raw:
            await raw.config_set("requirepass", "geheim")
        async with RedisStore(f"redis://127.0.0.1:{port}") as store:
            with pytest.raises(StoreError, match="user and password"):
                await store.put_leads("t", [Lead("L1")])
        async with RedisStore(f"redis://:geheim@127.0.0.1:{port}/0") as store:
            await store.put_leads("t", [Lead("L1")])


async def test_sentinel_names_the_primary(tmp_path: Path) -> None:
    port, watcher = free_port(), free_port()
    monitor = ("--sentinel monitor", f"main 127.0.0.1 {port} 1")
    with server(tmp_path / "p", port), server(tmp_path / "s", watcher, *monitor, sentinel=True):
        url = f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{watcher}"
        async with RedisStore(f"{url}/main") as store:
            revision = await store.put_leads("t", [Lead("L1")])
            async with aclosing(store.changes("t", NOTHING)) as batches:
                assert (await anext(batches)).revision == revision
            assert (await store.check_durability()).append_only is False
        async with RedisStore(f"{url}/other") as store:
            with pytest.raises(StoreUnavailable, match="No master found for 'other'"):
                await store.put_leads("t", [Lead("L1")])


@pytest.mark.slow
async def test_the_primary_behind_a_sentinel_dies_in_the_middle(tmp_path: Path) -> None:
    """What its replica has is there; writing goes on once Sentinel has named it the primary."""
    port, spare, watcher = free_port(), free_port(), free_port()
    monitor = (
        *("--sentinel monitor", f"main 127.0.0.1 {port} 1"),
        *("--sentinel down-after-milliseconds", "main 500"),
        *("--sentinel failover-timeout", "main 3000"),
    )
    with (
        server(tmp_path / "p", port) as primary,
        server(tmp_path / "r", spare, "--replicaof", f"127.0.0.1 {port}"),
        server(tmp_path / "s", watcher, *monitor, sentinel=True),
    ):
        async with RedisStore(f"redis+sentinel://127.0.0.1:{watcher}/main") as store:
            for i in range(50):
                await store.put_leads("t", [Lead(f"L{i}")])
            async with Redis(port=port) as raw, Redis(port=watcher) as sentinel:
                await raw.set("last", "1")
                async with asyncio.timeout(30):  # the replica has it all, and Sentinel knows it
                    while not await raw.wait(1, 100):
                        await asyncio.sleep(0.05)
                    while not await sentinel.sentinel_slaves("main"):
                        await asyncio.sleep(0.05)
            primary.kill()
            async with asyncio.timeout(60):
                while True:
                    try:
                        await store.put_leads("t", [Lead("after")])
                        break
                    except StoreUnavailable:
                        await asyncio.sleep(0.1)
            ids = [*(f"L{i}" for i in range(50)), "after"]
            assert set(await store.get_many("t", RecordKind.LEAD, ids)) == set(ids)


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("http://x", "unknown kind of store URL 'http'"),
        ("", "unknown kind of store URL ''"),
        ("unix://", "needs the path of a socket"),
        ("redis+sentinel://h:1", "name of its service"),
        ("redis+cluster://h:x", "'h:x' in the store URL is no host:port"),
        ("redis+cluster://h:1,,g:2", "'' in the store URL is no host:port"),
        ("redis+cluster://:1", "':1' in the store URL is no host:port"),
        ("redis://h:port", "no host:port"),
    ],
)
def test_urls_that_cannot_be_used(url: str, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "redis://h",
        "rediss://u:p@h:6380/2?ssl_cert_reqs=none",
        "unix:///a%20b?db=1",
        "redis+sentinel://:p@h,[::1]:26380/main?db=3",
        "rediss+sentinel://h:1/main",
        "redis+cluster://u:p@h,g:7000",
        "rediss+cluster://h:1?ssl_cert_reqs=none",
    ],
)
async def test_urls_of_every_kind_are_understood(url: str) -> None:
    check_url(url)
    await RedisStore(url).aclose()


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (foreign.BusyLoadingError("x"), StoreUnavailable, "loading"),
        (foreign.ReadOnlyError("x"), StoreUnavailable, "replica"),
        (foreign.ClusterDownError("CLUSTERDOWN x"), StoreUnavailable, "takes no request"),
        (foreign.MasterDownError("x"), StoreUnavailable, "takes no request"),
        (foreign.TryAgainError("x"), StoreUnavailable, "takes no request"),
        (foreign.ResponseError("MISCONF x"), StoreUnavailable, "disk"),
        (foreign.ResponseError("NOREPLICAS x"), StoreUnavailable, "replicas"),
        (foreign.ResponseError("ERR syntax"), StoreError, "refused a command"),
        (foreign.NoPermissionError("x"), StoreError, "password"),
        (foreign.RedisClusterException("x"), StoreUnavailable, "cannot be reached"),
        (ConnectionResetError(), StoreUnavailable, "ConnectionResetError"),
    ],
)
def test_foreign_errors_become_ours(error: Exception, kind: type[RecsvcError], words: str) -> None:
    ours = translate(error)
    assert type(ours) is kind
    assert words in str(ours)


@pytest.mark.parametrize(
    ("info", "settings", "loses", "warnings"),
    [
        ({}, {"appendonly": "yes", "appendfsync": "everysec"}, "about a second", []),
        ({}, {"appendonly": "yes", "appendfsync": "no"}, "operating system", []),
        ({}, {"appendonly": "no", "save": "3600 1"}, r"last snapshot \(rule: 3600 1\)", []),
        ({}, {"appendonly": "no", "save": ""}, "everything when it stops", []),
        ({"aof_enabled": 1}, {}, "does not tell how often", ["CONFIG"]),
        ({"aof_enabled": 0}, {}, "everything when it stops", ["CONFIG"]),
        ({}, {}, "does not tell whether", ["CONFIG"]),
        (
            {"aof_last_write_status": "err", "redis_version": "6.2.1"},
            {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "allkeys-lru"},
            "nothing that was acknowledged",
            ["allkeys-lru", "write .* failed", "too old"],
        ),
    ],
)
def test_promises_are_put_in_words(
    info: dict[str, object], settings: dict[str, str], loses: str, warnings: list[str]
) -> None:
    promise = describe(info, settings)
    assert re.search(loses, promise.loses)
    assert len(promise.warnings) == len(warnings)
    for words, warning in zip(warnings, promise.warnings, strict=True):
        assert re.search(words, warning)
    assert not promise.durable

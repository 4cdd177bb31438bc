"""The embedded Valkey: starts, ends, survives, and never has a twin or an orphan."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from features.entities import Lead
from recsvc.store import embedded_config
from recsvc.store.codec import RecordKind
from recsvc.store.embedded import EmbeddedStoreError, EmbeddedValkey, socket_path
from recsvc.store.embedded_config import configuration
from recsvc.store.redis_store import RedisStore

CHILD = """
import asyncio, sys, time
from pathlib import Path
from recsvc.store.embedded import EmbeddedValkey

valkey = EmbeddedValkey(Path(sys.argv[1]))
asyncio.run(valkey.start())
print(valkey.process_id, flush=True)
time.sleep(60)
"""


def is_running(process_id: int) -> bool:
    """Whether a process exists and has not ended."""
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


async def test_data_is_there_after_an_orderly_stop(tmp_path: Path) -> None:
    for urgency in range(3):
        async with EmbeddedValkey(tmp_path / "a b%c") as valkey, RedisStore(valkey.url) as store:
            if urgency:
                record = await store.get("t", RecordKind.LEAD, "L1")
                assert record is not None
                assert record.decode(Lead) == Lead("L1", urgency=urgency - 1)
            await store.put_leads("t", [Lead("L1", urgency=urgency)])
        assert valkey.process_id is None
        assert not valkey.socket_path.exists()
    assert "Ready to accept connections" in valkey.log_path.read_text()


@pytest.mark.parametrize("fsync", ["always", "everysec"])
async def test_the_configured_sync_is_in_force(tmp_path: Path, fsync: str) -> None:
    valkey = EmbeddedValkey(tmp_path, fsync=fsync)  # type: ignore[arg-type]
    async with valkey, RedisStore(valkey.url) as store:
        promise = await store.check_durability()
    assert promise.append_only is True
    assert promise.append_fsync == fsync
    assert promise.durable == (fsync == "always")
    assert not promise.evicts


async def test_acknowledged_writes_survive_kill_9(tmp_path: Path) -> None:
    valkey = EmbeddedValkey(tmp_path)
    await valkey.start()
    acknowledged = []
    async with RedisStore(valkey.url) as store:
        for round_number in range(3):
            for number in range(20):
                lead = Lead(f"L{round_number}-{number}")
                await store.put_leads("t", [lead])
                acknowledged.append(lead.lead_id)
            assert valkey.process_id is not None
            os.kill(valkey.process_id, signal.SIGKILL)
            assert await asyncio.wait_for(valkey.wait(), 5) == -signal.SIGKILL
            assert valkey.process_id is None
            await valkey.start()
            found = await store.get_many("t", RecordKind.LEAD, acknowledged)
            assert set(found) == set(acknowledged)
    await valkey.stop()
    await valkey.stop()


async def test_a_tail_cut_short_is_loaded(tmp_path: Path) -> None:
    async with EmbeddedValkey(tmp_path) as valkey, RedisStore(valkey.url) as store:
        await store.put_leads("t", [Lead("L1")])
        await store.put_leads("t", [Lead("L2")])
    [log] = (tmp_path / "appendonlydir").glob("*.incr.aof")
    os.truncate(log, log.stat().st_size - 7)
    async with EmbeddedValkey(tmp_path) as valkey, RedisStore(valkey.url) as store:
        assert set(await store.get_many("t", RecordKind.LEAD, ["L1", "L2"])) == {"L1"}


async def test_a_damaged_file_is_told_with_the_log(tmp_path: Path) -> None:
    async with EmbeddedValkey(tmp_path) as valkey, RedisStore(valkey.url) as store:
        await store.put_leads("t", [Lead("L1", title="x" * 200)])
    [log] = (tmp_path / "appendonlydir").glob("*.incr.aof")
    log.write_bytes(b"rubbish\r\n" + log.read_bytes())
    broken = EmbeddedValkey(tmp_path)
    with pytest.raises(EmbeddedStoreError, match="ended with code 1 while starting"):
        await broken.start()
    assert broken.process_id is None


async def test_a_folder_has_one_server(tmp_path: Path) -> None:
    async with EmbeddedValkey(tmp_path) as valkey:
        with pytest.raises(EmbeddedStoreError, match=r"in use by .* \(process \d+\)"):
            await EmbeddedValkey(tmp_path, lock_seconds=0.1).start()
        with pytest.raises(EmbeddedStoreError, match="runs already"):
            await valkey.start()
        async with RedisStore(valkey.url) as store:
            await store.ping()


async def test_who_comes_while_the_other_ends_waits(tmp_path: Path) -> None:
    first, second = EmbeddedValkey(tmp_path), EmbeddedValkey(tmp_path)
    await first.start()
    coming = asyncio.create_task(second.start())
    await asyncio.sleep(0.1)
    assert not coming.done()
    await first.stop()
    await coming
    async with RedisStore(second.url) as store:
        await store.ping()
    await second.stop()


async def test_nothing_is_left_when_the_parent_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CHILD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        process_id = int(parent.stdout.readline())
        assert is_running(process_id)
        parent.kill()
    deadline = time.monotonic() + 5
    while is_running(process_id):
        assert time.monotonic() < deadline, "the server outlived its parent"
        await asyncio.sleep(0.01)
    async with EmbeddedValkey(tmp_path) as valkey, RedisStore(valkey.url) as store:
        await store.ping()


async def test_a_terminal_interrupt_does_not_reach_the_server(tmp_path: Path) -> None:
    async with EmbeddedValkey(tmp_path) as valkey:
        assert valkey.process_id is not None
        assert os.getpgid(valkey.process_id) != os.getpgid(0)


async def test_a_server_that_does_not_end_is_killed(tmp_path: Path) -> None:
    valkey = EmbeddedValkey(tmp_path, stop_seconds=0.2)
    await valkey.start()
    process_id = valkey.process_id
    assert process_id is not None
    os.kill(process_id, signal.SIGSTOP)
    await asyncio.wait_for(valkey.stop(), 5)
    assert not is_running(process_id)


async def test_giving_up_while_it_starts_leaves_nothing(tmp_path: Path) -> None:
    valkey = EmbeddedValkey(tmp_path, start_seconds=0.0)
    with pytest.raises(EmbeddedStoreError, match="did not answer within 0 s"):
        await valkey.start()
    assert valkey.process_id is None
    async with EmbeddedValkey(tmp_path, lock_seconds=0.0):
        pass


async def test_it_must_be_started_to_be_waited_for(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedStoreError, match="was not started"):
        await EmbeddedValkey(tmp_path).wait()


def test_it_starts_from_the_main_thread_only(tmp_path: Path) -> None:
    errors: list[BaseException] = []

    def start() -> None:
        try:
            asyncio.run(EmbeddedValkey(tmp_path).start())
        except EmbeddedStoreError as error:
            errors.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert "main thread" in str(errors[0])


async def test_a_long_path_listens_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = tmp_path / "run"
    runtime.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    folder = tmp_path / ("x" * 120)
    if len(os.fsencode(runtime)) > 60:
        monkeypatch.setattr(embedded_config, "MAX_SOCKET_PATH_BYTES", 200)
        folder = tmp_path / ("x" * 220)
    path = socket_path(folder)
    assert path.parent.parent == runtime
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path != socket_path(folder / "other")
    path.parent.chmod(0o755)
    with pytest.raises(EmbeddedStoreError, match="open to others"):
        socket_path(folder)


async def test_a_long_path_works(tmp_path: Path) -> None:
    folder = tmp_path / ("路" * 40)
    async with EmbeddedValkey(folder) as valkey, RedisStore(valkey.url) as store:
        assert not valkey.socket_path.is_relative_to(folder)
        await store.put_leads("t", [Lead("L1")])
    assert (folder / "appendonlydir").is_dir()


async def test_a_big_log_is_put_aside(tmp_path: Path) -> None:
    (tmp_path / "valkey.log").write_bytes(b"x" * (9 << 20))
    async with EmbeddedValkey(tmp_path) as valkey:
        assert valkey.log_path.stat().st_size < 100_000
        assert (tmp_path / "valkey.log.1").stat().st_size == 9 << 20


def test_paths_are_quoted_in_the_configuration(tmp_path: Path) -> None:
    text = configuration(Path('/a "b"\\c'), tmp_path / "s", "always")
    assert 'dir "/a \\"b\\"\\\\c"' in text

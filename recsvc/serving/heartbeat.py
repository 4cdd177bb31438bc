"""What a worker process tells the others of itself, again and again, through the store."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Collection

from recsvc.serving.worker import TenantWorker
from recsvc.store.protocol import StoreUnavailable, WorkerStatus

_MISSED = 3
"""A worker is forgotten after so many missed reports."""


class Heartbeat:
    """Reports each tenant's worker; also notices when the store is back."""

    def __init__(
        self,
        worker_id: str,
        workers: Collection[TenantWorker],
        clock: Callable[[], int],
        every_seconds: float,
    ) -> None:
        self._worker_id = worker_id
        self._workers = workers
        self._clock = clock
        self._every_seconds = every_seconds
        self._start_time_us = clock()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to report."""
        self._task = asyncio.create_task(self._beat(), name="heartbeat")

    async def stop(self) -> None:
        """Ends it; the others hear that this worker is gone, if the store can be reached."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._report_all(0.0)

    async def _beat(self) -> None:
        while True:
            await self._report_all(_MISSED * self._every_seconds)
            await asyncio.sleep(self._every_seconds)

    async def _report_all(self, ttl_seconds: float) -> None:
        for worker in self._workers:
            try:
                await worker.store.report_worker(worker.tenant, self._status(worker), ttl_seconds)
            except StoreUnavailable:
                continue
            worker.store_answers()

    def _status(self, worker: TenantWorker) -> WorkerStatus:
        view = worker.live
        return WorkerStatus(
            worker_id=self._worker_id,
            model_version=worker.live_model,
            revision="" if view is None else view.revision_text,
            start_time_us=self._start_time_us,
            report_time_us=self._clock(),
            serving=bool(worker.live_model),
            host=socket.gethostname(),
            process_id=os.getpid(),
            message=worker.models.problem,
        )

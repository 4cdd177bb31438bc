"""Everything one worker process runs, from its start to its draining."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress

from grpc_health.v1 import health, health_pb2
from structlog.typing import FilteringBoundLogger

from recsvc.convert import schedules
from recsvc.errors import ConfigError, InvalidScheduleError
from recsvc.matching.pipeline import now_us
from recsvc.model.registry import ModelRegistry
from recsvc.push.config import PushConfig, read_push_config
from recsvc.serving.arrivals import Arrivals
from recsvc.serving.attribution import AttributionCodec
from recsvc.serving.call_log import CallLog
from recsvc.serving.grpc_server import ALWAYS, RANKING, build_guard, build_server, listen
from recsvc.serving.heartbeat import Heartbeat
from recsvc.serving.intake import Intake
from recsvc.serving.keeper import Keeper, archive_folder
from recsvc.serving.knobs import pipeline_config
from recsvc.serving.metrics import Metrics
from recsvc.serving.paging import PageTokens
from recsvc.serving.planning import Planning, best_plan
from recsvc.serving.scheduler import Scheduler
from recsvc.serving.servicers.shared import Service
from recsvc.serving.tokens import Sealer
from recsvc.serving.worker import TenantWorker, WorkerOptions
from recsvc.settings import Settings
from recsvc.store.protocol import Store, StoreUnavailable

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Server:
    """Everything one worker process runs.

    Health: the server as a whole and RecommendationService are SERVING while a model is live, the
    other services from the start; all are NOT_SERVING while it drains.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        key: bytes,
        metrics: Metrics,
        log: FilteringBoundLogger,
        clock: Callable[[], int] = now_us,
        worker_id: str = "",
        call_log: CallLog | None = None,
    ) -> None:
        """`call_log` takes the line of each call, `log` when it is None."""
        self._settings = settings
        self._store = store
        self._log = log
        self._guard = build_guard(settings, metrics, log, call_log)
        worker_id = worker_id or f"{socket.gethostname()}-{os.getpid()}"
        options = WorkerOptions(
            settings.start_seconds,
            settings.model_poll_seconds,
            pipeline_config(settings.retrieval),
        )
        self.workers = {
            tenant: TenantWorker(
                tenant,
                worker_id,
                store,
                ModelRegistry(settings.models_folder, tenant),
                metrics,
                log,
                options,
                clock,
                self._show_health,
            )
            for tenant in settings.tenants
        }
        sealer = Sealer(key)
        push_config, holidays = _push_config(settings), frozenset(settings.push_holidays)
        self._arrivals = {
            tenant: Arrivals(worker, push_config, clock, log, holidays)
            for tenant, worker in self.workers.items()
        }
        self._service = Service(
            workers=self.workers,
            page_tokens=PageTokens(sealer),
            attribution={t: AttributionCodec(sealer, t) for t in settings.tenants},
            clock=clock,
            default_diversity=settings.default_diversity,
            max_wait_seconds=settings.max_wait_seconds,
            push_config=push_config,
            holidays=holidays,
            arrivals=self._arrivals,
        )
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]
        self._heartbeat = Heartbeat(
            worker_id,
            self.workers.values(),
            clock,
            settings.heartbeat_seconds,
        )
        self._keepers = [
            Keeper(
                store,
                ModelRegistry(settings.models_folder, tenant),
                tenant,
                archive_folder(settings.data_folder, tenant),
                worker_id,
                log,
            )
            for tenant in settings.tenants
        ]
        self._schedulers = [self._scheduler(w, settings) for w in self.workers.values()]
        self._health_tasks: set[asyncio.Task[None]] = set()
        self._grpc: Intake | None = None

    async def start(self, address: str) -> int:
        """Loads every tenant's model, then listens on `address`; the port it got.

        Raises ConfigError when it cannot listen there.
        """
        for name in ("", RANKING):
            await self._health.set(name, _NOT_SERVING)
        for tenant in self.workers:
            with suppress(StoreUnavailable):
                await self._store.open_tenant(tenant, self._settings.bucket_count)
        await asyncio.gather(*(worker.start() for worker in self.workers.values()))
        for name in ALWAYS:
            await self._health.set(name, _SERVING)
        self._grpc = await build_server(self._settings, self._service, self._health, self._guard)
        port = listen(self._grpc.server, address, self._settings.tls)
        await self._grpc.start()
        await self._set_health()
        self._heartbeat.start()
        for keeper in self._keepers:
            keeper.start()
        for scheduler in self._schedulers:
            scheduler.start()
        for arrivals in self._arrivals.values():
            arrivals.start()
        return port

    async def stop(self, grace_seconds: float | None = None) -> None:
        """Takes no new calls, lets running ones end within `grace_seconds`, closes everything."""
        grace = self._settings.drain_seconds if grace_seconds is None else grace_seconds
        await self._health.enter_graceful_shutdown()
        self._service.draining.set()
        if self._grpc is not None:
            await self._grpc.server.stop(grace)
        await asyncio.gather(*(scheduler.aclose() for scheduler in self._schedulers))
        await asyncio.gather(*(arrivals.aclose() for arrivals in self._arrivals.values()))
        await asyncio.gather(*(keeper.aclose() for keeper in self._keepers))
        for worker in self.workers.values():
            await worker.aclose()
        await self._heartbeat.stop()
        self._guard.end()

    def write_down(self) -> None:
        """Writes the lines and numbers of calls that have ended; the worker does so by itself, a
        moment later.
        """
        self._guard.write_down()

    def look_for_models(self) -> None:
        """SIGHUP: looks at the models folder now, also at what was refused before."""
        for worker in self.workers.values():
            worker.models.poke(retry=True)

    def _scheduler(self, worker: TenantWorker, settings: Settings) -> Scheduler:
        service = self._service
        try:
            schedule = schedules.cron(settings.push_schedule, "push_schedule")
            zone = schedules.time_zone(settings.push_time_zone, "push_time_zone")
        except InvalidScheduleError as error:
            raise ConfigError(error.message) from error
        planning = Planning(
            worker, service.push_config, best_plan, service.clock, holidays=service.holidays
        )
        return Scheduler(worker, planning, schedule, zone, service.clock, self._log)

    def _show_health(self) -> None:
        """A model went live in one of the workers."""
        task = asyncio.create_task(self._set_health())
        self._health_tasks.add(task)
        task.add_done_callback(self._health_tasks.discard)

    async def _set_health(self) -> None:
        serving = self._grpc is not None and any(w.live_model for w in self.workers.values())
        for name in ("", RANKING):
            await self._health.set(name, _SERVING if serving else _NOT_SERVING)


def _push_config(settings: Settings) -> PushConfig:
    file = settings.push_config
    return PushConfig() if file is None else read_push_config(file)

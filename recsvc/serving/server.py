"""One worker's gRPC server: services, interceptors, TLS, health, reflection, draining."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from structlog.typing import FilteringBoundLogger

from recsvc.convert import schedules
from recsvc.errors import ConfigError, InvalidScheduleError
from recsvc.matching.pipeline import now_us
from recsvc.model.registry import ModelRegistry
from recsvc.push.config import PushConfig, read_push_config
from recsvc.serving.attribution import AttributionCodec
from recsvc.serving.heartbeat import Heartbeat
from recsvc.serving.interceptors import Authenticator, ServiceInterceptor
from recsvc.serving.keeper import Keeper, archive_folder
from recsvc.serving.knobs import pipeline_config
from recsvc.serving.metrics import Metrics
from recsvc.serving.paging import PageTokens
from recsvc.serving.planning import Planning, best_plan
from recsvc.serving.scheduler import Scheduler
from recsvc.serving.servicers.catalog import CatalogServicer
from recsvc.serving.servicers.claim import ClaimServicer
from recsvc.serving.servicers.model import ModelServicer
from recsvc.serving.servicers.participation import ParticipationServicer
from recsvc.serving.servicers.push import PushServicer
from recsvc.serving.servicers.recommendation import RecommendationServicer
from recsvc.serving.servicers.shared import Service
from recsvc.serving.tokens import Sealer
from recsvc.serving.tracing import tracing_interceptor
from recsvc.serving.worker import TenantWorker, WorkerOptions
from recsvc.settings import Settings, Tls
from recsvc.store.protocol import Store, StoreUnavailable
from recsvc.v1 import (
    catalog_pb2,
    catalog_pb2_grpc,
    claim_pb2,
    claim_pb2_grpc,
    model_pb2,
    model_pb2_grpc,
    participation_pb2,
    participation_pb2_grpc,
    push_pb2,
    push_pb2_grpc,
    recommendation_pb2,
    recommendation_pb2_grpc,
)

_RANKING = recommendation_pb2.DESCRIPTOR.services_by_name["RecommendationService"].full_name
_ALWAYS = tuple(
    file.services_by_name[name].full_name
    for file, name in (
        (catalog_pb2.DESCRIPTOR, "CatalogService"),
        (participation_pb2.DESCRIPTOR, "ParticipationService"),
        (claim_pb2.DESCRIPTOR, "ClaimService"),
        (push_pb2.DESCRIPTOR, "PushService"),
        (model_pb2.DESCRIPTOR, "ModelService"),
    )
)
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
    ) -> None:
        self._settings = settings
        self._store = store
        self._metrics = metrics
        self._log = log
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
        self._service = Service(
            workers=self.workers,
            page_tokens=PageTokens(sealer),
            attribution={t: AttributionCodec(sealer, t) for t in settings.tenants},
            clock=clock,
            default_diversity=settings.default_diversity,
            max_wait_seconds=settings.max_wait_seconds,
            push_config=_push_config(settings),
            holidays=frozenset(settings.push_holidays),
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
        self._grpc: grpc.aio.Server | None = None

    async def start(self, address: str) -> int:
        """Loads every tenant's model, then listens on `address`; the port it got.

        Raises ConfigError when it cannot listen there.
        """
        for name in ("", _RANKING):
            await self._health.set(name, _NOT_SERVING)
        for tenant in self.workers:
            with suppress(StoreUnavailable):
                await self._store.open_tenant(tenant, self._settings.bucket_count)
        await asyncio.gather(*(worker.start() for worker in self.workers.values()))
        for name in _ALWAYS:
            await self._health.set(name, _SERVING)
        self._grpc = self._build()
        port = self._listen(self._grpc, address)
        await self._grpc.start()
        await self._set_health()
        self._heartbeat.start()
        for keeper in self._keepers:
            keeper.start()
        for scheduler in self._schedulers:
            scheduler.start()
        return port

    async def stop(self, grace_seconds: float | None = None) -> None:
        """Takes no new calls, lets running ones end within `grace_seconds`, closes everything."""
        grace = self._settings.drain_seconds if grace_seconds is None else grace_seconds
        await self._health.enter_graceful_shutdown()
        self._service.draining.set()
        if self._grpc is not None:
            await self._grpc.stop(grace)
        await asyncio.gather(*(scheduler.aclose() for scheduler in self._schedulers))
        await asyncio.gather(*(keeper.aclose() for keeper in self._keepers))
        for worker in self.workers.values():
            await worker.aclose()
        await self._heartbeat.stop()

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

    def _build(self) -> grpc.aio.Server:
        settings = self._settings
        guard = ServiceInterceptor(
            Authenticator(settings.tokens, settings.tenants),
            self._metrics,
            self._log,
            settings.max_in_flight,
        )
        interceptors: list[Any] = [*tracing_interceptor(settings.tracing), guard]
        server = grpc.aio.server(
            interceptors=interceptors,
            options=(
                ("grpc.so_reuseport", 1),
                ("grpc.max_receive_message_length", settings.max_receive_bytes),
                ("grpc.max_send_message_length", -1),
                # What waits inside gRPC is not seen by the guard: beyond this, it waits at the
                # caller, whose deadline ends it.
                ("grpc.max_concurrent_streams", 2 * settings.max_in_flight),
                ("grpc.keepalive_permit_without_calls", 1),
                ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
            ),
        )
        service = self._service
        catalog_pb2_grpc.add_CatalogServiceServicer_to_server(CatalogServicer(service), server)
        recommendation_pb2_grpc.add_RecommendationServiceServicer_to_server(
            RecommendationServicer(service), server
        )
        participation_pb2_grpc.add_ParticipationServiceServicer_to_server(
            ParticipationServicer(service), server
        )
        claim_pb2_grpc.add_ClaimServiceServicer_to_server(ClaimServicer(service), server)
        push_pb2_grpc.add_PushServiceServicer_to_server(PushServicer(service), server)
        model_pb2_grpc.add_ModelServiceServicer_to_server(ModelServicer(service), server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        if settings.reflection:
            names = (_RANKING, *_ALWAYS, health.SERVICE_NAME, reflection.SERVICE_NAME)
            reflection.enable_server_reflection(names, server)
        return server

    def _listen(self, server: grpc.aio.Server, address: str) -> int:
        credentials = server_credentials(self._settings.tls)
        try:
            if credentials is None:
                return server.add_insecure_port(address)
            return server.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise ConfigError(f"cannot listen on {address}: {error}") from error

    def _show_health(self) -> None:
        """A model went live in one of the workers."""
        task = asyncio.create_task(self._set_health())
        self._health_tasks.add(task)
        task.add_done_callback(self._health_tasks.discard)

    async def _set_health(self) -> None:
        serving = self._grpc is not None and any(w.live_model for w in self.workers.values())
        for name in ("", _RANKING):
            await self._health.set(name, _SERVING if serving else _NOT_SERVING)


def server_credentials(tls: Tls) -> grpc.ServerCredentials | None:
    """Credentials of the configured files; None for plain text."""
    if tls.certificate is None or tls.key is None:
        return None
    roots = None if tls.client_ca is None else _read(tls.client_ca)
    return grpc.ssl_server_credentials(
        [(_read(tls.key), _read(tls.certificate))],
        root_certificates=roots,
        require_client_auth=roots is not None,
    )


def _push_config(settings: Settings) -> PushConfig:
    file = settings.push_config
    return PushConfig() if file is None else read_push_config(file)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error

"""The gRPC server of a worker: services, TLS, health, reflection."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from structlog.typing import FilteringBoundLogger

from recsvc.errors import ConfigError
from recsvc.serving.call_log import CallLog
from recsvc.serving.intake import Intake
from recsvc.serving.interceptors import Authenticator, Guard
from recsvc.serving.metrics import Metrics
from recsvc.serving.servicers.catalog import CatalogServicer
from recsvc.serving.servicers.claim import ClaimServicer
from recsvc.serving.servicers.model import ModelServicer
from recsvc.serving.servicers.participation import ParticipationServicer
from recsvc.serving.servicers.push import PushServicer
from recsvc.serving.servicers.recommendation import RecommendationServicer
from recsvc.serving.servicers.shared import Service
from recsvc.serving.tracing import Handler, Handlers, traced
from recsvc.settings import Settings, Tls
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

RANKING = recommendation_pb2.DESCRIPTOR.services_by_name["RecommendationService"].full_name
"""The service that answers only while a model is live."""
ALWAYS = tuple(
    file.services_by_name[name].full_name
    for file, name in (
        (catalog_pb2.DESCRIPTOR, "CatalogService"),
        (participation_pb2.DESCRIPTOR, "ParticipationService"),
        (claim_pb2.DESCRIPTOR, "ClaimService"),
        (push_pb2.DESCRIPTOR, "PushService"),
        (model_pb2.DESCRIPTOR, "ModelService"),
    )
)
"""Services that answer from the start."""

_MOST_PENDING = 1_000_000


def build_guard(
    settings: Settings,
    metrics: Metrics,
    log: FilteringBoundLogger,
    call_log: CallLog | None = None,
) -> Guard:
    """What stands around every call as it is configured."""
    return Guard(
        Authenticator(settings.tokens, settings.tenants),
        metrics,
        log,
        settings.max_in_flight,
        settings.max_queue_seconds,
        call_log,
    )


async def build_server(
    settings: Settings,
    service: Service,
    health_servicer: health_pb2_grpc.HealthServicer,
    guard: Guard,
) -> Intake:
    """The server of all services; it listens nowhere yet."""
    guard.follow(service.together)
    guard.protect(await traced(_handlers(service), settings.tracing))
    server = grpc.aio.server(
        options=(
            ("grpc.so_reuseport", 1),
            ("grpc.max_receive_message_length", settings.max_receive_bytes),
            ("grpc.max_send_message_length", -1),
            # What waits inside gRPC is not seen by the guard: beyond this, it waits at the
            # caller, whose deadline ends it.
            ("grpc.max_concurrent_streams", 2 * settings.max_in_flight),
            # gRPC resets streams by itself when many wait, or have ended and are still in memory:
            # UNAVAILABLE, without a time to try again. The guard refuses, and says when.
            ("grpc.http.overload_protection", 0),
            ("grpc.server.max_pending_requests", _MOST_PENDING),
            ("grpc.server.max_pending_requests_hard_limit", _MOST_PENDING),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
        ),
    )
    intake: Any = Intake(server)
    intake.add_generic_rpc_handlers((guard,))
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, intake)
    if settings.reflection:
        names = (RANKING, *ALWAYS, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, intake)
    taken: Intake = intake
    return taken


class _Registry:
    """Takes the handlers that generated code has for a server."""

    def __init__(self) -> None:
        self.handlers: dict[str, Handler] = {}

    def add_generic_rpc_handlers(self, _: object) -> None:
        """They come by name, too."""

    def add_registered_method_handlers(self, service: str, handlers: Handlers) -> None:
        """`handlers` by the names of their methods."""
        self.handlers |= {f"/{service}/{name}": handler for name, handler in handlers.items()}


def _handlers(service: Service) -> Handlers:
    """The handlers of all services, by the paths of their methods."""
    registry: Any = _Registry()
    catalog_pb2_grpc.add_CatalogServiceServicer_to_server(CatalogServicer(service), registry)
    recommendation_pb2_grpc.add_RecommendationServiceServicer_to_server(
        RecommendationServicer(service), registry
    )
    participation_pb2_grpc.add_ParticipationServiceServicer_to_server(
        ParticipationServicer(service), registry
    )
    claim_pb2_grpc.add_ClaimServiceServicer_to_server(ClaimServicer(service), registry)
    push_pb2_grpc.add_PushServiceServicer_to_server(PushServicer(service), registry)
    model_pb2_grpc.add_ModelServiceServicer_to_server(ModelServicer(service), registry)
    handlers: Handlers = registry.handlers
    return handlers


def listen(server: grpc.aio.Server, address: str, tls: Tls) -> int:
    """The port the server got at `address`; raises ConfigError when it cannot listen there."""
    credentials = server_credentials(tls)
    try:
        if credentials is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise ConfigError(f"cannot listen on {address}: {error}") from error


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


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error

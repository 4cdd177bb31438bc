"""A real server on loopback over a real (embedded) store, for tests through gRPC."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from tiny_bundle import publish_tiny

from recsvc.config import load_settings
from recsvc.model.registry import ModelRegistry
from recsvc.serving.call_log import build_call_log
from recsvc.serving.log import build_logger
from recsvc.serving.metrics import Metrics
from recsvc.serving.server import Server
from recsvc.settings import Settings
from recsvc.store.embedded import EmbeddedValkey
from recsvc.store.redis_store import RedisStore
from recsvc.v1 import (
    catalog_pb2_grpc,
    claim_pb2_grpc,
    model_pb2_grpc,
    participation_pb2_grpc,
    push_pb2_grpc,
    recommendation_pb2_grpc,
)

KEY = b"k" * 32
PARENT = "tenants/default"
Metadata = tuple[tuple[str, str], ...]


@dataclass
class Service:
    """One worker of a service, and what a test needs of it."""

    server: Server
    store: RedisStore
    registry: ModelRegistry
    metrics: Metrics
    valkey: EmbeddedValkey
    logs: io.StringIO
    channel: grpc.aio.Channel
    port: int

    def __post_init__(self) -> None:
        self.catalog: Any = catalog_pb2_grpc.CatalogServiceStub(self.channel)
        self.recommendation: Any = recommendation_pb2_grpc.RecommendationServiceStub(self.channel)
        self.participation: Any = participation_pb2_grpc.ParticipationServiceStub(self.channel)
        self.claim: Any = claim_pb2_grpc.ClaimServiceStub(self.channel)
        self.push: Any = push_pb2_grpc.PushServiceStub(self.channel)
        self.model: Any = model_pb2_grpc.ModelServiceStub(self.channel)

    def log_lines(self, event: str) -> list[dict[str, Any]]:
        """What was logged under this name so far."""
        self.server.write_down()
        lines = [json.loads(line) for line in self.logs.getvalue().splitlines()]
        return [line for line in lines if line["event"] == event]

    def publish(self, model_id: str) -> Path:
        """Publishes the tiny model under another id; its folder."""
        return publish_tiny(self.registry, model_id)

    async def until_live(self, model_id: str, tenant: str = "default", seconds: float = 60) -> None:
        """Waits until this worker serves a model."""
        async with asyncio.timeout(seconds):
            while self.server.workers[tenant].live_model != model_id:
                await asyncio.sleep(0.02)


def settings_for(folder: Path, **changes: Any) -> Settings:
    """Settings of a test, nothing outside `folder`."""
    values: dict[str, Any] = {
        "models_folder": folder / "models",
        "data_folder": folder / "data",
        "port": 0,
        "model_poll_seconds": 0.05,
        "heartbeat_seconds": 0.2,
        "metrics": {"enabled": False},
    }
    return load_settings(overrides=values | changes).settings


@asynccontextmanager
async def serving(
    folder: Path,
    *model_ids: str,
    valkey: EmbeddedValkey | None = None,
    worker_id: str = "worker-1",
    **changes: Any,
) -> AsyncGenerator[Service, None]:
    """A worker on `folder`, on `valkey` or one of its own; `model_ids` name copies of one model."""
    settings = settings_for(folder, **changes)
    async with AsyncExitStack() as stack:
        if valkey is None:
            valkey = await stack.enter_async_context(
                EmbeddedValkey(folder / "data" / "valkey", fsync="everysec")
            )
        registry = ModelRegistry(settings.models_folder)
        for model_id in model_ids:
            publish_tiny(registry, model_id)
        store = await stack.enter_async_context(RedisStore(valkey.url))
        metrics, logs = Metrics(), io.StringIO()
        log = build_logger(settings.log_level, stream=logs)
        calls = build_call_log(settings.log_level, stream=logs)
        server = Server(settings, store, KEY, metrics, log, worker_id=worker_id, call_log=calls)
        stack.push_async_callback(server.stop, 1.0)
        port = await server.start("127.0.0.1:0")
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{port}"))
        yield Service(server, store, registry, metrics, valkey, logs, channel, port)


@dataclass
class Pair:
    """Two workers; a test's calls go to either."""

    first: Service
    second: Service


@asynccontextmanager
async def serving_pair(folder: Path, **changes: Any) -> AsyncGenerator[Pair, None]:
    """Two workers on one store and the tiny model; `changes` are the first one's settings."""
    async with (
        serving(folder, "tiny", **changes) as first,
        serving(folder, valkey=first.valkey, worker_id="worker-2") as second,
    ):
        yield Pair(first, second)


@dataclass(frozen=True)
class Refused:
    """How a call failed, as its caller sees it."""

    code: str
    reason: str
    field: str
    message: str
    retry_seconds: float | None
    resource: str
    metadata: dict[str, str]


async def refused(call: Any) -> Refused:
    """Awaits a call (or drains a stream) that must fail, and reads the status."""
    try:
        if hasattr(call, "__aiter__"):
            async for _ in call:
                pass
        else:
            await call
    except grpc.aio.AioRpcError as error:
        return read_error(error)
    raise AssertionError("the call was answered")


def read_error(error: grpc.aio.AioRpcError) -> Refused:
    """The parts of a failed call's status."""
    status: status_pb2.Status | None = rpc_status.from_call(error)  # type: ignore[arg-type]
    found: dict[str, Any] = {}
    for detail in status.details if status is not None else ():
        for kind in ("ErrorInfo", "BadRequest", "ResourceInfo", "RetryInfo"):
            message = getattr(error_details_pb2, kind)()
            if detail.Unpack(message):
                found[kind] = message
    info, bad = found.get("ErrorInfo"), found.get("BadRequest")
    retry, resource = found.get("RetryInfo"), found.get("ResourceInfo")
    return Refused(
        code=error.code().name,
        reason=info.reason if info else "",
        field=bad.field_violations[0].field if bad else "",
        message=error.details() or "",
        retry_seconds=retry.retry_delay.ToNanoseconds() / 1e9 if retry else None,
        resource=resource.resource_name if resource else "",
        metadata=dict(info.metadata) if info else {},
    )

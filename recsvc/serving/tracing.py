"""OpenTelemetry spans around calls, when the configuration asks for them.

The SDK is set up by its own OTEL_* environment variables (or by `opentelemetry-instrument`);
`tracing.console` prints spans instead, to see that they come.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

import grpc

from recsvc.settings import Tracing

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"  # generic in the stubs only
Handlers: TypeAlias = Mapping[str, Handler]
"""By the paths of their methods: `/recsvc.v1.Service/Method`."""


class _Details(NamedTuple):
    """Whose handler is asked for, as grpc.HandlerCallDetails says it."""

    method: str
    invocation_metadata: tuple[tuple[str, str], ...]


async def traced(handlers: Handlers, tracing: Tracing) -> Handlers:
    """The handlers with spans around them, or as they are."""
    if not tracing.enabled:
        return handlers
    # Imported on demand: it costs 200 ms that few need.
    from opentelemetry.instrumentation.grpc import aio_server_interceptor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

    provider: TracerProvider | None = None  # the one that the environment has set up
    if tracing.console:
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(out=sys.stderr)))
    interceptor: Any = aio_server_interceptor(tracer_provider=provider)  # type: ignore[no-untyped-call]

    async def of(path: str, handler: Handler) -> Handler:
        async def found(_: object) -> Handler:
            return handler

        spanned: Handler = await interceptor.intercept_service(found, _Details(path, ()))
        return spanned

    return {path: await of(path, handler) for path, handler in handlers.items()}

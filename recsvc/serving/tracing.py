"""OpenTelemetry spans around calls, when the configuration asks for them.

The SDK is set up by its own OTEL_* environment variables (or by `opentelemetry-instrument`);
`tracing.console` prints spans instead, to see that they come.
"""

from __future__ import annotations

import sys
from typing import Any

from recsvc.settings import Tracing


def tracing_interceptor(tracing: Tracing) -> list[Any]:
    """The interceptor for a grpc.aio server, or nothing."""
    if not tracing.enabled:
        return []
    # Imported on demand: it costs 200 ms that few need.
    from opentelemetry.instrumentation.grpc import aio_server_interceptor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

    provider: TracerProvider | None = None  # the one that the environment has set up
    if tracing.console:
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(out=sys.stderr)))
    interceptor: Any = aio_server_interceptor(tracer_provider=provider)  # type: ignore[no-untyped-call]
    return [interceptor]

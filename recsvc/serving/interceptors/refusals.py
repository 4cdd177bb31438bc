"""Refusing calls for as little as it can be done: what a refusal costs bounds what can be refused.

A worker that is asked for three times what it can answer refuses some thousands of calls a second.
So one handler stands for all methods, it reads nothing, and refused calls share a line and a number
a second.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import grpc

from recsvc.convert.status import to_grpc
from recsvc.errors import OverloadedError
from recsvc.serving.call_log import CallLog
from recsvc.serving.deferred import Deferred
from recsvc.serving.metrics import Metrics

_TELL_SECONDS = 1.0
"""Lines and numbers of refused calls are written down so soon."""


class Refusals:
    """The handler that refuses, and how often it did."""

    def __init__(self, metrics: Metrics, call_log: CallLog) -> None:
        self.handler = _refusing()
        self._metrics = metrics
        self._calls = call_log
        self._counts: Counter[str] = Counter()
        self._soon = Deferred(self.tell, _TELL_SECONDS)

    def count(self, method: str) -> None:
        """One call of the method is refused."""
        self._counts[method] += 1
        self._soon.ask()

    def tell(self) -> None:
        """Adds what was counted to the log and to the metrics."""
        status, reason = OverloadedError.status, OverloadedError.reason
        lines = []
        for method, count in self._counts.items():
            self._metrics.call(method, status, reason, 0.0, count)
            told = {"method": method, "status": status, "reason": reason, "calls": count}
            lines.append((datetime.now(UTC), told))
        self._counts.clear()
        self._metrics.flush()
        self._calls.write(lines)


def _refusing() -> grpc.RpcMethodHandler[Any, Any]:
    """Says when to try again. It streams both ways, whatever the method does: of the other kinds
    gRPC reads the request first, an eighth of a refusal's instructions. Nor does it `abort`, which
    raises: another fifteenth.
    """
    refusal = to_grpc(OverloadedError("the worker has more calls than it can answer: try again"))

    async def behave(_: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        context.set_code(refusal.code)
        context.set_details(refusal.details)
        context.set_trailing_metadata(refusal.trailing_metadata)

    return grpc.stream_stream_rpc_method_handler(behave)

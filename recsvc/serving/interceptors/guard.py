"""What stands around every method: admission, errors, metrics, the log line.

It hands out the handlers itself, already guarded: an interceptor of grpc.aio is asked for each call
by a chain of coroutines, which a refusal, a tenth of a millisecond, feels.

Errors are mapped here for all four kinds of methods: a stream's errors come out of its iteration,
so the wrapped behaviour iterates inside the guard.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
from structlog.typing import FilteringBoundLogger

from recsvc.convert.status import internal_error, service_error, to_grpc
from recsvc.errors import (
    DeadlineExceededError,
    ServiceError,
)
from recsvc.serving.call_log import CallLog, ShownCalls
from recsvc.serving.deferred import Deferred
from recsvc.serving.interceptors.access import Authenticator
from recsvc.serving.interceptors.calls import Call, current_call, set_current_call
from recsvc.serving.interceptors.gate import Gate
from recsvc.serving.interceptors.messages import checked, checked_each, tolerant, written
from recsvc.serving.interceptors.refusals import Refusals
from recsvc.serving.metrics import Metrics
from recsvc.serving.together import Together

_WRITE_SECONDS = 0.05
"""Lines and numbers of calls are written down so soon: a worker that is killed loses that much."""

Context = grpc.aio.ServicerContext[Any, Any]
Behaviour = Callable[[Any, Context], Any]


_KINDS = {
    (False, False): "unary_unary",
    (False, True): "unary_stream",
    (True, False): "stream_unary",
    (True, True): "stream_stream",
}


class Guard(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in the stubs only
    """Hands out the methods of the contract, each with what stands around it."""

    def __init__(
        self,
        authenticator: Authenticator,
        metrics: Metrics,
        log: FilteringBoundLogger,
        max_in_flight: int,
        max_queue_seconds: float,
        call_log: CallLog | None = None,
    ) -> None:
        """`call_log` takes the line of each call, `log` when it is None."""
        self._authenticator = authenticator
        self._metrics = metrics
        self._log = log
        self._calls: CallLog = ShownCalls(log) if call_log is None else call_log
        self._soon = Deferred(self.write_down, _WRITE_SECONDS)
        self._over: list[Call] = []
        self._max_in_flight = max_in_flight
        self._in_flight = 0
        self._gate = Gate(max_queue_seconds)
        self._guarded: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
        self._refusals = Refusals(metrics, self._calls)

    def follow(self, together: Together) -> None:
        """Nobody gets a turn while many wait there (see `Gate`); who is alone waits for nobody."""
        self._gate.at_work = together
        together.is_alone = lambda: self._in_flight <= 1

    def protect(self, handlers: Mapping[str, grpc.RpcMethodHandler[Any, Any]]) -> None:
        """Takes over the handlers, by the paths of their methods."""
        self._guarded = {path: self._guard(handler) for path, handler in handlers.items()}

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Counts the call from its arrival; refuses it before its message has been read. None when
        the method is not one of ours.
        """
        method = handler_call_details.method
        guarded = self._guarded.get(method)
        if guarded is None:
            return None
        if self._gate.refuses(full=self._in_flight >= self._max_in_flight):
            self._refusals.count(method)
            return self._refusals.handler
        set_current_call(Call(method, time.perf_counter()))
        self._in_flight += 1
        task = asyncio.current_task()
        assert task is not None, "grpc.aio handles each call in a task"
        # However the call ends, also before its handler begins: the task ends.
        task.add_done_callback(self._ended)
        return guarded

    def _ended(self, _: asyncio.Task[Any]) -> None:
        self._in_flight -= 1
        self._soon.ask()

    def end(self) -> None:
        """Writes what waits to be written: the worker ends."""
        self.write_down()
        self._refusals.tell()

    def write_down(self) -> None:
        """Writes the lines and numbers of the calls that have ended.

        Between two lists, with nothing of this in the processor's caches, a call's line and numbers
        took three times as long as together with those of others.
        """
        over, self._over = self._over, []
        now, now_seconds = datetime.now(UTC), time.perf_counter()
        lines = []
        for call in over:
            seconds = call.end_seconds - call.arrival_seconds
            self._metrics.call(call.method, call.status, call.reason, seconds)
            fields: dict[str, Any] = {
                "method": call.method,
                "status": call.status,
                "reason": call.reason,
                "seconds": round(seconds, 6),
                "caller": call.caller.actor,
                **call.notes,
            }
            lines.append((now - timedelta(seconds=now_seconds - call.end_seconds), fields))
        self._metrics.in_flight(self._in_flight)
        self._metrics.flush()
        self._calls.write(lines)

    def _guard(self, handler: grpc.RpcMethodHandler[Any, Any]) -> grpc.RpcMethodHandler[Any, Any]:
        """A handler of the same kind whose behaviour runs inside `_around`."""
        kind = _KINDS[handler.request_streaming, handler.response_streaming]
        wrap = self._streaming if handler.response_streaming else self._answering
        read = checked_each if handler.request_streaming else checked
        made: Any = getattr(grpc, f"{kind}_rpc_method_handler")
        guarded: grpc.RpcMethodHandler[Any, Any] = made(
            wrap(getattr(handler, kind), read),
            tolerant(handler.request_deserializer),
            written(handler.response_serializer),
        )
        return guarded

    def _answering(self, inner: Behaviour, read: Callable[[Any], Any]) -> Behaviour:
        # Written out, not with `_around`: two generators fewer a call, on the way of every list.
        async def behave(request: Any, context: Context) -> Any:
            call = current_call()
            try:
                self._admit(call, context)
                await self._gate.turn(self._in_flight)
                _check_time(context)
                reply = await inner(read(request), context)
            except BaseException as error:
                refusal = self._failed(call, context, error)
                if refusal is None:
                    raise
            else:
                self._finish(call, "OK", "")
                return reply
            return await context.abort(refusal.code, refusal.details, refusal.trailing_metadata)

        return behave

    def _streaming(self, inner: Behaviour, read: Callable[[Any], Any]) -> Behaviour:
        async def behave(request: Any, context: Context) -> None:
            async with self._around(context), aclosing(inner(read(request), context)) as replies:
                async for reply in replies:
                    await context.write(reply)

        return behave

    @asynccontextmanager
    async def _around(self, context: Context) -> AsyncGenerator[Call, None]:
        call = current_call()
        refusal: grpc.Status | None = None
        try:
            self._admit(call, context)
            await self._gate.turn(self._in_flight)
            _check_time(context)
            yield call
        except BaseException as error:
            refusal = self._failed(call, context, error)
            if refusal is None:
                raise
        else:
            self._finish(call, "OK", "")
        if refusal is not None:
            await context.abort(refusal.code, refusal.details, refusal.trailing_metadata)

    def _failed(self, call: Call, context: Context, error: BaseException) -> grpc.Status | None:
        """Ends a call that failed: what to tell the caller, None when nobody listens any more."""
        if isinstance(error, asyncio.CancelledError):
            late = "DEADLINE_EXCEEDED" if _is_late(context) else "CANCELLED"
            self._finish(call, late, "")
            return None
        if not isinstance(error, Exception):
            self._finish(call, "OK", "")
            return None
        told = service_error(error) or self._fault(call, error)
        self._finish(call, told.status, told.reason)
        return to_grpc(told)

    def _admit(self, call: Call, context: Context) -> None:
        anybody = self._authenticator.anybody
        if anybody is None:
            call.caller = self._authenticator.admit(call.method, context.invocation_metadata())
        else:
            call.caller = anybody

    def _fault(self, call: Call, error: Exception) -> ServiceError:
        log_id = uuid.uuid4().hex
        self._log.error("fault", log_id=log_id, method=call.method, exc_info=error, **call.notes)
        return internal_error(log_id)

    def _finish(self, call: Call, status: str, reason: str) -> None:
        call.status, call.reason, call.end_seconds = status, reason, time.perf_counter()
        self._over.append(call)


def _check_time(context: Context) -> None:
    """Raises DeadlineExceededError when nobody waits for the answer any more."""
    if _is_late(context):
        raise DeadlineExceededError("the deadline passed before the call was begun")


def _is_late(context: Context) -> bool:
    remaining = context.time_remaining()
    return remaining is not None and remaining <= 0

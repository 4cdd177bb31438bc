"""A real gRPC server on loopback whose answers are scripted: the seam that the client talks to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2

from recsvc.convert.status import to_grpc
from recsvc.errors import ServiceError
from recsvc.v1 import (
    catalog_pb2,
    claim_pb2,
    model_pb2,
    participation_pb2,
    push_pb2,
    recommendation_pb2,
)

_FILES = (
    catalog_pb2,
    claim_pb2,
    push_pb2,
    model_pb2,
    participation_pb2,
    recommendation_pb2,
    health_pb2,
)


@dataclass(frozen=True)
class Received:
    """A call as it arrived; a client stream arrives as the list of its messages."""

    method: str
    request: Any
    metadata: dict[str, str]
    peer: str
    seconds_left: float


@dataclass
class Script:
    """Answers by method name: a reply (or list of replies, for a stream), an error, or a function.

    Each call takes the next answer, the last one is given again and again. A function gets the
    request and gives an answer of the other kinds. An error in a list of replies ends the stream.
    """

    answers: dict[str, list[Any]] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def on(self, method: str, *answers: Any) -> None:
        """What to answer to a method's calls, one after the other."""
        self.answers[method] = list(answers)

    def calls(self, method: str) -> list[Received]:
        """The calls of a method so far."""
        return [call for call in self.received if call.method == method]

    def last(self, method: str) -> Any:
        """The last request of a method."""
        return self.calls(method)[-1].request

    def next_answer(self, method: str) -> Any:
        """Takes the next answer; a method without any is UNIMPLEMENTED."""
        with self.lock:
            planned = self.answers.get(method)
            if not planned:
                return None
            return planned.pop(0) if len(planned) > 1 else planned[0]


class _Handler(grpc.GenericRpcHandler):  # type: ignore[type-arg]
    """Every method of every service of the contract, answered by a script."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._methods = {
            f"/{service.full_name}/{method.name}": method
            for file in _FILES
            for service in file.DESCRIPTOR.services_by_name.values()
            for method in service.methods
        }

    def service(self, handler_call_details: Any) -> Any:
        method = self._methods.get(handler_call_details.method)
        if method is None or method.name not in self._script.answers:
            return None
        make: Callable[..., Any] = {
            (False, False): grpc.unary_unary_rpc_method_handler,
            (False, True): grpc.unary_stream_rpc_method_handler,
            (True, False): grpc.stream_unary_rpc_method_handler,
        }[method.client_streaming, method.server_streaming]
        run = self._stream if method.server_streaming else self._unary
        return make(
            lambda request, context: run(method, request, context),
            request_deserializer=GetMessageClass(method.input_type).FromString,
            response_serializer=GetMessageClass(method.output_type).SerializeToString,
        )

    def _receive(self, method: Any, request: Any, context: grpc.ServicerContext) -> Any:
        if method.client_streaming:
            request = list(request)
        metadata = {str(k): str(v) for k, v in context.invocation_metadata()}
        left = context.time_remaining() or float("inf")
        with self._script.lock:
            self._script.received.append(
                Received(method.name, request, metadata, context.peer(), left)
            )
        answer = self._script.next_answer(method.name)
        return answer(request) if callable(answer) else answer

    def _unary(self, method: Any, request: Any, context: grpc.ServicerContext) -> Any:
        answer = self._receive(method, request, context)
        _raise(answer, context)
        return answer

    def _stream(self, method: Any, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        answer = self._receive(method, request, context)
        for reply in answer if isinstance(answer, list) else [answer]:
            _raise(reply, context)
            yield reply


def _raise(answer: Any, context: grpc.ServicerContext) -> None:
    if isinstance(answer, ServiceError):
        context.abort_with_status(to_grpc(answer))
    if isinstance(answer, grpc.StatusCode):
        context.abort(answer, "scripted")


@contextmanager
def serving(script: Script, credentials: Any = None) -> Iterator[str]:
    """The address of a server that answers by the script."""
    server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((_Handler(script),))
    if credentials is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(grace=None).wait()

"""A failed call as the exception that recsvc/errors.py has for its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc import status_pb2

from recsvc.convert.status import from_status
from recsvc.errors import (
    ConcurrentUpdateError,
    DeadlineExceededError,
    DeniedError,
    InternalError,
    InvalidRequestError,
    NotFoundError,
    OverloadedError,
    PreconditionError,
    ServiceError,
    UnauthenticatedError,
    UnavailableError,
)

_DETAILS_KEY = "grpc-status-details-bin"
_BY_STATUS: dict[str, type[ServiceError]] = {
    "INVALID_ARGUMENT": InvalidRequestError,
    "OUT_OF_RANGE": InvalidRequestError,
    "NOT_FOUND": NotFoundError,
    "FAILED_PRECONDITION": PreconditionError,
    "PERMISSION_DENIED": DeniedError,
    "UNAUTHENTICATED": UnauthenticatedError,
    "UNAVAILABLE": UnavailableError,
    "RESOURCE_EXHAUSTED": OverloadedError,
    "ABORTED": ConcurrentUpdateError,
    "DEADLINE_EXCEEDED": DeadlineExceededError,
}
_HINTS = {
    "UNAVAILABLE": "is the service running there (recsvc serve), and do both sides agree on TLS?",
    "DEADLINE_EXCEEDED": "no answer in time; allow more, with within() or --timeout",
    "UNIMPLEMENTED": "the service there does not know this method; is it recsvc, and new enough?",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """What a failed call comes to.

    `retry_after_seconds` is what the service asks for (RetryInfo), 0 when the connection itself
    failed and any moment is as good as another, None when trying again does not help.
    """

    error: ServiceError
    retry_after_seconds: float | None


def fault_of(failure: grpc.RpcError, address: str) -> Fault:
    """Reads the status and the details of a failed call.

    A reason that this release does not know, or none (the failure is the transport's), becomes the
    class of its gRPC status.
    """
    code: str = failure.code().name
    text: str = failure.details() or ""
    error = from_status(_rich_status(failure))
    if error is not None:
        return Fault(error, error.retry_after_seconds)
    kind = _BY_STATUS.get(code, InternalError)
    # gRPC puts the cause last: "failed to connect …; last error: …: Connection refused".
    message = f"{address}: {code.lower().replace('_', ' ')} ({text.rpartition(': ')[2]})"
    if code in _HINTS:
        message += f"; {_HINTS[code]}"
    if code == "UNAVAILABLE":
        return Fault(kind(message, retry_after_seconds=0.0), 0.0)
    return Fault(kind(message), None)


def _rich_status(failure: grpc.RpcError) -> status_pb2.Status:
    status = status_pb2.Status()
    metadata: Any = failure.trailing_metadata()
    for key, value in metadata or ():
        if key == _DETAILS_KEY:
            try:
                status.ParseFromString(value)
            except DecodeError:
                return status_pb2.Status()
    return status

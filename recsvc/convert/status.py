"""Errors <-> `google.rpc.Status`: ErrorInfo always, BadRequest, ResourceInfo, RetryInfo as it fits.

Every exception becomes one status; what is not a ServiceError or a store's refusal is INTERNAL and
says nothing about itself but the id under which it was logged.
"""

from __future__ import annotations

from collections.abc import Mapping

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from recsvc.errors import (
    ERROR_DOMAIN,
    BundleError,
    ConcurrentUpdateError,
    InternalError,
    InvalidPageTokenError,
    InvalidRevisionError,
    ModelUnusableError,
    ServiceError,
    StoreUnavailableError,
    service_errors,
)
from recsvc.store.revision import RevisionError
from recsvc.store.types import PageTokenError, StaleWriteError, StoreUnavailable

_MAX_TEXT_BYTES = 600
"""Longer texts are cut: all of it has to fit into headers of 8 KB, some of it three times."""

_CODES = {code.name: code.value[0] for code in grpc.StatusCode}
_NAMES = {number: name for name, number in _CODES.items()}


def service_error(error: BaseException) -> ServiceError | None:
    """What a caller is told of an exception; None for a fault of the service itself."""
    match error:
        case ServiceError():
            return error
        case StoreUnavailable():
            return StoreUnavailableError(
                "the store does not answer; nothing was acknowledged, send it again",
                retry_after_seconds=error.retry_after_seconds,
            )
        case StaleWriteError():
            return ConcurrentUpdateError(str(error))
        case RevisionError():
            return InvalidRevisionError(str(error), field="min_revision")
        case PageTokenError():
            return InvalidPageTokenError(str(error), field="page_token")
        case BundleError():
            return ModelUnusableError(str(error))
    return None


def internal_error(log_id: str) -> InternalError:
    """What a caller is told of a fault."""
    return InternalError(
        f"a fault in the service; report log_id {log_id} to its operators",
        metadata={"log_id": log_id},
    )


def to_status(error: ServiceError) -> status_pb2.Status:
    """The status with its details."""
    message, resource = _cut(error.message), _cut(error.resource)
    status = status_pb2.Status(code=_CODES[error.status], message=message)
    details: list[
        error_details_pb2.ErrorInfo
        | error_details_pb2.BadRequest
        | error_details_pb2.ResourceInfo
        | error_details_pb2.RetryInfo
    ] = [
        error_details_pb2.ErrorInfo(
            reason=error.reason, domain=ERROR_DOMAIN, metadata=error.metadata
        )
    ]
    if error.field:
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=_cut(error.field), description=message, reason=error.reason
        )
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if resource:
        kind = resource.split("/")[-2] if "/" in resource else ""
        details.append(
            error_details_pb2.ResourceInfo(
                resource_type=kind, resource_name=resource, description=message
            )
        )
    if error.retry_after_seconds is not None:
        delay = Duration(nanos=0)
        delay.FromNanoseconds(round(error.retry_after_seconds * 1e9))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    for detail in details:
        status.details.add().Pack(detail)
    return status


def _cut(text: str) -> str:
    data = text.encode()
    return (
        text if len(data) <= _MAX_TEXT_BYTES else data[:_MAX_TEXT_BYTES].decode("utf-8", "ignore")
    )


def to_grpc(error: ServiceError) -> grpc.Status:
    """The status as gRPC ends a call with it."""
    return rpc_status.to_status(to_status(error))


def from_status(status: status_pb2.Status) -> ServiceError | None:
    """The error that a status of this service stands for; None when it is not one of ours."""
    info = error_details_pb2.ErrorInfo()
    bad = error_details_pb2.BadRequest()
    resource = error_details_pb2.ResourceInfo()
    retry = error_details_pb2.RetryInfo()
    for detail in status.details:
        for message in (info, bad, resource, retry):
            if detail.Is(message.DESCRIPTOR):
                detail.Unpack(message)
    kind = service_errors().get(info.reason) if info.domain == ERROR_DOMAIN else None
    if kind is None:
        return None
    metadata: Mapping[str, str] = info.metadata
    seconds = retry.retry_delay.ToNanoseconds() / 1e9 if retry.HasField("retry_delay") else None
    return kind(
        status.message,
        field=bad.field_violations[0].field if bad.field_violations else "",
        resource=resource.resource_name,
        metadata=metadata,
        retry_after_seconds=seconds,
    )


def status_name(code: int) -> str:
    """The gRPC status' name of a number (UNKNOWN when it is none)."""
    return _NAMES.get(code, "UNKNOWN")

"""The calls of ModelService, and the service's health."""

from __future__ import annotations

from grpc_health.v1 import health_pb2

from recsvc.client.calls import Call, Caller, Pages, id_of
from recsvc.client.model_types import (
    Durability,
    GateCheck,
    Model,
    ModelMetric,
    Worker,
    WorkerList,
)
from recsvc.client.replies import enum_name, optional, time_us
from recsvc.v1 import model_pb2 as pb

PAGE_SIZE = 100


def list_models(caller: Caller) -> Pages[Model]:
    """The models in the models folder, newest first, damaged ones with their `problem`."""
    request = pb.ListModelsRequest(parent=caller.parent, page_size=PAGE_SIZE)
    return Pages(
        "ListModels",
        request,
        lambda reply: [_model(model) for model in reply.models],
        caller.timeouts.read_seconds,
    )


def get_model(caller: Caller, model_id: str) -> Call[Model]:
    """What a model was trained on and how good it was. Raises UnknownModelError."""
    request = pb.GetModelRequest(name=caller.name("models", model_id))
    return Call(
        "GetModel", request, lambda reply: _model(reply.model), caller.timeouts.read_seconds
    )


def activate_model(caller: Caller, model_id: str, *, reason: str = "") -> Call[Model]:
    """Puts a model in force; what this client reads next is answered by it.

    Raises UnknownModelError, ModelUnusableError.
    """
    request = pb.ActivateModelRequest(name=caller.name("models", model_id), reason=reason)
    return Call(
        "ActivateModel", request, lambda reply: _model(reply.model), caller.timeouts.switch_seconds
    )


def rollback_model(caller: Caller, *, reason: str = "") -> Call[Model]:
    """Puts the model back that was in force before. Raises NoPreviousModelError.

    Doing it twice goes back two steps: unlike every other call it is not tried again once it may
    have arrived.
    """
    request = pb.RollbackModelRequest(parent=caller.parent, reason=reason)
    return Call(
        "RollbackModel",
        request,
        lambda reply: _model(reply.model),
        caller.timeouts.switch_seconds,
        idempotent=False,
    )


def list_workers(caller: Caller) -> Call[WorkerList]:
    """What each worker serves right now, and how safe the store is."""
    request = pb.ListWorkersRequest(parent=caller.parent)
    return Call("ListWorkers", request, _workers, caller.timeouts.read_seconds)


def is_serving(caller: Caller) -> Call[bool]:
    """Whether the service answers and has a model in force (standard gRPC health)."""
    serving = health_pb2.HealthCheckResponse.SERVING
    return Call(
        "Check",
        health_pb2.HealthCheckRequest(),
        lambda reply: bool(reply.status == serving),
        caller.timeouts.read_seconds,
    )


def _model(message: pb.Model) -> Model:
    return Model(
        model_id=id_of(message.name),
        state=enum_name(pb.ModelState, message.state),
        problem=message.problem,
        create_time_us=time_us(message.create_time),
        format_version=message.format_version,
        training_start_time_us=time_us(message.training_start_time),
        training_end_time_us=time_us(message.training_end_time),
        trained_revision=message.trained_revision,
        config_hash=message.config_hash,
        feature_version=message.feature_version,
        embeddings=tuple(message.embeddings),
        calibrated=message.calibrated,
        member_count=message.member_count,
        lead_count=message.lead_count,
        event_count=message.event_count,
        metrics=tuple(
            ModelMetric(m.metric, m.cohort, m.value, m.interval_low, m.interval_high, m.count)
            for m in message.metrics
        ),
        checks=tuple(GateCheck(c.check, c.passed, c.detail) for c in message.checks),
    )


def _workers(reply: pb.ListWorkersResponse) -> WorkerList:
    found = reply.durability
    return WorkerList(
        tuple(_worker(message) for message in reply.workers),
        Durability(
            server=found.server,
            durable=found.durable,
            append_only=optional(found, "append_only"),
            append_fsync=found.append_fsync,
            loses=found.loses,
            warnings=tuple(found.warnings),
        ),
    )


def _worker(message: pb.WorkerStatus) -> Worker:
    return Worker(
        worker_id=message.worker,
        serving=message.serving,
        model_id=id_of(message.model),
        revision=message.revision,
        start_time_us=time_us(message.start_time),
        report_time_us=time_us(message.report_time),
        host=message.host,
        process_id=message.process_id,
        problem=message.problem,
    )

"""Models, workers and the store's durability as messages."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from recsvc.convert import names, values
from recsvc.model.manifest import Quality
from recsvc.model.registry import ModelInfo
from recsvc.store.types import Durability, WorkerStatus
from recsvc.v1 import model_pb2 as pb

COLLECTION = "models"


def model_to_proto(info: ModelInfo, tenant: str, active_id: str) -> pb.Model:
    """The message; `active_id` is the model in force ("" for none)."""
    name = names.format_name(tenant, COLLECTION, info.model_id)
    state = pb.MODEL_STATE_ACTIVE if info.model_id == active_id else pb.MODEL_STATE_AVAILABLE
    if info.manifest is None:
        return pb.Model(name=name, state=pb.MODEL_STATE_UNUSABLE, problem=info.problem)
    manifest, quality = info.manifest, info.manifest.quality
    begin, end = manifest.training_window
    return pb.Model(
        name=name,
        state=state,
        create_time=_time(manifest.create_time),
        format_version=manifest.format_version,
        training_start_time=_time(begin),
        training_end_time=_time(end),
        trained_revision=manifest.revision,
        config_hash=manifest.config_hash,
        feature_version=manifest.feature_space_version,
        embeddings=manifest.embedding.split("+") if manifest.embedding else [],
        calibrated=quality.calibrated,
        member_count=manifest.member_count,
        lead_count=manifest.lead_count,
        event_count=manifest.event_count,
        metrics=[*_metrics(quality)],
        checks=[
            pb.GateCheck(check=c.name, passed=c.passed, detail=c.detail) for c in quality.checks
        ],
    )


def _metrics(quality: Quality) -> Iterator[pb.ModelMetric]:
    """The measured figures, first the one that the gate compares."""
    for figure in sorted(quality.figures, key=lambda f: f.name != quality.primary):
        if figure.value is not None:
            yield pb.ModelMetric(
                metric=figure.name,
                cohort=figure.cohort,
                value=figure.value,
                interval_low=_or_nan(figure.low),
                interval_high=_or_nan(figure.high),
                count=figure.count,
            )


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _time(text: str) -> Timestamp | None:
    """An RFC 3339 time; None for "" and for what is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(found if found.tzinfo else found.replace(tzinfo=UTC))
    return stamp


def worker_to_proto(status: WorkerStatus, tenant: str) -> pb.WorkerStatus:
    """The message."""
    return pb.WorkerStatus(
        worker=status.worker_id,
        serving=status.serving,
        model=names.format_name(tenant, COLLECTION, status.model_version),
        revision=status.revision,
        start_time=values.timestamp(status.start_time_us),
        report_time=values.timestamp(status.report_time_us),
        host=status.host,
        process_id=status.process_id,
        problem=status.message,
    )


def durability_to_proto(durability: Durability) -> pb.StoreDurability:
    """The message."""
    return pb.StoreDurability(
        server=durability.server,
        durable=durability.durable,
        append_only=durability.append_only,
        append_fsync=durability.append_fsync,
        loses=durability.loses,
        warnings=durability.warnings,
    )

"""Models, workers and the store's durability as messages."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from recsvc.convert import names, values
from recsvc.model.bundle import Manifest
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
    manifest = info.manifest
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
        embeddings=[str(e) for e in _list(manifest, "embeddings")],
        calibrated=manifest.metrics.get("calibrated") is True,
        member_count=manifest.member_count,
        lead_count=manifest.lead_count,
        event_count=manifest.event_count,
        metrics=[*_metrics(manifest)],
        checks=[
            pb.GateCheck(
                check=str(c.get("check", "")),
                passed=c.get("passed") is True,
                detail=str(c.get("detail", "")),
            )
            for c in _list(manifest, "checks")
            if isinstance(c, Mapping)
        ],
    )


def _metrics(manifest: Manifest) -> Iterator[pb.ModelMetric]:
    """`metrics: [{metric, cohort, value, interval_low, interval_high}]`, and plain figures."""
    for name, value in manifest.metrics.items():
        if _is_number(value):
            yield pb.ModelMetric(
                metric=name,
                cohort="all",
                value=value,
                interval_low=math.nan,
                interval_high=math.nan,
            )
    for row in _list(manifest, "metrics"):
        if isinstance(row, Mapping) and _is_number(row.get("value")):
            yield pb.ModelMetric(
                metric=str(row.get("metric", "")),
                cohort=str(row.get("cohort", "all")),
                value=row["value"],
                interval_low=_number(row.get("interval_low")),
                interval_high=_number(row.get("interval_high")),
            )


def _list(manifest: Manifest, key: str) -> list[Any]:
    found = manifest.metrics.get(key)
    return found if isinstance(found, list) else []


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


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

"""What the client tells about models, workers and the store."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModelMetric:
    """A figure of the evaluation; the ends of its 95 % interval are NaN when there is none.

    `count` says on how many pairs, members or leads it was measured.
    """

    metric: str
    cohort: str
    value: float
    interval_low: float
    interval_high: float
    count: int = 0


@dataclass(frozen=True, slots=True)
class GateCheck:
    """A condition that decided about publishing."""

    check: str
    passed: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Model:
    """A trained model: one bundle. Times are microseconds since the epoch, 0 when unknown."""

    model_id: str
    state: str  # ACTIVE, AVAILABLE, UNUSABLE
    problem: str
    create_time_us: int
    format_version: int
    training_start_time_us: int
    training_end_time_us: int
    trained_revision: str
    config_hash: str
    feature_version: str
    embeddings: tuple[str, ...]
    calibrated: bool
    member_count: int
    lead_count: int
    event_count: int
    metrics: tuple[ModelMetric, ...]  # first the one that the gate compares
    checks: tuple[GateCheck, ...]


@dataclass(frozen=True, slots=True)
class Worker:
    """One worker process; `problem` says why it does not serve the active model."""

    worker_id: str
    serving: bool
    model_id: str
    revision: str
    start_time_us: int
    report_time_us: int
    host: str
    process_id: int
    problem: str


@dataclass(frozen=True, slots=True)
class Durability:
    """What the store promises about acknowledged writes when a machine loses power."""

    server: str
    durable: bool
    append_only: bool | None
    append_fsync: str
    loses: str
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WorkerList:
    """All workers that report, and how safe the store is."""

    workers: tuple[Worker, ...]
    durability: Durability

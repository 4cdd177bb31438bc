"""Prometheus metrics: per method, per stage, per filter, and what the workers are doing.

Several workers share one exposition: each process writes its numbers into files of
PROMETHEUS_MULTIPROC_DIR (prometheus_client's multiprocess mode), the supervisor adds them up and
serves them on one port. Without that variable the numbers stay in the process.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    start_http_server,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from recsvc.errors import ConfigError

if TYPE_CHECKING:  # the supervisor serves metrics without loading the pipeline
    from recsvc.model.verdicts import Verdict

_CALL_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_STAGE_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5)


class Metrics:
    """The numbers of one process; also what the pipeline tells its stages to (StageObserver)."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._calls = Counter(
            "recsvc_calls",
            "Calls that ended, by method and by status and reason (OK: none)",
            ("method", "status", "reason"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "recsvc_call_seconds",
            "Time from the first byte of a call to its end",
            ("method",),
            buckets=_CALL_SECONDS,
            registry=self.registry,
        )
        self._in_flight = Gauge(
            "recsvc_calls_in_flight",
            "Calls that have arrived and not ended",
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        self._stages = Histogram(
            "recsvc_stage_seconds",
            "Time a stage of the pipeline took",
            ("stage",),
            buckets=_STAGE_SECONDS,
            registry=self.registry,
        )
        self._removed = Counter(
            "recsvc_removed",
            "Candidates that a filter took out",
            ("filter",),
            registry=self.registry,
        )
        self._changes = Counter(
            "recsvc_changes_applied",
            "Entries of the change stream taken into memory",
            ("tenant", "kind"),
            registry=self.registry,
        )
        self._store_errors = Counter(
            "recsvc_store_errors",
            "Times the store did not answer a worker",
            ("tenant",),
            registry=self.registry,
        )
        self._swaps = Counter(
            "recsvc_model_swaps",
            "Models taken into service (swapped) or refused (refused)",
            ("tenant", "outcome"),
            registry=self.registry,
        )
        self._serving = Gauge(
            "recsvc_workers_serving",
            "Workers that serve this model",
            ("tenant", "model"),
            registry=self.registry,
            multiprocess_mode="livesum",
        )
        # A label look-up costs as much as a stage: each child is looked up once.
        self._stage_children: dict[str, Histogram] = {}
        self._removed_children: dict[Verdict, Counter] = {}
        self._call_children: dict[tuple[str, str, str], tuple[Counter, Histogram]] = {}

    def stage(self, name: str, seconds: float) -> None:
        """One run of a stage."""
        child = self._stage_children.get(name)
        if child is None:
            child = self._stage_children[name] = self._stages.labels(name)
        child.observe(seconds)

    def removed(self, verdict: Verdict, count: int) -> None:
        """What a filter took out of one list."""
        child = self._removed_children.get(verdict)
        if child is None:
            child = self._removed_children[verdict] = self._removed.labels(verdict.name.lower())
        child.inc(count)

    def call(self, method: str, status: str, reason: str, seconds: float) -> None:
        """One call that ended."""
        key = method, status, reason
        children = self._call_children.get(key)
        if children is None:
            children = self._calls.labels(*key), self._seconds.labels(method)
            self._call_children[key] = children
        children[0].inc()
        children[1].observe(seconds)

    def in_flight(self, count: int) -> None:
        """Calls in the process now."""
        self._in_flight.set(count)

    def changes_applied(self, tenant: str, kind: str, count: int) -> None:
        """Entries of the change stream that were taken in."""
        self._changes.labels(tenant, kind).inc(count)

    def store_failed(self, tenant: str) -> None:
        """The store did not answer."""
        self._store_errors.labels(tenant).inc()

    def model_swapped(self, tenant: str, old: str, new: str) -> None:
        """A model took over; either id may be empty."""
        self._swaps.labels(tenant, "swapped").inc()
        if old:
            self._serving.labels(tenant, old).set(0)
        if new:
            self._serving.labels(tenant, new).set(1)

    def model_refused(self, tenant: str) -> None:
        """A bundle could not be used."""
        self._swaps.labels(tenant, "refused").inc()

    def text(self) -> str:
        """The exposition of this process alone."""
        return generate_latest(self.registry).decode()


def serve_merged(folder: Path, host: str, port: int) -> tuple[int, Callable[[], None]]:
    """Serves the numbers of all processes that write to `folder`; (port, how to stop).

    Raises ConfigError when the port is taken.
    """
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call]
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise ConfigError(
            f"metrics cannot be served on {host}:{port} ({error.strerror}): choose another "
            "metrics.port, or switch metrics.enabled off"
        ) from error

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return int(server.server_address[1]), stop


def forget_process(folder: Path, process_id: int) -> None:
    """Takes the gauges of a process that has ended out of the exposition."""
    mark_process_dead(process_id, str(folder))  # type: ignore[no-untyped-call]


def clear_folder(folder: Path) -> None:
    """An empty folder for a new run's numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.db"):
        path.unlink(missing_ok=True)

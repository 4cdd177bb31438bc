"""Prometheus metrics: per method, per stage, per filter, and what the workers are doing.

These are the numbers of one process; `recsvc.serving.metrics_merged` has those of several.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from operator import sub

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from recsvc.model.verdicts import Verdict
from recsvc.serving.metrics_gathered import BatchHistogram, Counted, Observed

_CALL_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_STAGE_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5)


class Metrics:
    """The numbers of one process; also what the pipeline tells its stages to (StageObserver).

    What every call adds to is gathered in plain numbers first: in the files that processes share
    each number costs a system's worth of packing and locking. `flush` adds them up; the guard does
    so a few times a second, and whoever reads the numbers here does, too.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._calls = Counter(
            "recsvc_calls",
            "Calls that ended, by method and by status and reason (OK: none)",
            ("method", "status", "reason"),
            registry=self.registry,
        )
        self._seconds = BatchHistogram(
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
        self._stages = BatchHistogram(
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
        self._moments: dict[tuple[str, ...], list[Sequence[float]]] = {}
        self._took: list[Mapping[Verdict, int]] = []
        self._stage_seconds: dict[str, Observed] = {}
        self._removed_counts: dict[Verdict, Counted] = {}
        self._ended: dict[tuple[str, str, str], Counted] = {}
        self._call_seconds: dict[str, Observed] = {}
        self._at_hand = 0

    def ran(
        self, stages: tuple[str, ...], moments: Sequence[float], removed: Mapping[Verdict, int]
    ) -> None:
        """An answer; see `StageObserver`."""
        self._moments.setdefault(stages, []).append(moments)
        self._took.append(removed)

    def call(self, method: str, status: str, reason: str, seconds: float, count: int = 1) -> None:
        """One call that ended, or so many alike."""
        key = method, status, reason
        counted = self._ended.get(key)
        if counted is None:
            counted = self._ended[key] = Counted(self._calls.labels(*key))
            if method not in self._call_seconds:
                observed = Observed(self._seconds.labels(method), _CALL_SECONDS)
                self._call_seconds[method] = observed
        counted.count += count
        self._call_seconds[method].waiting.extend((seconds,) * count)

    def in_flight(self, count: int) -> None:
        """Calls in the process now."""
        self._at_hand = count

    def flush(self) -> None:
        """Adds what was gathered to the numbers that are shown."""
        self._in_flight.set(self._at_hand)
        self._gather()
        for observed in (*self._stage_seconds.values(), *self._call_seconds.values()):
            observed.flush()
        for counted in (*self._removed_counts.values(), *self._ended.values()):
            counted.flush()

    def _gather(self) -> None:
        """Adds up what answers took, stage by stage and filter by filter."""
        for stages, moments in self._moments.items():
            columns = zip(*moments, strict=True)
            for stage, (begins, ends) in zip(stages, pairwise(columns), strict=True):
                self._stage(stage).waiting.extend(map(sub, ends, begins))
        took: dict[Verdict, int] = defaultdict(int)
        for removed in self._took:
            for verdict, count in removed.items():
                took[verdict] += count
        for verdict, count in took.items():
            self._filter(verdict).count += count
        self._moments.clear()
        self._took.clear()

    def _stage(self, name: str) -> Observed:
        found = self._stage_seconds.get(name)
        if found is None:
            found = Observed(self._stages.labels(name), _STAGE_SECONDS)
            self._stage_seconds[name] = found
        return found

    def _filter(self, verdict: Verdict) -> Counted:
        found = self._removed_counts.get(verdict)
        if found is None:
            found = Counted(self._removed.labels(verdict.name.lower()))
            self._removed_counts[verdict] = found
        return found

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
        self.flush()
        return generate_latest(self.registry).decode()

"""Under load: near the peak for long, and with a worker that dies."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.hotpath.asking import Asker, sample
from benchmarks.hotpath.children import service
from benchmarks.hotpath.memory import MIB, memory_of, workers_of
from benchmarks.hotpath.open_loop import Fate, Outcome, open_loop
from benchmarks.hotpath.rounds import closed_loop
from benchmarks.hotpath.worlds import SEED, TENANT, Step
from benchmarks.musts import Figure
from benchmarks.serving import ServiceProcess
from features.entities import Event, EventKind
from recsvc.client import AsyncClient
from recsvc.errors import ServiceError
from recsvc.model.registry import ModelRegistry
from recsvc.serving.collector import leave_to_reference_counts

_PEAK_CALLERS = 16
_PEAK_SECONDS = 15.0
"""Of a few seconds, two differ by a fifth."""
_SHARE = 0.8
_WRITES_PER_SECOND = 20.0
_CALLERS_WHEN_KILLED = 8
_CONNECTIONS = 8
_PROBE_SECONDS = 0.02


class Ids:
    """Whom to ask about."""

    def __init__(self, models: Path) -> None:
        registry = ModelRegistry(models)
        bundle = registry.load(registry.published() or "")
        self.everybody = bundle.member_ids.ids
        self.members = sample(self.everybody, 5_000, SEED)
        self.leads = sample(bundle.lead_ids.ids, 5_000, SEED)


async def measure_load(
    models: Path, folder: Path, seconds: float, step: Step, series: dict[str, Any]
) -> list[Figure]:
    """At 80 % of the peak, with events written beside both: errors, memory, latencies over time."""
    ids = Ids(models)
    # A million outcomes are a heap that a collector takes a quarter of a second to look through:
    # the calls of that time would come all at once.
    leave_to_reference_counts()
    async with service(folder / "service", models) as (process, address):
        asker = Asker(address, ids.members, ids.leads)
        first = min(_PEAK_SECONDS, seconds)
        closed, _ = await asyncio.gather(
            closed_loop(asker.recommend, _PEAK_CALLERS, first),
            Beside(process, address, ids, first).run(),
        )
        peak = closed.per_second
        step(f"{seconds:.0f} s at {_SHARE * peak:,.0f} calls/s, with writes")
        beside = Beside(process, address, ids, seconds)
        outcomes, _ = await asyncio.gather(
            open_loop(asker.recommend, _SHARE * peak, seconds, SEED), beside.run()
        )
        await asker.close()
    wrong = [o for o in outcomes if o.fate is not Fate.GOOD]
    tenths = p99_by_part(outcomes, seconds, 10)
    series["load"] = {"p99_ms_by_tenth": tenths, "private_mib": beside.private_mib}
    sizes = beside.private_mib
    settled = sizes[len(sizes) // 10]
    note = (
        f"{len(outcomes):,} calls at {_SHARE * peak:,.0f}/s, {beside.written:,} events; p99 "
        f"{tenths[1]:.1f} ms in the second tenth, {tenths[-1]:.1f} ms in the last"
    )
    errors = len(wrong) + len(beside.failed)
    said = "; ".join(sorted({o.text for o in wrong} | set(beside.failed))[:3])
    return [
        Figure("load_errors", errors, "", note=f"{note} {said}".strip()),
        Figure(
            "load_memory_growth",
            sizes[-1] / settled,
            "×",
            note=f"{settled:,.0f} MiB after a tenth, {sizes[-1]:,.0f} MiB at the end",
        ),
        Figure("load_p99_drift", tenths[-1] / tenths[1], "×", note="last tenth / second"),
    ]


class Beside:
    """Writes events and looks at the worker's memory while others ask."""

    def __init__(self, process: ServiceProcess, address: str, ids: Ids, seconds: float) -> None:
        self.private_mib: list[float] = []
        self.failed: list[str] = []
        self.written = 0
        self._process, self._address, self._ids = process, address, ids
        self._seconds = seconds

    async def run(self) -> None:
        """Until the time is over."""
        end = time.monotonic() + self._seconds
        (worker,) = workers_of(self._process)
        next_look = 0.0
        rng = np.random.default_rng(SEED)
        async with AsyncClient(self._address, tenant=TENANT) as client:
            while (now := time.monotonic()) < end:
                if now >= next_look:
                    self.private_mib.append(memory_of(worker).private / MIB)
                    next_look = now + self._seconds / 60
                await self._write(client, rng)
                await asyncio.sleep(rng.exponential(1 / _WRITES_PER_SECOND))
        self.private_mib.append(memory_of(worker).private / MIB)

    async def _write(self, client: AsyncClient, rng: np.random.Generator) -> None:
        kind = (EventKind.OPENED, EventKind.SUPPORTED, EventKind.SHOWN)[int(rng.integers(3))]
        everybody, leads = self._ids.everybody, self._ids.leads
        member, lead = (x[int(rng.integers(len(x)))] for x in (everybody, leads))
        try:
            await client.record([Event(kind, time.time_ns() // 1_000, member, lead)])
            self.written += 1
        except ServiceError as error:
            self.failed.append(str(error))


def p99_by_part(outcomes: Sequence[Outcome], seconds: float, parts: int) -> list[float]:
    """p99 in milliseconds of the calls that began in each part of the time; NaN without any."""
    found = []
    for part in range(parts):
        low, high = part * seconds / parts, (part + 1) * seconds / parts
        took = [o.seconds for o in outcomes if low <= o.begin < high]
        found.append(float(np.percentile(took, 99)) * 1_000 if took else float("nan"))
    return found


async def measure_kill(models: Path, folder: Path, seconds: float, step: Step) -> list[Figure]:
    """One of two workers gets SIGKILL while clients with the shipped retry policy ask."""
    ids = Ids(models)
    errors: list[str] = []
    async with (
        service(folder / "service", models, 2) as (process, address),
        AsyncClient(address, tenant=TENANT, connections=_CONNECTIONS) as client,
    ):
        turn = 0

        async def ask() -> int:
            nonlocal turn
            turn += 1
            try:
                await client.recommend(ids.members[turn % len(ids.members)])
            except ServiceError as error:
                errors.append(str(error))
            return 1

        step(f"{seconds:.0f} s with two workers, one of them killed")
        asking = asyncio.create_task(closed_loop(ask, _CALLERS_WHEN_KILLED, seconds))
        await asyncio.sleep(seconds / 3)
        victim = workers_of(process)[0]
        os.kill(victim, signal.SIGKILL)
        begin = time.perf_counter()
        while len(set(workers_of(process)) - {victim}) < 2:
            await asyncio.sleep(_PROBE_SECONDS)
        again = time.perf_counter() - begin
        found = await asking
    note = (
        f"{found.answers:,} calls, slowest {found.percentile_ms(100):,.0f} ms; another worker "
        f"started after {again:.2f} s; {'; '.join(errors[:2])}"
    )
    return [Figure("kill_errors", len(errors), "", note=note)]

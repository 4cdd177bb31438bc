"""Far above the peak: what is refused and how, and how soon callers are answered as before.

The storm comes from one process and connection; beside it somebody else, with a connection of their
own, keeps asking one call after the other, during the storm and after its last call was sent.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.hotpath.asking import Asker, sample
from benchmarks.hotpath.children import service
from benchmarks.hotpath.open_loop import Fate, Outcome, outcome_of
from benchmarks.hotpath.rounds import Round, closed_loop
from benchmarks.hotpath.storm import READY, Storm
from benchmarks.hotpath.worlds import SEED, Step
from benchmarks.musts import Figure
from benchmarks.serving import ServingError
from recsvc.children import ending_with_parent
from recsvc.client.options import Timeouts
from recsvc.model.registry import ModelRegistry

_PEAK_CALLERS = 16
_PEAK_SECONDS = 3.0
_CALM_SECONDS = 4.0
_OVERLOAD = (3.0, 6.0, 12.0)
"""Times the peak; the next where nothing had to be shed, because the peak was not one."""

_MILD = 1.5
"""Times the peak: what is above the peak should be refused, and not much more."""

_WINDOW_SECONDS = 1.0
_PROBE_SECONDS = 0.005
_GIVE_UP_SECONDS = 30.0
_SLOWER = 2.0


async def measure_overload(models: Path, folder: Path, seconds: float, step: Step) -> list[Figure]:
    """Three times the peak for a while, then how soon calls are answered as before."""
    registry = ModelRegistry(models)
    members = sample(registry.load(registry.published() or "").member_ids.ids, 5_000, SEED)
    file = folder / "members"
    file.write_text("\n".join(members), "utf-8")
    async with service(folder / "service", models) as (_, address):
        asker = Asker(address, members, [], Timeouts().read_seconds)
        peak = await closed_loop(asker.recommend, _PEAK_CALLERS, _PEAK_SECONDS)
        calm_p99_seconds = await _calm_p99_seconds(asker)

        async def beside(times: float) -> Beside:
            rate = times * peak.per_second
            step(f"{seconds:.0f} s at {rate:,.0f} calls/s")
            async with _storming(address, rate, seconds, file) as storming:
                return await _beside(asker, storming, _SLOWER * calm_p99_seconds)

        mild = await beside(_MILD)
        for times in _OVERLOAD:
            full = await beside(times)
            if full.storm.count(Fate.SHED):
                break
        await asker.close()
    figures = full.figures(times, peak, calm_p99_seconds)
    return [*figures, _mild_goodput(mild.storm, peak)]


class Beside:
    """What somebody else saw of a storm. `outcomes` begin in seconds of `time.perf_counter`, which
    is `time.monotonic` where there is /proc.
    """

    def __init__(self, storm: Storm, outcomes: Sequence[Outcome], fast_seconds: float) -> None:
        self.storm = storm
        self.outcomes = outcomes
        self.fast_seconds = fast_seconds

    def figures(self, times: float, peak: Round, calm_p99_seconds: float) -> list[Figure]:
        """The rows."""
        storm, calm_ms = self.storm, 1_000 * calm_p99_seconds
        others = sum(o.fate in (Fate.WRONG, Fate.LATE) for o in self.outcomes)
        unexpected = storm.count(Fate.WRONG) + storm.count(Fate.LATE) + others
        good = storm.count(Fate.GOOD)
        note = (
            f"{storm.calls:,} calls in {storm.seconds:.1f} s, {storm.calls / storm.seconds:,.0f}/s "
            f"(meant: {times:.0f} x the peak of {peak.per_second:,.0f}/s): {good:,} good, "
            f"{storm.count(Fate.SHED):,} shed; {'; '.join(storm.texts)}"
        )
        recovery = recovery_seconds(self.outcomes, storm.sent_at, self.fast_seconds)
        told = (
            f"until p99 of a second is at most {_SLOWER:g} x {calm_ms:.1f} ms, that of before; the "
            f"storm's own last answer came {storm.ended_seconds:.2f} s after its last call"
        )
        good_note = f"p50 {storm.good_p50_ms:.0f} ms; {good / storm.seconds:,.0f} good calls/s"
        return [
            Figure("overload_unexpected", unexpected, "", note=note.strip("; ")),
            Figure("overload_recovery_seconds", recovery, "s", note=told),
            Figure("overload_good_p99_ms", storm.good_p99_ms, "ms", note=good_note),
            Figure("overload_goodput", good / storm.seconds / peak.per_second, "of the peak"),
        ]


def _mild_goodput(storm: Storm, peak: Round) -> Figure:
    good = storm.count(Fate.GOOD) / storm.seconds
    note = (
        f"{_MILD} x the peak: p99 of good calls {storm.good_p99_ms:.0f} ms, "
        f"{storm.count(Fate.SHED):,} of {storm.calls:,} shed"
    )
    return Figure("overload_mild_goodput", good / peak.per_second, "of the peak", note=note)


def recovery_seconds(outcomes: Sequence[Outcome], end: float, fast_seconds: float) -> float:
    """Seconds after `end` from which on a second's calls have a p99 of at most `fast_seconds`, a
    call that was not answered counting as endless; infinite when there is no such second.
    """
    after = sorted((o for o in outcomes if o.begin >= end), key=lambda o: o.begin)
    begins = np.array([o.begin for o in after])
    took = np.array([o.seconds if o.fate is Fate.GOOD else np.inf for o in after])
    for first, begin in enumerate(begins):
        last = int(np.searchsorted(begins, begin + _WINDOW_SECONDS))
        if last == len(begins):
            break  # not a whole second
        slow = np.count_nonzero(took[first:last] > fast_seconds)
        if slow <= 0.01 * (last - first):
            return float(begin - end) if first else 0.0
    return float("inf")


async def _calm_p99_seconds(asker: Asker) -> float:
    """Of calls made as beside the storm."""
    begin = time.monotonic()
    took = []
    while time.monotonic() - begin < _CALM_SECONDS:
        took.append((await _probe(asker)).seconds)
    return float(np.percentile(took, 99))


async def _probe(asker: Asker) -> Outcome:
    """One call, and a pause; a caller that never paused would find the service's caches warm."""
    outcome = await outcome_of(asker.recommend, 0.0)
    await asyncio.sleep(_PROBE_SECONDS)
    return outcome


@asynccontextmanager
async def _storming(
    address: str, per_second: float, seconds: float, file: Path
) -> AsyncGenerator[asyncio.subprocess.Process, None]:
    """The process of a storm, told to begin."""
    told = (address, str(per_second), str(seconds), str(file))
    process = await asyncio.create_subprocess_exec(
        *ending_with_parent(sys.executable, "-m", "benchmarks.hotpath.storm", *told),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = (await process.stdout.readline()).decode().strip()
        if line != READY:
            raise ServingError(f"the storm did not begin: {line!r}")
        process.stdin.write(b"go\n")
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _beside(
    asker: Asker, storming: asyncio.subprocess.Process, fast_seconds: float
) -> Beside:
    """Asks until it is answered as before, or for too long."""
    assert storming.stdout is not None
    outcomes: list[Outcome] = []
    reading = asyncio.create_task(storming.stdout.readline())
    storm: Storm | None = None
    while True:
        if storm is None and reading.done():
            storm = msgspec.json.decode(reading.result(), type=Storm)
        now = time.monotonic()
        if storm is not None and now > storm.sent_at + 2 * _WINDOW_SECONDS:
            recovered = recovery_seconds(outcomes, storm.sent_at, fast_seconds)
            if np.isfinite(recovered) or now > storm.sent_at + _GIVE_UP_SECONDS:
                return Beside(storm, outcomes, fast_seconds)
        outcomes.append(await _probe(asker))

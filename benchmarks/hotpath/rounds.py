"""Interleaved rounds of closed loops: every contestant is measured in every round, in turn, so that
what else the machine does falls on all of them; a ratio is taken within a round.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Call = Callable[[], Awaitable[int]]
"""Makes one call; how many answers it brought (1, or the members of a batch)."""


@dataclass(frozen=True)
class Round:
    """One contestant in one round."""

    seconds: float
    answers: int
    latency_seconds: NDArray[np.float64]

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return self.answers / self.seconds

    def percentile_ms(self, percent: float) -> float:
        """Of the latencies, in milliseconds."""
        return float(np.percentile(self.latency_seconds, percent)) * 1_000


@dataclass(frozen=True)
class Spread:
    """The median of rounds, the smallest and the largest."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        """Of at least one value."""
        return cls(statistics.median(values), min(values), max(values))

    @property
    def ends(self) -> tuple[float, float]:
        """Smallest and largest."""
        return self.lowest, self.highest


@dataclass
class Rounds:
    """What was found: contestant -> its rounds, in order."""

    found: dict[str, list[Round]] = field(default_factory=dict)

    def per_second(self, name: str) -> Spread:
        """Answers a second."""
        return Spread.of([r.per_second for r in self.found[name]])

    def percentile_ms(self, name: str, percent: float) -> Spread:
        """Of a contestant's latencies."""
        return Spread.of([r.percentile_ms(percent) for r in self.found[name]])

    def ratio(self, name: str, to: str) -> Spread:
        """Throughput over another's, round by round."""
        both = zip(self.found[name], self.found[to], strict=True)
        return Spread.of([a.per_second / b.per_second for a, b in both])

    def percentile_ratio(self, name: str, to: str, percent: float) -> Spread:
        """A latency over another's, round by round."""
        both = zip(self.found[name], self.found[to], strict=True)
        return Spread.of([a.percentile_ms(percent) / b.percentile_ms(percent) for a, b in both])


async def interleave(
    contestants: Mapping[str, tuple[Call, int]],
    rounds: int,
    seconds: float,
    on_round: Callable[[str], None] = lambda _: None,
) -> Rounds:
    """Measures `contestants` (name -> call and how many callers at once), each a while a round.

    The order turns from round to round. A first, unmeasured turn opens connections.
    """
    result = Rounds({name: [] for name in contestants})
    for call, callers in contestants.values():
        await closed_loop(call, callers, min(0.3, seconds))
    names = list(contestants)
    for number in range(rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            on_round(f"round {number + 1} of {rounds}: {name}")
            call, callers = contestants[name]
            result.found[name].append(await closed_loop(call, callers, seconds))
    return result


async def closed_loop(call: Call, callers: int, seconds: float) -> Round:
    """So many callers, each asking again as soon as it has its answer. Each asks at least once."""
    latencies: list[float] = []
    answers = 0
    begin = time.perf_counter()
    end = begin + seconds

    async def caller() -> None:
        nonlocal answers
        while True:
            asked = time.perf_counter()
            count = await call()
            now = time.perf_counter()
            latencies.append(now - asked)
            answers += count
            if now >= end:
                return

    await asyncio.gather(*(caller() for _ in range(callers)))
    return Round(time.perf_counter() - begin, answers, np.array(latencies))

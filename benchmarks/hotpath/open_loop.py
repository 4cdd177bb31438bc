"""Open loops: calls begin at random moments at a given rate, whether or not earlier ones ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

import grpc
import numpy as np

from recsvc.client.faults import fault_of
from recsvc.errors import OverloadedError


class Fate(StrEnum):
    """What became of a call."""

    GOOD = "good"
    SHED = "shed"  # RESOURCE_EXHAUSTED, with the time to try again
    LATE = "late"  # its deadline passed
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One call: when it began (seconds from the start), how long it took, and its fate."""

    begin: float
    seconds: float
    fate: Fate
    text: str = ""


async def outcome_of(call: Callable[[], Awaitable[object]], start: float) -> Outcome:
    """Makes one call."""
    begin, fate, text = time.perf_counter(), Fate.GOOD, ""
    try:
        await call()
    except grpc.RpcError as failure:
        fate, text = fate_of(failure)
    return Outcome(begin - start, time.perf_counter() - begin, fate, text)


def fate_of(failure: grpc.RpcError) -> tuple[Fate, str]:
    """What a call that failed comes to, and what is said of it."""
    fault = fault_of(failure, "service")
    shed = isinstance(fault.error, OverloadedError) and fault.retry_after_seconds is not None
    late = failure.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    return Fate.SHED if shed else Fate.LATE if late else Fate.WRONG, str(fault.error)


def arrivals(per_second: float, seconds: float, seed: int) -> list[float]:
    """When the calls of a Poisson process begin, in seconds from its start, in order."""
    rng = np.random.default_rng(seed)
    count = int(rng.poisson(per_second * seconds))
    times: list[float] = np.sort(rng.uniform(0.0, seconds, count)).tolist()
    return times


async def open_loop(
    call: Callable[[], Awaitable[object]],
    per_second: float,
    seconds: float,
    seed: int,
) -> list[Outcome]:
    """Poisson arrivals; returns when every call has ended. Late arrivals are not left out: they
    begin at once, so that a slow generator does not hide a slow service.
    """
    start = time.perf_counter()
    running: set[asyncio.Task[Outcome]] = set()
    ended: list[Outcome] = []

    def keep(task: asyncio.Task[Outcome]) -> None:
        running.discard(task)
        ended.append(task.result())

    for arrival in arrivals(per_second, seconds, seed):
        ahead = arrival - (time.perf_counter() - start)
        if ahead > 0:
            await asyncio.sleep(ahead)
        elif len(running) % 16 == 0:
            await asyncio.sleep(0)  # answers have to be taken, too
        task = asyncio.create_task(outcome_of(call, start))
        running.add(task)
        task.add_done_callback(keep)
    while running:
        await asyncio.wait(running)
        await asyncio.sleep(0)
    return ended

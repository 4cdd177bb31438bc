"""The queue in front of the handlers: calls wait where they are seen, and more of them are refused.

A worker answers one call after the other, and grpc.aio takes one call in for each few turns of the
event loop: under load calls would pile up inside gRPC, where nobody can refuse them, and each would
wait for all before it. So a handler waits for its turn here, and every few turns the calls that
came meanwhile are taken in, all of them, before anybody else is served: what waits unseen makes a
storm outlast its end. How long a call would wait is known then, and whoever would wait too long is
told at once, before its message is read: the queue's delay is what counts, not its length (Nichols
and Jacobson, Controlling Queue Delay, 2012). A burst may wait long; a queue that stays long is no
burst and answers nobody sooner, so that only a short one is kept while calls have to be refused
(Maurer, Fail at Scale, 2015).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sized
from typing import NamedTuple

from recsvc.serving.interceptors.busy import busy_seconds

_TURN_SECONDS = 0.001
"""A turn of a look; the least that epoll waits."""


class _Look(NamedTuple):
    """How long calls are taken in before some are answered."""

    turns: int
    idle_share: float
    """A look ends when the thread had nothing to do for such a share of its last `turns`: then
    nothing was left. (Whether nobody came would be the wrong question: near the peak somebody comes
    in every turn, and looks would last to their end.)"""
    most_seconds: float
    """It ends after so long, however many still come: those at hand are answered, too."""


_CALM = _Look(1, 0.5, 0.15)
_STORM = _Look(20, 0.15, 0.4)
"""What is taken in too late waits where nobody can refuse it, so that most of a storm's time goes
into that. A thread that only refuses, and cannot keep up, still waits for gRPC's own threads: it
had nothing to do for 2 to 5 % of the time, at three times the peak, for 22 % at twice."""

_SLICE_SECONDS = 0.05
"""Calls are answered for so long between two looks."""

_SLICE_SECONDS_BEHIND = 0.025
"""After a look of a storm that ended before nothing was left: the time has to go into refusing."""

_FEW = 16
"""So many may always wait: a mean of a few long calls would say little."""

_WEIGHT = 0.2
"""Of the last slice in the mean time that a call takes."""

_STORM_SECONDS = 1.0
"""So long after a refusal only as many may wait as are answered until the next look."""


class Gate:
    """Gives calls their turn in the order they came; one event loop."""

    def __init__(
        self,
        most_seconds: float,
        clock: Callable[[], float] = time.perf_counter,
        busy: Callable[[], float] = busy_seconds,
    ) -> None:
        """`most_seconds`: who would wait longer should be refused.

        `clock`, `busy`: seconds that passed, and in which the calling thread had something to do.
        """
        self._most_seconds = most_seconds
        self._clock = clock
        self._busy = busy
        self.at_work: Sized = ()
        """Calls that had their turn and wait for their answer: while they are not few, nobody gets
        one, or the queue would be theirs and nobody would know how long it takes."""
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._looked = 0.0
        self._mean_seconds = 0.0
        self._slice_seconds = _SLICE_SECONDS
        self._refused = -float("inf")
        self._running: asyncio.Task[None] | None = None

    def refuses(self, full: bool) -> bool:
        """Whether the call that was just handed over would wait too long, or the worker is full.

        Either is a storm: where calls are short, so many are at hand before one would wait long.
        """
        count = len(self._waiting)
        if count < _FEW and not full:
            return False
        now, wait, most = self._clock(), count * self._mean_seconds, self._most_seconds
        if self._storms(now):
            most = min(most, self._slice_seconds)
        if wait <= most and not full:
            return False
        self._refused = now
        return True

    def _storms(self, now: float) -> bool:
        return now - self._refused < _STORM_SECONDS

    async def turn(self, at_hand: int) -> None:
        """Returns when it is the call's turn; `at_hand` calls, with this one, have not ended."""
        if at_hand <= _FEW and self._running is None:
            return  # so few are taken in between two answers; nothing piles up
        looked = self._clock() - self._looked < _SLICE_SECONDS
        if self._running is None and looked and len(self.at_work) < _FEW:
            return
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(mine)
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        await mine

    async def _run(self) -> None:
        """Looks and serves in turn while anybody waits."""
        try:
            while self._waiting:
                await self._look()
                await self._serve()
        finally:
            self._running = None

    async def _look(self) -> None:
        """Lets gRPC hand calls over until it has no more."""
        begin, nothing_left = self._clock(), False
        storms = self._storms(begin)
        look = _STORM if storms else _CALM
        self._looked = begin
        seen = deque([(begin, self._busy())], look.turns + 1)
        while not nothing_left and self._looked - begin < look.most_seconds:
            await asyncio.sleep(_TURN_SECONDS)
            self._looked = self._clock()
            seen.append((self._looked, self._busy()))
            passed, busy = seen[-1][0] - seen[0][0], seen[-1][1] - seen[0][1]
            nothing_left = len(seen) > look.turns and passed - busy >= look.idle_share * passed
        behind = storms and not nothing_left
        self._slice_seconds = _SLICE_SECONDS_BEHIND if behind else _SLICE_SECONDS

    async def _serve(self) -> None:
        """One call a turn of the loop, so that what is no call is not kept waiting."""
        begin, served = self._clock(), 0
        while self._waiting and self._clock() - begin < self._slice_seconds:
            if len(self.at_work) >= _FEW:
                await asyncio.sleep(0)
                continue
            mine = self._waiting.popleft()
            if not mine.done():  # its caller may have given up
                mine.set_result(None)
                served += 1
                await asyncio.sleep(0)
        if served:
            took = (self._clock() - begin) / served
            mean = self._mean_seconds or took
            self._mean_seconds = mean + _WEIGHT * (took - mean)

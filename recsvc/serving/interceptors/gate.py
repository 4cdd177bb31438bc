"""The queue in front of the handlers: calls wait where they are seen, and more of them are refused.

A worker answers one call after the other, and grpc.aio takes few calls in for each turn of the
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

_SLICE_SECONDS = 0.05
"""Calls are answered for so long between two looks at what else came."""

_SLICE_SECONDS_BEHIND = 0.0125
"""After a look of a storm that ended before nothing was left: the time has to go into refusing."""

_LOOK_SECONDS = 0.15
_LOOK_SECONDS_IN_STORM = 0.4
"""A look ends after so long, however many still come: those at hand are answered, too. In a storm
what is taken in too late waits where nobody can refuse it, so that most of the time goes into that.
"""

_TURN_SECONDS = 0.001
"""A turn of a look; the least that epoll waits."""

_WORKED_SHARE = 0.5
"""A thread that worked less in a turn had nothing left to take in. (Whether nobody came would be
the wrong question: near the peak somebody comes in every turn, and looks would last to their end.)
"""

_EMPTY_SECONDS = 0.000_01
"""The event loop had nothing to do in a turn that took less. (It takes 2 us, to refuse a call 80.)
"""

_BLOCK_SECONDS = 0.02
_EMPTY_SHARE = 0.32
"""A look of a storm ends when the turns of a block had nothing to do for such a share of it. While
calls are left it is .16 to .24 of it, at twice the peak, with nothing left, .42 (measured while
calls were taken in one by one, see `intake`).
"""

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
        worked: Callable[[], float] = time.thread_time,
    ) -> None:
        """`most_seconds`: who would wait longer should be refused.

        `clock`, `worked`: seconds that passed, and seconds that the calling thread worked.
        """
        self._most_seconds = most_seconds
        self._clock = clock
        self._worked = worked
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
                behind = False
                if self._storms(self._clock()):
                    behind = not await self._look_in_storm()
                else:
                    await self._look()
                self._looked = self._clock()
                self._slice_seconds = _SLICE_SECONDS_BEHIND if behind else _SLICE_SECONDS
                await self._serve()
        finally:
            self._running = None

    async def _look(self) -> None:
        """Lets gRPC hand calls over until it has no more."""
        begin = now = self._clock()
        worked = self._worked()
        while now - begin < _LOOK_SECONDS:
            await asyncio.sleep(_TURN_SECONDS)
            passed, did = self._clock() - now, self._worked() - worked
            if did <= _WORKED_SHARE * passed:
                return
            now, worked = now + passed, worked + did

    async def _look_in_storm(self) -> bool:
        """The same; whether gRPC has no more. It never waits for gRPC's thread: to be woken takes
        longer than to refuse a call.
        """
        begin = now = block = self._clock()
        empty = 0.0
        while now - begin < _LOOK_SECONDS_IN_STORM:
            await asyncio.sleep(0)
            before, now = now, self._clock()
            if now - before < _EMPTY_SECONDS:
                empty += now - before
            if now - block >= _BLOCK_SECONDS:
                if empty >= _EMPTY_SHARE * (now - block):
                    return True
                block, empty = now, 0.0
        return False

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

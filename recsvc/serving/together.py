"""Answers that several calls wait for are worked out in one stretch.

Between two calls gRPC reads, writes and wakes: by the time the next list is ranked, the processor's
caches hold little of what ranking needs, and it takes twice as long. So the calls that are at hand
are taken in first, and then answered one right after the other.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any, TypeVar

T = TypeVar("T")

_MOST = 16
"""So many are at hand: to wait for more would gain nothing."""

_QUIET_TURNS = 5
"""When so many turns of the event loop brought nobody, all have come: gRPC hands a call over and
its message in one turn each, and a turn without work costs a hundredth of a list."""

_STRETCH_SECONDS = 0.004
"""Then everything else on the event loop gets its turn."""

_Work = tuple[Context, Callable[[], Any], asyncio.Future[Any]]


class Together:
    """Of one event loop."""

    def __init__(self) -> None:
        self._waiting: deque[_Work] = deque()
        self._seen = 0
        self._quiet_turns = 0
        self.is_alone: Callable[[], bool] = lambda: False
        """Whether the call at hand is the only one: it waits for nobody."""

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def run(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """What `work` returns or raises; it is called in the context of this call."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        self._waiting.append((copy_context(), work, answer))
        if len(self._waiting) == 1:  # nobody looks yet
            if self.is_alone():
                self._answer()
            else:
                self._seen = self._quiet_turns = 0
                loop.call_soon(self._look)
        return answer

    def _look(self) -> None:
        """Waits turn by turn while calls come, then answers."""
        count = len(self._waiting)
        self._quiet_turns = 0 if count > self._seen else self._quiet_turns + 1
        self._seen = count
        if count >= _MOST or self._quiet_turns >= _QUIET_TURNS:
            self._answer()
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._look)

    def _answer(self) -> None:
        end = time.perf_counter() + _STRETCH_SECONDS
        while self._waiting and time.perf_counter() < end:
            context, work, answer = self._waiting.popleft()
            if answer.cancelled():
                continue
            try:
                answer.set_result(context.run(work))
            except Exception as error:  # noqa: BLE001 - it is the caller's, not the loop's
                answer.set_exception(error)

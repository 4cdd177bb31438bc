"""Long work in a thread beside one that answers: a little at a time.

Both threads need the interpreter's lock and the caches. Priorities do not help: a thread of low
priority that holds the lock while others have the processor holds up all. So the thread rests four
times as long as it worked, after each half millisecond: a model that takes a second to load takes
some ten, and calls hardly notice.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

_STRETCH_SECONDS = 0.0005
_RESTS = 4.0

Result = TypeVar("Result")


class Gently:
    """The pace of work that any thread may hurry up."""

    def __init__(self, rest: Callable[[float], object] | None = None) -> None:
        """`rest`: how to wait for so many seconds, for tests."""
        self._hurried = threading.Event()
        self._rest = rest or self._hurried.wait
        self._begun = 0.0

    def hurry(self) -> None:
        """No more rests: somebody waits for what is worked at."""
        self._hurried.set()

    def run(self, work: Callable[[], Result]) -> Result:
        """Does the work in this thread, which rests wherever Python calls something."""
        if self._hurried.is_set():
            return work()
        before = sys.getprofile()
        self._begun = time.thread_time()
        sys.setprofile(self._look)
        try:
            return work()
        finally:
            sys.setprofile(before)

    def _look(self, frame: FrameType, event: str, argument: Any) -> None:
        worked = time.thread_time() - self._begun
        if worked > _STRETCH_SECONDS and not self._hurried.is_set():
            self._rest(worked * _RESTS)
            self._begun = time.thread_time()

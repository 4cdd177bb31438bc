"""Work that is put off a little, so that many calls pay for it once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Deferred:
    """Runs `act` within `seconds` of being asked to, once for all who ask meanwhile."""

    def __init__(self, act: Callable[[], None], seconds: float) -> None:
        self._act = act
        self._seconds = seconds
        self._waits = False

    def ask(self) -> None:
        """Has it run soon; from the event loop."""
        if not self._waits:
            self._waits = True
            asyncio.get_running_loop().call_later(self._seconds, self._run)

    def _run(self) -> None:
        self._waits = False
        self._act()

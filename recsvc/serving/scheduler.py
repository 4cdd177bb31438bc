"""Plans at the turns of a schedule, once each, whichever worker gets there first.

Every worker runs a scheduler. The lease of `recsvc.serving.planning` lets one of them plan; the
turn is noted in the store together with the plan, so that a worker that dies before has not taken
it, and one that dies after leaves a plan that the next tick completes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from structlog.typing import FilteringBoundLogger

from features.errors import RecsvcError
from recsvc.errors import PlanRunningError, PushesPausedError
from recsvc.matching.calendar import last_turn_us
from recsvc.serving.planning import Planning
from recsvc.serving.worker import TenantWorker
from recsvc.store.protocol import StoreUnavailable

TICK_SECONDS = 1.0
_AHEAD_US = 86_400_000_000
"""A turn noted further ahead of the clock was noted by a clock that has been set back since."""


class Scheduler:
    """Plans one tenant's pushes at the turns of a cron expression ("" for never)."""

    def __init__(
        self,
        worker: TenantWorker,
        planning: Planning,
        schedule: str,
        time_zone: str,
        clock: Callable[[], int],
        log: FilteringBoundLogger,
        tick_seconds: float = TICK_SECONDS,
    ) -> None:
        self._worker = worker
        self._planning = planning
        self._schedule = schedule
        self._time_zone = time_zone
        self._clock = clock
        self._log = log.bind(tenant=worker.tenant)
        self._tick_seconds = tick_seconds
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins."""
        self._task = asyncio.create_task(self._run(), name="push schedule")

    async def aclose(self) -> None:
        """Ends; a plan under way is left to be completed by another worker."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                await self.tick()
            except (StoreUnavailable, PlanRunningError, PushesPausedError):
                pass  # tried again with the next tick
            except RecsvcError as error:
                self._log.warning("pushes are not planned", problem=str(error))
            except Exception:  # noqa: BLE001 - one failed plan must not end the schedule
                self._log.exception("planning failed")
            await asyncio.sleep(self._tick_seconds)

    async def tick(self) -> int | None:
        """Completes what a crash left, and plans the turn that is due; how many pushes it put."""
        completed = await self._planning.complete()
        if completed:
            self._log.info("plan completed", pushes=completed)
        turn_us = await self._due_us()
        if turn_us is None:
            return None
        planned = await self._planning.commit(turn_us)
        if planned is None:
            return None
        self._log.info("pushes planned", plan=planned.plan_id, pushes=len(planned.pushes))
        return len(planned.pushes)

    async def _due_us(self) -> int | None:
        """The turn to be planned now, None for none.

        Turns before the first start are not made up for, nor more than the last that was missed.
        """
        if not self._schedule:
            return None
        now_us = self._clock()
        last_us = last_turn_us(self._schedule, self._time_zone, now_us)
        done_us = await self._planning.last_turn_us()
        if done_us is None or done_us > now_us + _AHEAD_US:
            await self._worker.store.set_planned_turn(self._worker.tenant, now_us)
            return None
        return last_us if last_us is not None and last_us > done_us else None

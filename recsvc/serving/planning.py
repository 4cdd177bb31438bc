"""Planning pushes: a plan on a view of its own, written down, put into the outbox, closed.

    plan lease ► complete what a crash left ► plan in a thread ► write (recsvc.serving.commits)

The lease makes one planner at a time. While it plans, urgent leads may arrive and be pushed by
`recsvc.serving.arrivals`: those are left out when the plan is written.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date

from recsvc.errors import PushesPausedError
from recsvc.matching.pipeline import Pipeline
from recsvc.push.config import PushConfig
from recsvc.push.flow import solve_aside
from recsvc.push.plan import plan_pushes
from recsvc.push.types import PastPush, Plan, PushHistory
from recsvc.serving.commits import LEASE_SECONDS, WRITE_LEASE, Commits
from recsvc.serving.push_records import new_pushes
from recsvc.serving.view import View
from recsvc.serving.worker import TenantWorker
from recsvc.store.pushes import NewPush, Push, PutStatus

LEASE = "push-plan"
_SKEW_US = 60_000_000
"""Clocks of two machines differ by less."""
PlanFunction = Callable[[Pipeline, PushConfig, int, PushHistory], Plan]
"""(pipeline, config, now in microseconds, history) -> plan; runs in a thread."""


def best_plan(pipeline: Pipeline, config: PushConfig, now_us: int, history: PushHistory) -> Plan:
    """The plan of recsvc.push."""
    return plan_pushes(pipeline, config, now_us, history, solver=solve_aside)


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, what became of it, and the pushes (those put, after a commit)."""

    plan: Plan
    plan_id: str
    pushes: tuple[Push, ...]
    left_out_count: int = 0
    completed_count: int = 0


class Planning:
    """Plans for one tenant."""

    def __init__(
        self,
        worker: TenantWorker,
        config: PushConfig,
        plan: PlanFunction,
        clock: Callable[[], int],
        lease_seconds: float = LEASE_SECONDS,
        holidays: Collection[date] = (),
    ) -> None:
        self._worker = worker
        self._config = config
        self._plan = plan
        self._clock = clock
        self._commits = Commits(worker, clock, lease_seconds)
        self._lease_seconds = lease_seconds
        self._holidays = holidays

    async def dry_run(self) -> Planned:
        """The plan of this moment; nothing changes."""
        view, plan = await self._make()
        pushes = await asyncio.to_thread(self._records, view, plan, "")
        return Planned(plan, "", tuple(new.push for new in pushes))

    async def commit(self, turn_us: int | None = None) -> Planned | None:
        """Plans and puts the plan's pushes into the outbox.

        `turn_us` is the turn of the schedule that this plan is for: None is answered when that one
        was planned before. It counts as planned from the moment the plan is written down: after a
        crash it is completed, not repeated. Raises PlanRunningError, PushesPausedError,
        NoModelError, StoreUnavailable.
        """
        worker, commits = self._worker, self._commits
        async with commits.lease(LEASE) as token:
            completed = await self._complete()
            if turn_us is not None and (await self.last_turn_us() or 0) >= turn_us:
                return None
            if "" in await worker.store.pauses(worker.tenant):
                raise PushesPausedError("pushes are paused: end the pause first (PausePushes)")
            begin_us = self._clock()
            view, plan = await self._make()
            plan_id = uuid.uuid4().hex
            pushes = await asyncio.to_thread(self._records, view, plan, plan_id)
            async with commits.lease(WRITE_LEASE, self._lease_seconds) as write_token:
                await commits.check(LEASE, token)
                # Pushed on their arrival while this plan was made without knowing it.
                arrived = await worker.store.pushed_on_arrival(worker.tenant, begin_us - _SKEW_US)
                pushes = [new for new in pushes if new.push.lead_id not in arrived]
                statuses = await commits.write(plan_id, pushes, write_token, turn_us)
        put = [n.push for n, s in zip(pushes, statuses, strict=True) if s is PutStatus.NEW]
        return Planned(plan, plan_id, tuple(put), len(pushes) - len(put), completed)

    async def complete(self) -> int:
        """Puts what plans before a crash left over; how many pushes that were."""
        if not await self._worker.store.open_plans(self._worker.tenant):
            return 0
        async with self._commits.lease(LEASE):
            return await self._complete()

    async def last_turn_us(self) -> int | None:
        """The last turn of the schedule that was planned, None before the first."""
        return await self._worker.store.planned_turn_us(self._worker.tenant)

    def _records(self, view: View, plan: Plan, plan_id: str) -> list[NewPush]:
        assert view.snapshot is not None, "a plan needs a model"
        return new_pushes(
            self._worker.tenant,
            view.snapshot,
            plan,
            plan_id,
            self._config,
            view.revision_text,
            self._holidays,
        )

    async def _make(self) -> tuple[View, Plan]:
        store, tenant = self._worker.store, self._worker.tenant
        # Before the view: a push that is acknowledged meanwhile is in both, never in neither.
        waiting = [
            PastPush(p.push.member_id, p.push.lead_id, p.push.release_time_us, p.push.wave)
            async for batch in store.open_pushes(tenant)
            for p in batch
        ]
        pauses = await store.pauses(tenant)
        view = await self._worker.build_apart()
        assert view.pipeline is not None, "build_apart raises without a model"
        history = PushHistory(
            pushes=tuple(waiting),
            claimed=frozenset(view.holders),
            paused_organizations=frozenset(pauses) - {""},
        )
        plan = await asyncio.to_thread(
            self._plan, view.pipeline, self._config, self._clock(), history
        )
        return view, plan

    async def _complete(self) -> int:
        """The rest of plans that were saved but not closed."""
        if not await self._worker.store.open_plans(self._worker.tenant):
            return 0
        async with self._commits.lease(WRITE_LEASE, self._lease_seconds) as token:
            return await self._commits.complete(token)

"""Putting plans into the outbox: one at a time, written down first, completed after a crash.

    write lease ► save ► put, bucket by bucket ► settle arrivals ► close

Whoever plans takes the write lease for the moment of writing. Its fencing token makes sure of it:
when a writer stalls and another takes over, the buckets refuse the first one's pushes.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager

from recsvc.errors import PlanRunningError
from recsvc.serving.worker import TenantWorker
from recsvc.store.pushes import FencedError, NewPush, PutStatus

WRITE_LEASE = "push-write"
LEASE_SECONDS = 10.0
_AGAIN_SECONDS = 0.02


class Commits:
    """Leases, and the way of a plan into the outbox, for one tenant."""

    def __init__(
        self,
        worker: TenantWorker,
        clock: Callable[[], int],
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        self._worker = worker
        self._clock = clock
        self._lease_seconds = lease_seconds

    @asynccontextmanager
    async def lease(self, name: str, wait_seconds: float = 0.0) -> AsyncGenerator[int, None]:
        """The fencing token of a lease, while it is renewed.

        Raises PlanRunningError when another has it, still after `wait_seconds`, or took it over.
        """
        store, tenant = self._worker.store, self._worker.tenant
        token = await self._acquire(name, wait_seconds)
        renewal = asyncio.create_task(self._renew(name, token))
        try:
            yield token
        except FencedError as error:
            raise PlanRunningError(f"{error}") from error
        finally:
            renewal.cancel()
            await asyncio.gather(renewal, return_exceptions=True)
            await store.release_lease(tenant, name, token)

    async def check(self, name: str, token: int) -> None:
        """Raises PlanRunningError when the lease was lost."""
        worker = self._worker
        if not await worker.store.renew_lease(worker.tenant, name, token, self._lease_seconds):
            raise PlanRunningError("another plan was begun meanwhile: that one goes on")

    async def complete(self, token: int) -> int:
        """Puts what plans that were saved but not closed left over; how many pushes that were.

        `token` is the write lease's.
        """
        store, tenant = self._worker.store, self._worker.tenant
        count = 0
        for plan_id in await store.open_plans(tenant):
            number = 0
            while part := await store.plan_part(tenant, plan_id, number):
                statuses = await store.put_pushes(tenant, part, token, self._clock())
                count += statuses.count(PutStatus.NEW)
                await self._settle(part)
                number += 1
            await store.close_plan(tenant, plan_id)
        return count

    async def write(
        self, plan_id: str, pushes: Sequence[NewPush], token: int, turn_us: int | None = None
    ) -> list[PutStatus]:
        """Writes a plan down, puts its pushes, closes it. `token` is the write lease's."""
        store, tenant = self._worker.store, self._worker.tenant
        await store.save_plan(tenant, plan_id, pushes, turn_us)
        statuses = await store.put_pushes(tenant, pushes, token, self._clock())
        await self._settle(pushes)
        await store.close_plan(tenant, plan_id)
        return statuses

    async def _settle(self, pushes: Sequence[NewPush]) -> None:
        """A lead that a plan has pushed needs no plan for its arrival; before the plan is closed,
        so that after a crash no lead is planned by two.
        """
        store, tenant = self._worker.store, self._worker.tenant
        planned = {new.push.lead_id for new in pushes}
        leads = [lead_id for lead_id in await store.arrivals(tenant) if lead_id in planned]
        await store.settle_arrivals(tenant, leads, self._clock(), pushed=True)

    async def _acquire(self, name: str, wait_seconds: float) -> int:
        store, tenant, owner = self._worker.store, self._worker.tenant, uuid.uuid4().hex
        loop = asyncio.get_running_loop()
        end = loop.time() + wait_seconds
        while True:
            token = await store.acquire_lease(tenant, name, owner, self._lease_seconds)
            if token is not None:
                return token
            if loop.time() >= end:
                raise PlanRunningError("another plan is being made: try again")
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _renew(self, name: str, token: int) -> None:
        while True:
            await asyncio.sleep(self._lease_seconds / 3)
            await self._worker.store.renew_lease(
                self._worker.tenant, name, token, self._lease_seconds
            )

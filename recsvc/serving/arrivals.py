"""Urgent leads, pushed the moment they arrive, by one worker at a time.

    note ► write the lead ► acknowledge ► wake ► plan on the live view ► write (serving.commits)

A lead is noted in the store before it is written, and settled with its plan: whatever dies in
between, the note stays and any worker's next look finds it. Looks are cheap, and the worker that
took the lead in is woken at once.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import date

from structlog.typing import FilteringBoundLogger

from features.entities import Lead, LeadState
from features.errors import RecsvcError
from recsvc.errors import NotReadyError, PlanRunningError
from recsvc.push.arrival import LOOK_AT, arrival_members, plan_arrival
from recsvc.push.caps import WEEK_US
from recsvc.push.config import PushConfig
from recsvc.push.types import PastPush, Plan, PushHistory, Unserved
from recsvc.serving.commits import WRITE_LEASE, Commits
from recsvc.serving.push_records import new_pushes
from recsvc.serving.view import View
from recsvc.serving.worker import TenantWorker
from recsvc.store.protocol import StoreUnavailable
from recsvc.store.pushes import PutStatus

LOOK_SECONDS = 1.0
"""How often a worker looks for what another one left."""
ARRIVAL_US = 86_400_000_000
"""A lead raised longer ago does not arrive any more: the next plan has it."""
_UNWRITTEN_US = 60_000_000
"""A note whose lead was not written by then came to nothing."""
_AT_A_TIME = 8
"""Leads planned together: other calls get their turn in between."""
_AGAIN_SECONDS = 10.0
"""How soon a lead whose organization is paused is looked at again."""
_BUSY_SECONDS = 0.05


def arrives(new: Lead, old: Lead | None, config: PushConfig, now_us: int) -> bool:
    """Whether a lead that is about to be written in place of `old` is an urgent arrival."""

    def urgent(lead: Lead) -> bool:
        return lead.state is LeadState.OPEN and lead.urgency >= config.urgent_from

    young = new.create_time_us > now_us - ARRIVAL_US
    return young and urgent(new) and not (old is not None and urgent(old))


class Arrivals:
    """Pushes urgent leads of one tenant as they arrive."""

    def __init__(
        self,
        worker: TenantWorker,
        config: PushConfig,
        clock: Callable[[], int],
        log: FilteringBoundLogger,
        holidays: Collection[date] = (),
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._worker = worker
        self._config = config
        self._clock = clock
        self._log = log.bind(tenant=worker.tenant)
        self._holidays = holidays
        self._look_seconds = look_seconds
        self._commits = Commits(worker, clock)
        self._woken = asyncio.Event()
        self._later: dict[str, float] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins."""
        self._task = asyncio.create_task(self._run(), name="arrivals")

    async def note(self, changes: Iterable[tuple[Lead, Lead | None]]) -> bool:
        """Notes those of (new, old) leads that arrive; whether there were any, to `wake` then.

        Before they are written: a lead that is there was noted, whatever dies. Raises
        StoreUnavailable.
        """
        now_us = self._clock()
        ids = [new.lead_id for new, old in changes if arrives(new, old, self._config, now_us)]
        if ids:
            await self._worker.store.note_arrivals(self._worker.tenant, ids, now_us)
        return bool(ids)

    def wake(self) -> None:
        """What was noted is written: look now."""
        self._woken.set()

    async def aclose(self) -> None:
        """Ends; what is left another worker finds."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        wait_seconds = self._look_seconds
        while True:
            try:
                async with asyncio.timeout(wait_seconds):
                    await self._woken.wait()
            except TimeoutError:
                pass
            self._woken.clear()
            wait_seconds = self._look_seconds
            try:
                await self.look()
            except PlanRunningError:
                wait_seconds = _BUSY_SECONDS  # another is writing: it may not have seen ours
            except (StoreUnavailable, NotReadyError):
                pass  # tried again with the next look
            except RecsvcError as error:
                self._log.warning("urgent leads are not pushed", problem=str(error))
            except Exception:  # noqa: BLE001 - one bad lead must not stop all that follow
                self._log.exception("pushing urgent leads failed")

    async def look(self) -> int:
        """Plans the leads that are noted; how many pushes were put.

        Raises PlanRunningError, StoreUnavailable.
        """
        store, tenant = self._worker.store, self._worker.tenant
        if not self._due(await store.arrivals(tenant)) or "" in await store.pauses(tenant):
            return 0
        async with self._commits.lease(WRITE_LEASE) as token:
            count = await self._commits.complete(token)
            noted = self._due(await store.arrivals(tenant))
            count += await self._push(noted, token)
        return count

    def _due(self, noted: dict[str, int]) -> dict[str, int]:
        """Without those that are to be looked at later."""
        now = asyncio.get_running_loop().time()
        self._later = {i: t for i, t in self._later.items() if t > now and i in noted}
        return {i: time_us for i, time_us in noted.items() if i not in self._later}

    async def _push(self, noted: dict[str, int], token: int) -> int:
        worker, now_us = self._worker, self._clock()
        latest = await worker.store.latest_revision(worker.tenant)
        view = await worker.view_at(latest, self._look_seconds * 5, data_only=True)
        if view.pipeline is None or view.snapshot is None:
            return 0
        rows = {lead_id: view.snapshot.leads.row(lead_id) for lead_id in noted}
        gone = [
            lead_id
            for lead_id, noted_us in noted.items()
            if noted_us < now_us - (_UNWRITTEN_US if rows[lead_id] < 0 else ARRIVAL_US)
        ]
        await worker.store.settle_arrivals(worker.tenant, gone, now_us, pushed=False)
        here = [i for i in noted if rows[i] >= 0 and i not in gone]
        count = 0
        for at in range(0, len(here), _AT_A_TIME):
            count += await self._push_some(here[at : at + _AT_A_TIME], token)
        return count

    async def _push_some(self, lead_ids: Sequence[str], token: int) -> int:
        worker, now_us = self._worker, self._clock()
        pauses = frozenset(await worker.store.pauses(worker.tenant)) - {""}
        view, plan = await self._plan(lead_ids, pauses, now_us, LOOK_AT[0])
        if any(why.reason is Unserved.CAPS_USED for why in plan.unserved.values()):
            view, plan = await self._plan(lead_ids, pauses, now_us, LOOK_AT[1])
        assert view.snapshot is not None, "the plan was made on it"
        plan_id = uuid.uuid4().hex
        pushes = new_pushes(
            worker.tenant, view.snapshot, plan, plan_id, self._config, view.revision_text,
            self._holidays,
        )  # fmt: skip
        statuses = await self._commits.write(plan_id, pushes, token) if pushes else []
        paused = {i for i, why in plan.unserved.items() if why.reason is Unserved.PAUSED}
        later = asyncio.get_running_loop().time() + _AGAIN_SECONDS
        self._later |= dict.fromkeys(paused, later)
        rest = [i for i in lead_ids if i not in paused]
        await worker.store.settle_arrivals(worker.tenant, rest, now_us, pushed=False)
        put = statuses.count(PutStatus.NEW)
        self._log.info("urgent leads pushed", leads=len(lead_ids), pushes=put)
        return put

    async def _plan(
        self, lead_ids: Sequence[str], paused: frozenset[str], now_us: int, times: int
    ) -> tuple[View, Plan]:
        """A plan on the live view, and the view: no other task changes it before the next await."""
        view = self._live()
        assert view.pipeline is not None, "asked before"
        members = arrival_members(view.pipeline, self._config, now_us, lead_ids, times)
        pushes = await self._pushes_of(members, now_us)
        view = self._live()
        assert view.pipeline is not None, "a model is only replaced by another"
        history = PushHistory(pushes, frozenset(view.holders), {}, paused)
        return view, plan_arrival(view.pipeline, self._config, now_us, history, lead_ids, times)

    async def _pushes_of(self, member_ids: Sequence[str], now_us: int) -> tuple[PastPush, ...]:
        """What is in the outbox or went out of it in the last week."""
        store, tenant = self._worker.store, self._worker.tenant
        found = await store.members_pushes(tenant, member_ids, now_us - WEEK_US)
        ids = [push_id for entries in found.values() for push_id, _ in entries]
        stored = await store.pushes(tenant, ids)
        return tuple(
            PastPush(s.push.member_id, s.push.lead_id, s.push.release_time_us, s.push.wave)
            for s in stored.values()
        )

    def _live(self) -> View:
        if self._worker.live is None:
            raise NotReadyError("the worker is starting: try again")
        return self._worker.live

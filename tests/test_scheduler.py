"""Schedules through the real store, by two workers and a clock that the test sets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from service import Service, serving, settings_for

from recsvc.errors import ConfigError, PlanRunningError, PushesPausedError
from recsvc.matching.pipeline import Pipeline
from recsvc.push.config import PushConfig
from recsvc.push.types import Plan, PlannedPush, PushFacts, PushHistory, Source
from recsvc.serving.planning import Planning
from recsvc.serving.scheduler import Scheduler
from recsvc.store.protocol import StoreUnavailable
from recsvc.store.pushes import NewPush, Pause, PutStatus, push_id_of
from recsvc.store.redis_store import RedisStore

pytestmark = pytest.mark.asyncio(loop_scope="module")
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
MIDNIGHT = int(datetime(2026, 11, 22, 16, tzinfo=UTC).timestamp()) * 1_000_000
"""Midnight in Shanghai; the schedule turns at three."""


class World:
    """Two schedulers on one store, and what they planned."""

    def __init__(self, service: Service, tenant: str) -> None:
        self.service = service
        self.now_us = MIDNIGHT
        self.plans = 0
        self.tenant = tenant
        self.schedulers = [self.scheduler() for _ in range(2)]

    def scheduler(self, plan: Any = None) -> Scheduler:
        worker = self.service.server.workers[self.tenant]
        planning = Planning(worker, PushConfig(), plan or self.plan, lambda: self.now_us)
        log = self.service.server._log
        return Scheduler(worker, planning, "0 3 * * *", "Asia/Shanghai", lambda: self.now_us, log)

    def plan(
        self, pipeline: Pipeline, config: PushConfig, now_us: int, history: PushHistory
    ) -> Plan:
        """A push of its own each time."""
        lead = f"l{12 + self.plans % 12}"
        self.plans += 1
        facts = PushFacts(Source.OPTIMUM, 0.0, 1, 0)
        push = PlannedPush("m11", lead, self.plans, 0.1, 0.1, 1.0, facts)
        return Plan(now_us, 0, "tiny", "", pushes=(push,))

    async def tick(self, hours: float = 0.0) -> int:
        """Both schedulers at once, `hours` later; how many plans that made."""
        self.now_us += round(hours * HOUR_US)
        before = self.plans
        answers = await asyncio.gather(
            *(scheduler.tick() for scheduler in self.schedulers), return_exceptions=True
        )
        for answer in answers:
            assert answer is None or isinstance(answer, int | PlanRunningError), answer
        return self.plans - before


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Service, None]:
    folder = tmp_path_factory.mktemp("scheduler")
    async with serving(folder, "tiny") as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def world(service: Service) -> World:
    found = World(service, "default")
    await service.store.set_planned_turn("default", MIDNIGHT)
    for plan_id in await service.store.open_plans("default"):
        await service.store.close_plan("default", plan_id)
    return found


async def test_each_turn_is_planned_once_by_whoever_comes_first(world: World) -> None:
    assert await world.tick() == 0
    assert [await world.tick(1.0) for _ in range(26)] == [0, 0, 1] + [0] * 23


async def test_the_first_start_makes_up_for_nothing(service: Service, world: World) -> None:
    await service.store.set_planned_turn("default", MIDNIGHT + 400 * DAY_US)
    assert await world.tick(12.0) == 0, "a clock that was a year ahead noted that"
    assert await world.tick(14.0) == 0
    assert await world.tick(1.0) == 1


async def test_only_the_last_of_the_missed_turns_is_made_up_for(world: World) -> None:
    assert await world.tick(5 * 24.0) == 1
    assert await world.tick() == 0


async def test_a_clock_that_jumps_back_plans_nothing_twice(world: World) -> None:
    assert await world.tick(3.5) == 1
    assert await world.tick(-1.0) == 0
    assert await world.tick(-2.0) == 0
    assert await world.tick(3.0) == 0
    assert await world.tick(24.0) == 1


async def test_a_planner_that_fails_leaves_the_turn_to_the_next(world: World) -> None:
    def fail(*_: object) -> Plan:
        raise RuntimeError("the worker dies")

    world.now_us += 4 * HOUR_US
    with pytest.raises(RuntimeError):
        await world.scheduler(fail).tick()
    assert await world.tick() == 1


async def test_a_plan_whose_worker_dies_is_completed_not_repeated(
    service: Service, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Dying(RedisStore):
        async def put_pushes(self, *_: object, **__: object) -> Any:
            raise StoreUnavailable("the worker dies here")

    worker = service.server.workers["default"]
    world.now_us += 4 * HOUR_US
    async with Dying(service.valkey.url) as dying:
        monkeypatch.setattr(worker, "store", dying)
        with pytest.raises(StoreUnavailable):
            await world.schedulers[0].tick()
        monkeypatch.undo()
    [plan_id] = await service.store.open_plans("default")
    [new] = await service.store.plan_part("default", plan_id, 0)
    assert await world.tick() == 0
    async with asyncio.timeout(5):  # the service's own scheduler may have come first
        while await service.store.open_plans("default"):
            await asyncio.sleep(0.02)
    assert new.push.push_id in await service.store.pushes("default", [new.push.push_id])


async def test_a_plan_that_is_half_in_the_outbox_is_completed_not_repeated(
    service: Service, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker dies between two batches; whoever comes next puts the rest, and no more."""

    class Dying(RedisStore):
        async def put_pushes(
            self, tenant: str, pushes: Sequence[NewPush], token: int, now_us: int
        ) -> list[PutStatus]:
            await super().put_pushes(tenant, pushes[:2], token, now_us)
            raise StoreUnavailable("the worker dies here")

    def of_four(_p: Pipeline, _c: PushConfig, now_us: int, _h: PushHistory) -> Plan:
        facts = PushFacts(Source.OPTIMUM, 0.0, 1, 0)
        four = [PlannedPush(f"m{i}", "l23", 7, 0.1, 0.1, 1.0, facts) for i in range(7, 11)]
        return Plan(now_us, 0, "tiny", "", pushes=tuple(four))

    ids = [push_id_of("default", f"m{i}", "l23", 7) for i in range(7, 11)]
    worker, store = service.server.workers["default"], service.store
    world.now_us += 30 * HOUR_US
    async with Dying(service.valkey.url) as dying:
        monkeypatch.setattr(worker, "store", dying)
        with pytest.raises(StoreUnavailable):
            await world.scheduler(of_four).tick()
        half = await store.pushes("default", ids)
        monkeypatch.undo()
    assert set(half) == set(ids[:2])
    assert await world.tick() == 0  # the turn is taken
    async with asyncio.timeout(5):  # the service's own scheduler may have come first
        while await store.open_plans("default"):
            await asyncio.sleep(0.02)
    assert set(await store.pushes("default", ids)) == set(ids)
    waiting = [p.push.push_id async for batch in store.open_pushes("default") for p in batch]
    assert sorted(i for i in waiting if i in ids) == sorted(ids)


async def test_a_pause_keeps_the_turn_for_later(service: Service, world: World) -> None:
    world.now_us += 4 * HOUR_US
    await service.store.pause("default", Pause("", 1))
    with pytest.raises(PushesPausedError):
        await world.schedulers[0].tick()
    await service.store.resume("default", "")
    assert await world.tick() == 1


async def test_without_a_schedule_nothing_is_planned(service: Service, world: World) -> None:
    worker = service.server.workers["default"]
    planning = Planning(worker, PushConfig(), world.plan, lambda: world.now_us)
    log = service.server._log
    idle = Scheduler(worker, planning, "", "Asia/Shanghai", lambda: world.now_us, log)
    world.now_us += 30 * DAY_US
    assert await idle.tick() is None
    assert world.plans == 0


async def test_a_schedule_that_cannot_be_read_is_told_at_start(tmp_path: Any) -> None:
    settings = settings_for(tmp_path, push_schedule="every morning")
    assert settings.push_schedule == "every morning"
    with pytest.raises(ConfigError, match="no cron expression"):
        async with serving(tmp_path, "tiny", push_schedule="every morning"):
            pass

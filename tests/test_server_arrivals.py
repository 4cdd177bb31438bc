"""Urgent leads over gRPC: pushed within a second of their acknowledgement, once, whatever dies."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from service import PARENT, Pair, Service, serving

from features.entities import Lead
from recsvc.push.config import Caps, PushConfig
from recsvc.serving.arrivals import Arrivals
from recsvc.serving.commits import WRITE_LEASE
from recsvc.serving.planning import Planning, best_plan
from recsvc.store.pushes import NewPush, Push, StoredPush, push_id_of
from recsvc.v1 import catalog_pb2, recommendation_pb2
from recsvc.v1 import push_pb2 as pb
from recsvc.v1 import resources_pb2 as res

pytestmark = pytest.mark.asyncio(loop_scope="module")
NUMBERS = count()
WITHIN_SECONDS = 1.0
A_MOMENT = 0.5
HOUR_US = 3_600_000_000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Pair, None]:
    """Two workers whose caps never bind."""
    folder = tmp_path_factory.mktemp("arrivals")
    config = folder / "push.toml"
    config.write_text(
        "[push.caps]\nplan = 9\nday = 99\nweek = 99\ngap_hours = 0.0\nignored_after = 99"
    )
    async with (
        serving(folder, "tiny", push_config=config) as first,
        serving(folder, valkey=first.valkey, worker_id="worker-2", push_config=config) as second,
    ):
        yield Pair(first, second)


def urgent(**fields: Any) -> res.Lead:
    values: dict[str, Any] = {"title": "水管爆裂", "urgency": 3} | fields
    return res.Lead(name=f"{PARENT}/leads/arrived-{next(NUMBERS)}", **values)


def id_of(lead: res.Lead) -> str:
    return lead.name.rpartition("/")[2]


async def import_leads(service: Service, *leads: res.Lead) -> None:
    requests = iter([catalog_pb2.ImportLeadsRequest(parent=PARENT, leads=leads)])
    reply = await service.catalog.ImportLeads(requests)
    assert reply.summary.imported_count == len(leads)


async def pushes_of(service: Service, lead_id: str) -> list[StoredPush]:
    """What is in the outbox of one lead."""
    found = []
    async for batch in service.store.open_pushes("default"):
        found += [p for p in batch if p.push.lead_id == lead_id]
    return found


async def until_pushed(service: Service, lead: res.Lead, seconds: float) -> list[StoredPush]:
    async with asyncio.timeout(seconds):
        while True:
            # Settled last: then all of its pushes are there.
            if id_of(lead) not in await service.store.arrivals("default"):
                return await pushes_of(service, id_of(lead))
            await asyncio.sleep(0.02)


async def test_an_imported_urgent_lead_is_in_the_outbox_within_a_second(pair: Pair) -> None:
    lead, calm = urgent(), urgent(urgency=2)
    await import_leads(pair.first, lead, calm)
    pushes = await until_pushed(pair.second, lead, WITHIN_SECONDS)
    assert 1 <= len(pushes) <= PushConfig().waves.most[0]
    assert len({p.push.member_id for p in pushes}) == len(pushes)
    assert all(p.push.reasons for p in pushes)
    assert await pushes_of(pair.first, id_of(calm)) == []
    request = recommendation_pb2.ExplainRequest(parent=PARENT, push_id=pushes[0].push.push_id)
    reply = await pair.second.recommendation.Explain(request)
    assert reply.push.source == pb.PUSH_SOURCE_ARRIVAL
    assert reply.push.plan_reason


async def test_an_update_that_makes_a_lead_urgent_is_an_arrival(pair: Pair) -> None:
    lead = urgent(urgency=1)
    await import_leads(pair.first, lead)
    lead.urgency = 3
    update = catalog_pb2.UpdateLeadRequest(lead=lead)
    update.update_mask.paths.append("urgency")
    await pair.second.catalog.UpdateLead(update)
    assert await until_pushed(pair.first, lead, WITHIN_SECONDS)


async def test_a_lead_sent_again_is_pushed_once(pair: Pair) -> None:
    lead = urgent()
    await import_leads(pair.first, lead)
    first = await until_pushed(pair.first, lead, WITHIN_SECONDS)
    await import_leads(pair.second, lead)
    await pair.second.store.note_arrivals("default", [id_of(lead)], time.time_ns() // 1000)
    again = await until_pushed(pair.first, lead, 5.0)
    assert {p.push.push_id for p in again} == {p.push.push_id for p in first}


async def test_old_closed_and_masked_leads_are_not_pushed(pair: Pair) -> None:
    old, closed = urgent(), urgent(state=res.LEAD_STATE_CLOSED)
    old.create_time.FromSeconds(int(time.time()) - 2 * 86_400)
    await import_leads(pair.first, old, closed)
    await asyncio.sleep(A_MOMENT)
    assert await pushes_of(pair.first, id_of(old)) == []
    assert await pushes_of(pair.first, id_of(closed)) == []


async def test_the_author_and_who_keeps_away_get_nothing(pair: Pair) -> None:
    lead = urgent()
    await import_leads(pair.first, lead)
    chosen = [p.push.member_id for p in await until_pushed(pair.first, lead, WITHIN_SECONDS)]
    following = urgent(author_id=chosen[0])
    conflict = res.Conflict(
        name=f"{PARENT}/members/{chosen[-1]}/conflicts/-", lead=following.name, reason="亲属"
    )
    await pair.second.catalog.UpdateConflict(
        catalog_pb2.UpdateConflictRequest(conflict=conflict, allow_missing=True)
    )
    await import_leads(pair.first, following)
    pushes = await until_pushed(pair.first, following, WITHIN_SECONDS)
    assert pushes
    assert not {chosen[0], chosen[-1]} & {p.push.member_id for p in pushes}


async def test_a_pause_holds_arrivals_back_until_it_ends(pair: Pair) -> None:
    lead = urgent()
    await pair.first.push.PausePushes(pb.PausePushesRequest(parent=PARENT, reason="演练"))
    await import_leads(pair.second, lead)
    await asyncio.sleep(A_MOMENT)
    assert await pushes_of(pair.first, id_of(lead)) == []
    await pair.second.push.PausePushes(pb.PausePushesRequest(parent=PARENT, resume=True))
    assert await until_pushed(pair.first, lead, 5.0)


async def test_quiet_hours_put_off_the_release(pair: Pair) -> None:
    service = pair.first
    request = catalog_pb2.ListOrganizationsRequest(parent=PARENT)
    organizations = (await service.catalog.ListOrganizations(request)).organizations
    assert organizations
    now = time.time()
    quiet = "-".join(time.strftime("%H:%M", time.gmtime(now + s)) for s in (-3_600, 3 * 3_600))
    for organization in organizations:
        changed = res.Organization(name=organization.name, quiet_hours=quiet, time_zone="UTC")
        update = catalog_pb2.UpdateOrganizationRequest(organization=changed)
        update.update_mask.paths.extend(["quiet_hours", "time_zone"])
        await service.catalog.UpdateOrganization(update)
    try:
        lead = urgent()
        await import_leads(service, lead)
        pushes = await until_pushed(pair.second, lead, WITHIN_SECONDS)
        waiting = [p for p in pushes if p.push.release_time_us > (now + 2 * 3_600) * 1e6]
        assert waiting, "members of these organizations sleep"
    finally:
        for organization in organizations:
            update = catalog_pb2.UpdateOrganizationRequest(organization=organization)
            update.update_mask.paths.extend(["quiet_hours", "time_zone"])
            await service.catalog.UpdateOrganization(update)


async def test_what_was_noted_before_a_crash_is_found_by_whoever_looks(pair: Pair) -> None:
    """The worker that took the lead in died after the acknowledgement: nobody is woken."""
    lead_id, now_us = f"arrived-{next(NUMBERS)}", time.time_ns() // 1000
    store = pair.first.store
    await store.note_arrivals("default", [lead_id], now_us)
    await store.put("default", [Lead(lead_id, now_us, title="水管爆裂", urgency=3)])
    lead = res.Lead(name=f"{PARENT}/leads/{lead_id}")
    assert await until_pushed(pair.second, lead, 5.0)


async def test_a_note_whose_lead_was_never_written_comes_to_nothing(pair: Pair) -> None:
    store, now_us = pair.first.store, time.time_ns() // 1000
    await store.note_arrivals("default", ["never-written"], now_us - 120_000_000)
    async with asyncio.timeout(5):
        while "never-written" in await store.arrivals("default"):
            await asyncio.sleep(0.05)
    await store.note_arrivals("default", ["not-yet-written"], now_us)
    await asyncio.sleep(2.2)
    assert "not-yet-written" in await store.arrivals("default"), "it may still come"
    await store.settle_arrivals("default", ["not-yet-written"], now_us, pushed=False)


async def test_a_plan_that_was_written_down_is_completed_not_repeated(pair: Pair) -> None:
    """The worker died between writing the plan down and putting its pushes."""
    store, now_us = pair.first.store, time.time_ns() // 1000
    lead_id = f"arrived-{next(NUMBERS)}"
    push_id = push_id_of("default", "m3", lead_id, 0)
    push = Push(push_id, "m3", lead_id, 0, "died", now_us, now_us + HOUR_US)
    token = await store.acquire_lease("default", WRITE_LEASE, "the dead", 30.0)
    assert token is not None
    await store.note_arrivals("default", [lead_id], now_us)
    await store.put("default", [Lead(lead_id, now_us, title="水管爆裂", urgency=3)])
    await store.save_plan("default", "died", [NewPush(push, b"", 99, 99)])
    await asyncio.sleep(A_MOMENT)
    assert await pushes_of(pair.first, lead_id) == [], "its lease still holds"
    await store.release_lease("default", WRITE_LEASE, token)
    lead = res.Lead(name=f"{PARENT}/leads/{lead_id}")
    pushes = await until_pushed(pair.second, lead, 5.0)
    assert [p.push.push_id for p in pushes] == [push_id]


async def test_a_plan_made_meanwhile_leaves_arrivals_out(pair: Pair) -> None:
    service = pair.first
    worker = service.server.workers["default"]
    lead = urgent()

    def slow(*arguments: Any) -> Any:
        """The lead arrives after this plan has seen it, and before it is written."""
        plan = best_plan(*arguments)
        asyncio.run_coroutine_threadsafe(arrive(), loop).result()
        return plan

    async def arrive() -> None:
        await service.store.note_arrivals("default", [id_of(lead)], time.time_ns() // 1000)
        await until_pushed(service, lead, 5.0)

    loop, clock = asyncio.get_running_loop(), service.server._service.clock
    # Written by something that notes nothing, so that the plan comes first.
    await service.store.put("default", [Lead(id_of(lead), clock(), title="水管爆裂", urgency=3)])
    config = service.server._service.push_config
    planned = await Planning(worker, config, slow, clock).commit()
    assert planned is not None
    assert id_of(lead) in {push.lead_id for push in planned.plan.pushes}
    assert id_of(lead) not in {push.lead_id for push in planned.pushes}
    assert len(await pushes_of(service, id_of(lead))) <= PushConfig().waves.most[0]


async def test_caps_hold_for_arrivals_too(tmp_path: Path) -> None:
    async with serving(tmp_path, "tiny") as service:
        leads = [urgent() for _ in range(24)]
        await import_leads(service, *leads)
        for lead in leads:
            await until_pushed(service, lead, 20.0)
        given: dict[str, int] = {}
        async for batch in service.store.open_pushes("default"):
            for stored in batch:
                given[stored.push.member_id] = given.get(stored.push.member_id, 0) + 1
        assert given
        # Between two plans lies the gap, so nobody got more than one plan may give.
        assert max(given.values()) <= Caps().plan


async def test_one_worker_at_a_time(pair: Pair) -> None:
    service = pair.first
    worker = service.server.workers["default"]
    token = await service.store.acquire_lease("default", WRITE_LEASE, "somebody", 30.0)
    assert token is not None
    lead = urgent()
    await import_leads(pair.second, lead)
    await asyncio.sleep(A_MOMENT)
    assert await pushes_of(service, id_of(lead)) == []
    await service.store.release_lease("default", WRITE_LEASE, token)
    log = service.server._log
    others = [Arrivals(worker, PushConfig(), service.server._service.clock, log) for _ in range(4)]
    await asyncio.gather(*(other.look() for other in others), return_exceptions=True)
    pushes = await until_pushed(service, lead, 5.0)
    assert len(pushes) <= PushConfig().waves.most[0]


async def test_without_a_model_the_note_waits_for_one(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        lead = urgent()
        await import_leads(service, lead)
        await asyncio.sleep(A_MOMENT)
        assert list(await service.store.arrivals("default")) == [id_of(lead)]

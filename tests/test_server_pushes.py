"""Pushes over gRPC, by two workers on one store: planned, handed out, acknowledged, explained."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import suppress
from itertools import count
from typing import Any

import pytest
import pytest_asyncio
from google.protobuf.field_mask_pb2 import FieldMask
from service import PARENT, Pair, Service, refused, serving, serving_pair

from recsvc.client import AsyncClient, Delivered
from recsvc.errors import PlanRunningError
from recsvc.push.config import PushConfig
from recsvc.serving.planning import Planning, best_plan
from recsvc.store.pushes import NewPush, Push, push_id_of
from recsvc.v1 import catalog_pb2, claim_pb2, recommendation_pb2
from recsvc.v1 import push_pb2 as pb
from recsvc.v1 import resources_pb2 as res

pytestmark = pytest.mark.asyncio(loop_scope="module")
NUMBERS = count()
HOUR_US = 3_600_000_000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Pair, None]:
    folder = tmp_path_factory.mktemp("pushes")
    async with serving_pair(folder, drain_seconds=0.5) as both:
        yield both


@pytest_asyncio.fixture(loop_scope="module")
async def client(pair: Pair) -> AsyncGenerator[AsyncClient, None]:
    async with AsyncClient(f"127.0.0.1:{pair.first.port}") as opened:
        yield opened


async def new_lead(service: Service, **fields: Any) -> str:
    """The id of a lead that nobody has seen."""
    identifier = f"pushed-{next(NUMBERS)}"
    lead = res.Lead(name=f"{PARENT}/leads/{identifier}", title="路灯不亮", **fields)
    await service.catalog.UpdateLead(catalog_pb2.UpdateLeadRequest(lead=lead, allow_missing=True))
    return identifier


async def put(
    service: Service, member: str, lead: str, *, hours: float = 24.0, week: int = 99
) -> str:
    """Puts a push into the outbox; its id."""
    now_us = time.time_ns() // 1000
    push_id = push_id_of("default", member, lead, 0)
    end_us = now_us + round(hours * HOUR_US)
    push = Push(push_id, member, lead, 0, "plan", now_us - 1_000_000, end_us, 0.25, 0.5, "tiny")
    detail = recommendation_pb2.ExplainResponse(member=member).SerializeToString()
    await service.store.put_pushes("default", [NewPush(push, detail, week, 99)], 1, now_us)
    return push_id


def group_name() -> str:
    return f"group-{next(NUMBERS)}"


async def collect(
    client: AsyncClient, group: str, wanted: Iterable[str], seconds: float = 20.0, **options: Any
) -> list[Delivered]:
    """What a stream hands out until it handed out everything wanted."""
    left, found = set(wanted), []
    async with asyncio.timeout(seconds):
        async for message in client.stream_pushes(group, "test", **options):
            found.append(message)
            left -= {push.push_id for push in message.pushes}
            if not left:
                break
    return found


async def nothing(client: AsyncClient, group: str, push_id: str, seconds: float = 1.0) -> None:
    """Asserts that a stream does not hand out this push."""
    seen: list[str] = []
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            async for message in client.stream_pushes(group, "test"):
                seen += [push.push_id for push in message.pushes]
    assert push_id not in seen


async def dropped(service: Service, push_id: str) -> pb.PushFilter.ValueType:
    request = recommendation_pb2.ExplainRequest(parent=PARENT, push_id=push_id)
    reply = await service.recommendation.Explain(request)
    found: pb.PushFilter.ValueType = reply.push.dropped_because
    return found


async def test_a_push_is_handed_out_acknowledged_and_an_exposure(
    pair: Pair, client: AsyncClient
) -> None:
    lead, group = await new_lead(pair.first), group_name()
    push_id = await put(pair.first, "m3", lead)
    messages = await collect(client, group, [push_id])
    [push] = [p for m in messages for p in m.pushes if p.push_id == push_id]
    assert (push.member_id, push.lead_id, push.claim_probability) == ("m3", lead, 0.25)
    assert [m.repeated for m in messages if m.pushes == (push,)] == [False]
    report = await client.ack_pushes(group, [push_id, push_id])
    assert (report.acked_count, report.repeated_count, report.errors) == (1, 0, ())
    report = await client.ack_pushes(group, [push_id, "nothing"])
    assert (report.acked_count, report.repeated_count) == (0, 1)
    assert [(e.row_index, e.reason) for e in report.errors] == [(1, "UNKNOWN_PUSH")]
    await nothing(client, group, push_id)


async def test_what_is_not_acknowledged_comes_again_to_any_consumer(
    pair: Pair, client: AsyncClient
) -> None:
    group = group_name()
    push_id = await put(pair.first, "m4", await new_lead(pair.first))
    await collect(client, group, [push_id], lease_seconds=1)
    async with AsyncClient(f"127.0.0.1:{pair.second.port}") as other:
        again = await collect(other, group, [push_id])
    assert [m.repeated for m in again if m.pushes[0].push_id == push_id] == [True]


async def test_two_consumers_share_a_group_and_two_groups_get_all(
    pair: Pair, client: AsyncClient
) -> None:
    one, two = group_name(), group_name()
    ids = [await put(pair.first, f"m{i}", await new_lead(pair.first)) for i in range(3, 9)]
    seen: list[str] = []

    async def consume(port: int) -> None:
        async with AsyncClient(f"127.0.0.1:{port}") as own:
            async for message in own.stream_pushes(one, f"c{port}"):
                seen.extend(push.push_id for push in message.pushes)

    tasks = [asyncio.create_task(consume(s.port)) for s in (pair.first, pair.second)]
    async with asyncio.timeout(20):
        while not set(ids) <= set(seen):
            await asyncio.sleep(0.05)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert len(seen) == len(set(seen))
    assert len(await collect(client, two, ids)) >= len(ids)


async def test_a_digest_holds_all_of_a_member_and_is_acknowledged_whole_or_by_item(
    pair: Pair, client: AsyncClient
) -> None:
    group = group_name()
    mine = [await put(pair.first, "m7", await new_lead(pair.first)) for _ in range(3)]
    messages = await collect(client, group, mine, digest=True)
    [digest] = [m for m in messages if m.member_id == "m7"]
    ids = [push.push_id for push in digest.pushes]
    assert set(mine) <= set(ids)
    report = await client.ack_pushes(group, mine[:1])
    assert report.acked_count == 1
    report = await client.ack_pushes(group, digest_ids=[digest.digest_id, "nothing"])
    assert (report.acked_count, report.repeated_count) == (len(ids) - 1, 1)
    assert [(e.row_index, e.row_id) for e in report.errors] == [(1, "nothing")]


async def test_what_may_not_be_delivered_any_more_is_dropped(
    pair: Pair, client: AsyncClient
) -> None:
    group = group_name()
    taken = await new_lead(pair.first, claim_capacity=1)
    recused = await new_lead(pair.first, author_id="recused-citizen")
    late = await new_lead(pair.first)
    good = await new_lead(pair.first)
    ids = [await put(pair.first, "m8", lead) for lead in (taken, recused)]
    ids.append(await put(pair.first, "m8", late, hours=-0.0001))
    claim = claim_pb2.ClaimLeadRequest(
        lead=f"{PARENT}/leads/{taken}", member=f"{PARENT}/members/m9", request_id="r"
    )
    await pair.second.claim.ClaimLead(claim)
    conflict = res.Conflict(name=f"{PARENT}/members/m8/conflicts/-", author_id="recused-citizen")
    await pair.second.catalog.UpdateConflict(
        catalog_pb2.UpdateConflictRequest(conflict=conflict, allow_missing=True)
    )
    delivered = await put(pair.first, "m8", good)
    messages = await collect(client, group, [delivered])
    seen = {push.push_id for m in messages for push in m.pushes}
    assert seen.isdisjoint(ids)
    for _ in range(100):
        why = [await dropped(pair.second, push_id) for push_id in ids]
        if all(why):
            break
        await asyncio.sleep(0.05)
    assert why == [pb.PUSH_FILTER_CAPACITY, pb.PUSH_FILTER_CONFLICT, pb.PUSH_FILTER_EXPIRED]


async def test_a_limit_that_was_lowered_holds_at_delivery(pair: Pair, client: AsyncClient) -> None:
    group = group_name()
    member = res.Member(name=f"{PARENT}/members/limited", weekly_push_limit=5)
    update = catalog_pb2.UpdateMemberRequest(member=member, allow_missing=True)
    await pair.first.catalog.UpdateMember(update)
    ids = [await put(pair.first, "limited", await new_lead(pair.first)) for _ in range(3)]
    member.weekly_push_limit = 2
    mask = FieldMask(paths=["weekly_push_limit"])
    await pair.second.catalog.UpdateMember(
        catalog_pb2.UpdateMemberRequest(member=member, update_mask=mask)
    )
    marker = await put(pair.first, "m6", await new_lead(pair.first))
    messages = await collect(client, group, [marker])
    for _ in range(100):
        why = [await dropped(pair.first, push_id) for push_id in ids]
        if pb.PUSH_FILTER_CAPS_USED in why:
            break
        await asyncio.sleep(0.05)
    seen = [p.push_id for m in messages for p in m.pushes if p.member_id == "limited"]
    assert sorted(why) == [0, 0, pb.PUSH_FILTER_CAPS_USED]
    assert set(seen) <= {i for i, w in zip(ids, why, strict=True) if not w}


async def test_a_pause_stops_delivery_until_it_ends(pair: Pair, client: AsyncClient) -> None:
    group = group_name()
    pauses = await client.pause_pushes(reason="误推")
    assert [(p.organization_id, p.reason, p.actor) for p in pauses] == [("", "误推", "local")]
    push_id = await put(pair.first, "m5", await new_lead(pair.first))
    async with AsyncClient(f"127.0.0.1:{pair.second.port}") as other:
        await nothing(other, group, push_id)
    told = await refused(
        pair.second.push.PlanPushes(pb.PlanPushesRequest(parent=PARENT, commit=True))
    )
    assert (told.code, told.reason) == ("FAILED_PRECONDITION", "PUSHES_PAUSED")
    assert await client.resume_pushes() == ()
    await collect(client, group, [push_id])


async def test_an_organization_can_be_paused_alone(pair: Pair, client: AsyncClient) -> None:
    group = group_name()
    await client.pause_pushes("county")
    held = await put(pair.first, "m0", await new_lead(pair.first))
    free = await put(pair.first, "m1", await new_lead(pair.first))
    messages = await collect(client, group, [free])
    assert held not in {push.push_id for m in messages for push in m.pushes}
    assert await client.resume_pushes("county") == ()
    await collect(client, group, [held])
    told = await refused(
        pair.first.push.PausePushes(
            pb.PausePushesRequest(parent=PARENT, organization=f"{PARENT}/organizations/nowhere")
        )
    )
    assert (told.reason, told.field) == ("UNKNOWN_ORGANIZATION", "organization")


async def test_pushes_are_listed_with_what_became_of_them(pair: Pair, client: AsyncClient) -> None:
    group = group_name()
    push_id = await put(pair.first, "m9", await new_lead(pair.first))
    await collect(client, group, [push_id])
    await client.ack_pushes(group, [push_id])
    listed = {status.push.push_id: status async for status in client.list_pushes()}
    assert (listed[push_id].state, listed[push_id].plan_id) == ("DELIVERED", "plan")
    assert listed[push_id].sent_count >= 1
    assert {s.why for s in listed.values() if s.state == "DROPPED"} - {""} == {
        s.why for s in listed.values() if s.state == "DROPPED"
    }
    request = pb.ListPushesRequest(parent=PARENT, page_size=2)
    reply = await pair.second.push.ListPushes(request)
    assert len(reply.pushes) == 2
    request.page_token = reply.next_page_token
    following = await pair.first.push.ListPushes(request)
    names = {status.push.name for status in (*reply.pushes, *following.pushes)}
    assert len(names) == len(reply.pushes) + len(following.pushes)


async def test_plans_are_tried_committed_delivered_and_explained(
    pair: Pair, client: AsyncClient
) -> None:
    group = group_name()
    tried = await client.plan_pushes()
    assert tried.plan_id == ""
    assert tried.pushes
    plan = await client.plan_pushes(commit=True)
    assert plan.plan_id
    ids = {push.push_id for push in plan.pushes}
    assert {p.push_id for p in tried.pushes} >= ids
    again = await client.plan_pushes(commit=True)
    assert ids.isdisjoint(push.push_id for push in again.pushes)
    messages = await collect(client, group, ids)
    push = next(p for m in messages for p in m.pushes if p.push_id in ids)
    assert push.reasons
    found = await client.explain_push(push.push_id)
    assert (found.member_id, found.lead_id, found.shown) == (push.member_id, push.lead_id, True)
    assert (found.model_version, found.push_state) == ("tiny", "WAITING")
    assert found.plan_reason
    assert found.terms
    weights = sum(term.weight for term in found.terms)
    assert found.score == pytest.approx(found.baseline + weights, abs=1e-4)
    await client.ack_pushes(group, [push.push_id])
    assert (await client.explain_push(push.push_id)).push_state == "DELIVERED"


async def test_one_plan_at_a_time_and_what_a_crash_left_is_completed(pair: Pair) -> None:
    service = pair.first
    worker = service.server.workers["default"]
    now_us = time.time_ns() // 1000
    push = Push(
        push_id_of("default", "m2", "l22", 0), "m2", "l22", 0, "crashed", now_us, now_us + HOUR_US
    )
    await service.store.save_plan("default", "crashed", [NewPush(push, b"", 99, 99)])
    token = await service.store.acquire_lease("default", "push-plan", "somebody", 30.0)
    assert token is not None
    planning = Planning(worker, PushConfig(), best_plan, lambda: now_us)
    with pytest.raises(PlanRunningError):
        await planning.commit()
    with pytest.raises(PlanRunningError):
        await planning.complete()
    await service.store.release_lease("default", "push-plan", token)
    assert await planning.complete() == 1
    assert await planning.complete() == 0
    assert await service.store.open_plans("default") == []
    assert push.push_id in await service.store.pushes("default", [push.push_id])


BAD: list[tuple[str, dict[str, Any], str, str]] = [
    ("StreamPushes", {"group": ""}, "MISSING_FIELD", "group"),
    ("StreamPushes", {"group": "a/b"}, "INVALID_NAME", "group"),
    ("StreamPushes", {"group": "g"}, "MISSING_FIELD", "consumer"),
    ("StreamPushes", {"group": "g", "consumer": "c", "lease_seconds": -1}, "INVALID_NUMBER",
     "lease_seconds"),
    ("ListPushes", {"page_size": -1}, "INVALID_PAGE_SIZE", "page_size"),
    ("ListPushes", {"page_token": "x"}, "INVALID_PAGE_TOKEN", "page_token"),
    ("AckPushes", {"group": "g"}, "MISSING_FIELD", "push_ids"),
    ("AckPushes", {"group": "g", "push_ids": ["x"] * 1_001}, "TOO_MANY_ITEMS", "push_ids"),
    ("AckPushes", {"group": "g", "digest_ids": ["x"] * 1_001}, "TOO_MANY_ITEMS", "digest_ids"),
    ("PausePushes", {"reason": "长" * 1_001}, "TEXT_TOO_LONG", "reason"),
    ("PlanPushes", {"parent": "tenants/other"}, "PERMISSION_DENIED", "parent"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "fields", "reason", "field"), BAD)
async def test_what_cannot_be_used(
    pair: Pair, method: str, fields: dict[str, Any], reason: str, field: str
) -> None:
    request = getattr(pb, f"{method}Request")(**({"parent": PARENT} | fields))
    told = await refused(getattr(pair.first.push, method)(request))
    assert (told.reason, told.field) == (reason, field)


async def test_a_worker_that_drains_ends_its_streams(
    pair: Pair, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("draining")
    async with serving(folder, "tiny", valkey=pair.first.valkey, worker_id="w3") as third:
        request = pb.StreamPushesRequest(parent=PARENT, group=group_name(), consumer="c")
        ending = asyncio.create_task(refused(third.push.StreamPushes(request)))
        await asyncio.sleep(0.5)
        await third.server.stop(5.0)
        assert (await ending).reason in ("NOT_READY", "")

"""Two servers on one cluster of three masters, three tenants: claims and pushes over gRPC.

A master is killed in the middle; its replica takes over.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import grpc
import pytest
import pytest_asyncio
from redis import Redis
from service import Service, read_error, refused, serving
from store_servers import replicated_cluster

from recsvc.v1 import catalog_pb2, claim_pb2
from recsvc.v1 import push_pb2 as pb
from recsvc.v1 import resources_pb2 as res

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]
TENANTS = ("guangdong", "hunan", "sichuan")
BUCKETS = 16
LEADS, MEMBERS, CAPACITY = 12, 10, 3
T = TypeVar("T")


@dataclass
class ClusterWorld:
    """Two servers, the ports of the masters, and of their replicas in the same order."""

    servers: tuple[Service, Service]
    masters: list[int]
    replicas: list[int]


@dataclass
class _Elsewhere:
    """A store that somebody else runs."""

    url: str


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[ClusterWorld, None]:
    folder = tmp_path_factory.mktemp("cluster")
    with replicated_cluster(folder / "nodes") as (masters, replicas):
        nodes = ",".join(f"127.0.0.1:{port}" for port in masters)
        store: Any = _Elsewhere(f"redis+cluster://{nodes}")
        options: dict[str, Any] = {"tenants": TENANTS, "bucket_count": BUCKETS, "valkey": store}
        publish_everywhere(folder)
        async with (
            serving(folder, **options) as first,
            serving(folder, worker_id="worker-2", **options) as second,
        ):
            yield ClusterWorld((first, second), masters, replicas)


def publish_everywhere(folder: Path) -> None:
    from tiny_bundle import publish_tiny

    from recsvc.model.registry import ModelRegistry

    for tenant in TENANTS:
        publish_tiny(ModelRegistry(folder / "models", tenant), "tiny")


def name(tenant: str, collection: str, identifier: str) -> str:
    return f"tenants/{tenant}/{collection}/{identifier}"


async def import_leads(
    service: Service, tenant: str, prefix: str, count: int = LEADS, **fields: Any
) -> list[str]:
    """Names of new leads."""
    names = [name(tenant, "leads", f"{prefix}-{i}") for i in range(count)]
    leads = [res.Lead(name=n, title="路灯不亮", **fields) for n in names]
    request = catalog_pb2.ImportLeadsRequest(parent=f"tenants/{tenant}", leads=leads)
    await service.catalog.ImportLeads(iter([request]))
    return names


def claim_request(lead: str, who: int) -> claim_pb2.ClaimLeadRequest:
    tenant = lead.split("/")[1]
    member = name(tenant, "members", f"m{who}")
    return claim_pb2.ClaimLeadRequest(lead=lead, member=member, request_id=f"r{who}")


async def claim(service: Service, lead: str, who: int) -> str:
    """ "GRANTED", or the reason why not; asked again where the worker has too much to do."""
    reason = "OVERLOADED"
    while reason == "OVERLOADED":
        try:
            await service.claim.ClaimLead(claim_request(lead, who))
        except grpc.aio.AioRpcError as error:
            reason = read_error(error).reason
            await asyncio.sleep(0.1)
        else:
            reason = "GRANTED"
    return reason


async def answered(call: Callable[[], Awaitable[T]], seconds: float = 60.0) -> T:
    """The answer, asked for again while the store is away."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                return await call()
            except grpc.aio.AioRpcError as error:
                if error.code() not in (
                    grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED,
                ):  # fmt: skip
                    raise
                await asyncio.sleep(0.1)


async def holders(service: Service, lead: str) -> set[str]:
    request = claim_pb2.ListClaimsRequest(parent=lead)
    found = (await answered(lambda: service.claim.ListClaims(request))).claims
    return {c.member for c in found if c.state == claim_pb2.CLAIM_STATE_ACTIVE}


async def test_exactly_the_capacity_is_granted_in_every_tenant(world: ClusterWorld) -> None:
    leads = [
        lead
        for tenant in TENANTS
        for lead in await import_leads(world.servers[0], tenant, "many", claim_capacity=CAPACITY)
    ]
    asked = [(lead, who) for who in range(MEMBERS) for lead in leads]
    answers = await asyncio.gather(
        *(claim(world.servers[i % 2], lead, who) for i, (lead, who) in enumerate(asked))
    )
    granted: dict[str, int] = {}
    for (lead, _), answer in zip(asked, answers, strict=True):
        assert answer in ("GRANTED", "ALREADY_CLAIMED", "CLAIM_NOT_ALLOWED")
        granted[lead] = granted.get(lead, 0) + (answer == "GRANTED")
    assert set(granted.values()) == {CAPACITY}
    again = await asyncio.gather(
        *(claim(world.servers[(i + 1) % 2], lead, who) for i, (lead, who) in enumerate(asked))
    )
    assert again == answers, "a retry gets the same answer from the other server"


async def test_an_urgent_lead_is_pushed_on_a_cluster(world: ClusterWorld) -> None:
    service, tenant = world.servers[0], TENANTS[1]
    leads = {
        n.rpartition("/")[2] for n in await import_leads(service, tenant, "soon", 1, urgency=3)
    }
    async with asyncio.timeout(20):
        while await service.store.arrivals(tenant):
            await asyncio.sleep(0.05)
    found = [p.push async for batch in service.store.open_pushes(tenant) for p in batch]
    assert leads & {push.lead_id for push in found}


async def test_a_push_is_planned_delivered_and_acknowledged_in_every_tenant(
    world: ClusterWorld,
) -> None:
    for tenant in TENANTS:
        first, second = world.servers
        await import_leads(first, tenant, "pushed")
        plan = await first.push.PlanPushes(
            pb.PlanPushesRequest(parent=f"tenants/{tenant}", commit=True)
        )
        ids = {p.name.rpartition("/")[2] for p in plan.pushes}
        assert ids
        request = pb.StreamPushesRequest(
            parent=f"tenants/{tenant}", group="cluster", consumer="test"
        )
        seen: list[str] = []
        async with asyncio.timeout(30):
            async for message in second.push.StreamPushes(request):
                got = [p.name.rpartition("/")[2] for p in message.pushes]
                seen += got
                acked = await first.push.AckPushes(
                    pb.AckPushesRequest(parent=f"tenants/{tenant}", group="cluster", push_ids=got)
                )
                assert acked.acked_count == len(got)
                if ids <= set(seen):
                    break
        assert len(seen) == len(set(seen))


async def test_the_load_is_spread_over_the_masters(world: ClusterWorld) -> None:
    keys, calls = [], []
    for port in world.masters:
        with Redis(port=port) as node:
            keys.append(node.dbsize())
            stats: dict[str, Any] = node.info("commandstats")
            calls.append(sum(stats[c]["calls"] for c in stats if c in ("cmdstat_evalsha",)))
    for found in (keys, calls):
        assert min(found) >= 0.15 * sum(found), found


async def test_nothing_is_seen_across_tenants(world: ClusterWorld) -> None:
    [lead, *_] = await import_leads(world.servers[0], TENANTS[0], "mine")
    await claim(world.servers[0], lead, 1)
    other = lead.replace(TENANTS[0], TENANTS[2])
    assert await holders(world.servers[1], other) == set()
    request = claim_request(lead, 2)
    request.member = name(TENANTS[2], "members", "m2")
    told = await refused(world.servers[1].claim.ClaimLead(request))
    assert told.reason == "PERMISSION_DENIED"


async def test_a_master_dies_and_what_its_replica_had_acknowledged_survives(
    world: ClusterWorld,
) -> None:
    """Acknowledged and replicated is safe; in between retries decide, never beyond capacity."""
    first, second = world.servers
    leads = [
        lead
        for tenant in TENANTS
        for lead in await import_leads(first, tenant, "failover", claim_capacity=CAPACITY)
    ]
    before = {lead: 5 for lead in leads if await claim(first, lead, 5) == "GRANTED"}
    assert before
    for port in world.masters:
        with Redis(port=port) as node:
            assert node.wait(1, 5_000) >= 1, "the replica has what was acknowledged"
    with Redis(port=world.masters[0]) as node:
        os.kill(node.info("server")["process_id"], signal.SIGKILL)

    async def one(lead: str, who: int) -> None:
        service = (first, second)[who % 2]
        while await answered(lambda: claim_reason(service, lead, who)) == "STORE_UNAVAILABLE":
            await asyncio.sleep(0.1)

    async def claim_reason(service: Service, lead: str, who: int) -> str:
        return await claim(service, lead, who)

    async with asyncio.timeout(120):
        await asyncio.gather(*(one(lead, who) for lead in leads for who in (6, 7, 8)))
    for lead in leads:
        held = await holders(second, lead)
        assert len(held) <= CAPACITY
        if lead in before:
            assert name(lead.split("/")[1], "members", "m5") in held, "an acknowledged claim"
    # Reads, plans and deliveries go on with the replica in its place.
    tenant = TENANTS[0]
    await import_leads(first, tenant, "after")
    plan = await answered(
        lambda: first.push.PlanPushes(pb.PlanPushesRequest(parent=f"tenants/{tenant}"))
    )
    assert plan.revision

"""The store going away: reads go on from memory, writes say so, nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
from service import PARENT, Service, refused, serving
from tiny_bundle import publish_tiny

from recsvc.model.registry import ModelRegistry
from recsvc.store.embedded import EmbeddedValkey
from recsvc.v1 import catalog_pb2, model_pb2
from recsvc.v1 import recommendation_pb2 as pb
from recsvc.v1 import resources_pb2 as res

MEMBER = f"{PARENT}/members/m0"


async def write(service: Service, identifier: str) -> str:
    lead = res.Lead(name=f"{PARENT}/leads/{identifier}", title=identifier)
    request = catalog_pb2.UpdateLeadRequest(lead=lead, allow_missing=True)
    return str((await service.catalog.UpdateLead(request)).revision)


async def read(service: Service, identifier: str, revision: str) -> str:
    name = f"{PARENT}/leads/{identifier}"
    request = catalog_pb2.GetLeadRequest(name=name, min_revision=revision)
    return str((await service.catalog.GetLead(request)).lead.title)


async def kill(valkey: EmbeddedValkey) -> None:
    assert valkey.process_id is not None
    os.kill(valkey.process_id, signal.SIGKILL)
    await valkey.wait()


async def test_reads_go_on_and_writes_are_refused_until_it_is_back(tmp_path: Path) -> None:
    async with serving(tmp_path, "tiny") as service:
        before = await write(service, "before")
        assert await read(service, "before", before) == "before"
        await kill(service.valkey)
        lead = res.Lead(name=f"{PARENT}/leads/during", title="during")
        request = catalog_pb2.UpdateLeadRequest(lead=lead, allow_missing=True)
        told = await refused(service.catalog.UpdateLead(request))
        assert (told.code, told.reason) == ("UNAVAILABLE", "STORE_UNAVAILABLE")
        assert told.retry_seconds is not None
        assert told.retry_seconds > 0
        workers = model_pb2.ListWorkersRequest(parent=PARENT)
        assert (await refused(service.model.ListWorkers(workers))).reason == "STORE_UNAVAILABLE"
        ask = pb.RecommendLeadsRequest(member=MEMBER, page_size=100, min_revision=before)
        reply = await service.recommendation.RecommendLeads(ask)
        assert f"{PARENT}/leads/before" in {item.lead for item in reply.leads}
        assert await read(service, "before", before) == "before"

        await service.valkey.start()
        after = await write(service, "after")
        assert await read(service, "after", after) == "after"
        assert await read(service, "before", after) == "before"
        assert [line["event"] for line in service.log_lines("store away")] == ["store away"]
        for _ in range(200):
            if service.log_lines("store back"):
                break
            await asyncio.sleep(0.02)
        assert len(service.log_lines("store back")) == 1


async def test_a_worker_starts_without_its_store_and_catches_up(tmp_path: Path) -> None:
    valkey = EmbeddedValkey(tmp_path / "data" / "valkey")
    async with valkey:
        async with serving(tmp_path, "tiny", valkey=valkey) as service:
            revision = await write(service, "stored")
        await kill(valkey)
        async with serving(tmp_path, valkey=valkey) as service:
            assert service.server.workers["default"].live_model == "tiny"
            ask = pb.RecommendLeadsRequest(member=MEMBER)
            assert (await service.recommendation.RecommendLeads(ask)).leads
            gone = catalog_pb2.GetLeadRequest(name=f"{PARENT}/leads/stored")
            assert (await refused(service.catalog.GetLead(gone))).reason == "UNKNOWN_LEAD"
            await valkey.start()
            assert await read(service, "stored", revision) == "stored"


async def test_without_store_and_model_a_published_bundle_is_served(tmp_path: Path) -> None:
    valkey = EmbeddedValkey(tmp_path / "data" / "valkey")
    async with valkey:
        await kill(valkey)
        async with serving(tmp_path, valkey=valkey) as service:
            told = await refused(service.recommendation.RecommendLeads(
                pb.RecommendLeadsRequest(member=MEMBER)
            ))  # fmt: skip
            assert told.reason == "NO_MODEL"
            publish_tiny(ModelRegistry(tmp_path / "models"), "late")
            await service.until_live("late")


async def test_a_restart_finds_everything_that_was_acknowledged(tmp_path: Path) -> None:
    valkey = EmbeddedValkey(tmp_path / "data" / "valkey")
    async with valkey:
        async with serving(tmp_path, "tiny", valkey=valkey) as service:
            revisions = [await write(service, f"w{i}") for i in range(20)]
            name = f"{PARENT}/members/m3"
            gone = await service.catalog.DeleteMember(catalog_pb2.DeleteMemberRequest(name=name))
            listed = await service.recommendation.RecommendLeads(
                pb.RecommendLeadsRequest(member=MEMBER, min_revision=gone.revision)
            )
        async with serving(tmp_path, valkey=valkey) as service:
            for i, revision in enumerate(revisions):
                assert await read(service, f"w{i}", revision) == f"w{i}"
            request = catalog_pb2.GetMemberRequest(name=name)
            assert (await refused(service.catalog.GetMember(request))).reason == "UNKNOWN_MEMBER"
            # The key outlives the restart: a page token and a token of a decision still open.
            ask = pb.RecommendLeadsRequest(member=MEMBER, page_token=listed.next_page_token)
            reply = await service.recommendation.RecommendLeads(ask)
            assert reply.leads[0].position == 10


@pytest.mark.parametrize("first", [0, 1])
async def test_two_workers_show_each_others_writes(tmp_path: Path, first: int) -> None:
    async with (
        serving(tmp_path, "tiny") as one,
        serving(tmp_path, valkey=one.valkey, worker_id="worker-2") as two,
    ):
        writer, reader = (one, two) if first == 0 else (two, one)
        for number in range(20):
            revision = await write(writer, f"n{number}")
            assert await read(reader, f"n{number}", revision) == f"n{number}"
            lead = f"{PARENT}/leads/n{number}"
            gone = await reader.catalog.DeleteLead(catalog_pb2.DeleteLeadRequest(name=lead))
            request = catalog_pb2.GetLeadRequest(name=lead, min_revision=gone.revision)
            assert (await refused(writer.catalog.GetLead(request))).reason == "UNKNOWN_LEAD"
        await asyncio.gather(*(update(w, i) for i in range(10) for w in (one, two)))
        request = catalog_pb2.GetLeadRequest(name=f"{PARENT}/leads/l0")
        lead_now = (await one.catalog.GetLead(request)).lead
        assert lead_now.title == "关于交通的建议0"  # of the bundle: only support_count was written


async def update(service: Service, number: int) -> None:
    lead = res.Lead(name=f"{PARENT}/leads/l0", support_count=number + 1)
    await service.catalog.UpdateLead(catalog_pb2.UpdateLeadRequest(lead=lead))


async def test_an_update_does_not_bring_back_what_another_worker_deleted(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, "tiny") as one,
        serving(tmp_path, valkey=one.valkey, worker_id="worker-2") as two,
    ):
        for number in range(8):
            name = f"{PARENT}/leads/l{number}"
            await one.catalog.DeleteLead(catalog_pb2.DeleteLeadRequest(name=name))
            change = catalog_pb2.UpdateLeadRequest(lead=res.Lead(name=name, title="甲"))
            assert (await refused(two.catalog.UpdateLead(change))).reason == "UNKNOWN_LEAD"

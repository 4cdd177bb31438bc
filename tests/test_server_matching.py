"""Batches, matches, scores of pairs and deadlines over gRPC."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio
from service import PARENT, Service, refused, serving
from tiny_bundle import MEMBER_COUNT

from recsvc.v1 import catalog_pb2, errors_pb2
from recsvc.v1 import recommendation_pb2 as pb

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Service, None]:
    async with serving(tmp_path_factory.mktemp("matching"), "tiny") as running:
        yield running


@pytest.fixture
def ranking(service: Service) -> Any:
    return service.recommendation


def member(number: int | str) -> str:
    return f"{PARENT}/members/m{number}"


def lead(number: int | str) -> str:
    return f"{PARENT}/leads/l{number}"


def full_list(number: int, **fields: Any) -> pb.RecommendLeadsRequest:
    return pb.RecommendLeadsRequest(member=member(number), page_size=100, **fields)


async def test_a_batch_answers_each_member_in_order(ranking: Any) -> None:
    names = [member(0), member("nobody"), "bad name", member(1)]
    request = pb.BatchRecommendLeadsRequest(parent=PARENT, members=names, page_size=3)
    results = [r async for part in ranking.BatchRecommendLeads(request) for r in part.results]
    assert [r.member for r in results] == names
    single = await ranking.RecommendLeads(pb.RecommendLeadsRequest(member=member(1), page_size=3))
    assert [x.lead for x in results[3].reply.leads] == [x.lead for x in single.leads]
    assert results[3].reply.attribution_token
    reasons = errors_pb2.ErrorReason
    assert results[1].error.reason == reasons.ERROR_REASON_UNKNOWN_MEMBER
    assert results[2].error.reason == reasons.ERROR_REASON_INVALID_NAME
    assert (results[1].error.row_index, results[1].error.row_id) == (1, member("nobody"))


async def test_a_batch_of_nobody_of_too_many_or_of_strangers(ranking: Any) -> None:
    def batch(*names: str) -> Any:
        request = pb.BatchRecommendLeadsRequest(parent=PARENT, members=names)
        return ranking.BatchRecommendLeads(request)

    assert (await refused(batch())).reason == "MISSING_FIELD"
    assert (await refused(batch(*[member(0)] * 1_001))).reason == "TOO_MANY_ITEMS"
    told = await refused(batch(member(0), "tenants/other/members/m1"))
    assert (told.reason, told.field) == ("PERMISSION_DENIED", "members[1]")


async def test_a_long_batch_leaves_room_for_others(service: Service, ranking: Any) -> None:
    names = [member(i % MEMBER_COUNT) for i in range(1_000)]
    request = pb.BatchRecommendLeadsRequest(parent=PARENT, members=names, page_size=50)

    async def drain() -> float:
        async for _ in ranking.BatchRecommendLeads(request):
            pass
        return time.perf_counter()

    batch = asyncio.create_task(drain())
    await asyncio.sleep(0.05)
    waits: list[float] = []
    while not batch.done():
        begin = time.perf_counter()
        await service.catalog.GetMember(catalog_pb2.GetMemberRequest(name=member(0)))
        waits.append(time.perf_counter() - begin)
    assert len(waits) > 5
    assert sorted(waits)[len(waits) // 2] < 0.2


async def test_matching_a_stored_lead_and_a_draft(ranking: Any) -> None:
    request = pb.MatchMembersRequest(parent=PARENT, lead=lead(13), page_size=100)
    stored = await ranking.MatchMembers(request)
    assert len(stored.members) == stored.eligible_count
    assert member(1) in {m.member for m in stored.members[:4]}
    draft = pb.DraftLead(
        title="河道污水", body="河道里有污水和垃圾，请环保部门关注", topics=["环保"]
    )
    request = pb.MatchMembersRequest(parent=PARENT, draft=draft, view=pb.VIEW_FULL)
    found = await ranking.MatchMembers(request)
    assert {m.resource.sector for m in found.members[:2]} == {"环保界"}
    assert all("环保" in m.reasons[0].text or m.reasons for m in found.members)
    assert (await refused(ranking.MatchMembers(pb.MatchMembersRequest(parent=PARENT)))).field == (
        "subject"
    )
    request = pb.MatchMembersRequest(parent=PARENT, lead=lead("none"))
    told = await refused(ranking.MatchMembers(request))
    assert (told.reason, told.resource) == ("UNKNOWN_LEAD", lead("none"))


async def test_pairs_are_scored_as_lists_score_them(ranking: Any) -> None:
    reply = await ranking.RecommendLeads(full_list(0))
    first = reply.leads[0]
    request = pb.ScorePairsRequest(
        parent=PARENT,
        members=[member(0), member("unknown")],
        leads=[first.lead, lead(0)],
        member_indexes=[0, 1, 0],
        lead_indexes=[0, 0, 1],
    )
    found = await ranking.ScorePairs(request)
    assert found.scores[0] == pytest.approx(first.score, abs=1e-4)
    assert found.claim_probabilities[0] == pytest.approx(first.claim_probability, abs=1e-4)
    assert math.isnan(found.scores[1])
    assert list(found.filter_reasons)[:2] == [
        pb.FILTER_REASON_UNSPECIFIED,
        pb.FILTER_REASON_NOT_FOUND,
    ]
    request.member_indexes.append(0)
    assert (await refused(ranking.ScorePairs(request))).field == "lead_indexes"
    request.lead_indexes.append(2)
    assert (await refused(ranking.ScorePairs(request))).field == "lead_indexes[3]"


async def test_an_expired_deadline_does_no_work(service: Service, ranking: Any) -> None:
    request = pb.RecommendLeadsRequest(member=member(0))
    told = await refused(ranking.RecommendLeads(request, timeout=-1))
    assert told.code == "DEADLINE_EXCEEDED"
    many = [member(i % MEMBER_COUNT) for i in range(1_000)]
    batch = pb.BatchRecommendLeadsRequest(parent=PARENT, members=many)
    told = await refused(ranking.BatchRecommendLeads(batch, timeout=0.1))
    assert told.code == "DEADLINE_EXCEEDED"
    begin = time.perf_counter()
    await ranking.RecommendLeads(pb.RecommendLeadsRequest(member=member(0)))
    assert time.perf_counter() - begin < 0.5  # nobody is still ranking for the one who left
    assert service.log_lines("fault") == []

"""Lists, scores and explanations over gRPC."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio
from google.protobuf.timestamp_pb2 import Timestamp
from service import PARENT, Service, refused, serving
from tiny_bundle import LEAD_COUNT, NOW

from recsvc.v1 import catalog_pb2, participation_pb2
from recsvc.v1 import recommendation_pb2 as pb
from recsvc.v1 import resources_pb2 as res

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Service, None]:
    async with serving(tmp_path_factory.mktemp("recommendation"), "tiny") as running:
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


async def test_scores_are_sums_of_terms_and_order_the_list(ranking: Any) -> None:
    reply = await ranking.RecommendLeads(full_list(0, view=pb.VIEW_FULL))
    scores = [item.score for item in reply.leads]
    assert scores == sorted(scores, reverse=True)
    assert len(reply.leads) == reply.eligible_count < LEAD_COUNT
    for item in reply.leads:
        total = reply.baseline + sum(t.weight for t in item.terms)
        assert math.isclose(item.score, total, rel_tol=1e-5, abs_tol=1e-5)
        assert item.resource.name == item.lead
        assert 0 <= item.claim_probability <= 1
        assert 1 <= len(item.reasons) <= 3
    assert [item.position for item in reply.leads] == list(range(len(reply.leads)))
    assert (reply.model_version, reply.serving_mode) == ("tiny", pb.SERVING_MODE_PERSONALIZED)


async def test_basic_view_is_the_default_and_ten_the_size(ranking: Any) -> None:
    reply = await ranking.RecommendLeads(pb.RecommendLeadsRequest(member=member(0)))
    assert len(reply.leads) == 10
    assert not reply.leads[0].terms
    assert not reply.leads[0].HasField("resource")


async def test_pages_join_to_the_whole_list(ranking: Any) -> None:
    whole = [item.lead for item in (await ranking.RecommendLeads(full_list(5))).leads]
    request = pb.RecommendLeadsRequest(member=member(5), page_size=7)
    paged: list[str] = []
    while True:
        reply = await ranking.RecommendLeads(request)
        assert [item.position for item in reply.leads] == list(
            range(len(paged), len(paged) + len(reply.leads))
        )
        paged += [item.lead for item in reply.leads]
        if not reply.next_page_token:
            break
        request.page_token = reply.next_page_token
        request.page_size = 3
    assert paged == whole


async def test_a_page_token_belongs_to_its_query(ranking: Any) -> None:
    request = pb.RecommendLeadsRequest(member=member(5), page_size=2)
    token = (await ranking.RecommendLeads(request)).next_page_token
    altered = ("A" if token[0] != "A" else "B") + token[1:]
    for wrong in (altered, "2", "x" * 9_999, "页"):
        request.page_token = wrong
        told = await refused(ranking.RecommendLeads(request))
        assert (told.reason, told.field) == ("INVALID_PAGE_TOKEN", "page_token")
    request.page_token, request.diversity = token, 0.5
    assert (await refused(ranking.RecommendLeads(request))).reason == "INVALID_PAGE_TOKEN"
    other = pb.RecommendLeadsRequest(member=member(6), page_size=2, page_token=token)
    assert (await refused(ranking.RecommendLeads(other))).reason == "INVALID_PAGE_TOKEN"


async def test_nobody_is_offered_what_the_masks_take(ranking: Any) -> None:
    mine = {item.lead for item in (await ranking.RecommendLeads(full_list(1))).leads}
    assert lead(1) not in mine  # its author
    reply = await ranking.RecommendLeads(full_list(2))
    assert lead(2) not in {item.lead for item in reply.leads}
    removed = {r.reason: r.count for r in reply.removed}
    assert removed[pb.FILTER_REASON_CONFLICT] == 1


async def test_eligibility_restricts_and_is_accounted_for(ranking: Any) -> None:
    some = pb.Eligibility(candidates=[lead(3), lead(15), lead("unknown")])
    reply = await ranking.RecommendLeads(full_list(0, eligibility=some))
    assert {item.lead for item in reply.leads} == {lead(3), lead(15)}
    removed = {r.reason: r.count for r in reply.removed}
    assert removed[pb.FILTER_REASON_NOT_FOUND] == 1
    assert sum(removed.values()) + reply.eligible_count == LEAD_COUNT + 1
    near = pb.Eligibility(max_distance_km=2.0)
    reply = await ranking.RecommendLeads(full_list(0, eligibility=near))
    assert reply.leads
    assert all(item.distance_km <= 2.0 for item in reply.leads)


async def test_the_past_knows_no_later_leads(ranking: Any) -> None:
    past = Timestamp(seconds=int(NOW.timestamp()) - 20 * 86_400)
    reply = await ranking.RecommendLeads(full_list(0, as_of_time=past))
    assert {item.lead for item in reply.leads} <= {lead(i) for i in range(11)}
    removed = {r.reason: r.count for r in reply.removed}
    assert removed[pb.FILTER_REASON_NOT_YET_CREATED] > 0


def wanted(**fields: Any) -> dict[str, pb.Eligibility]:
    return {"eligibility": pb.Eligibility(**fields)}


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"page_size": -1}, "INVALID_PAGE_SIZE", "page_size"),
    ({"page_size": 10_000}, "INVALID_PAGE_SIZE", "page_size"),
    ({"diversity": 1.5}, "INVALID_NUMBER", "diversity"),
    ({"diversity": float("nan")}, "INVALID_NUMBER", "diversity"),
    ({"view": 9}, "INVALID_ENUM", "view"),
    ({"as_of_time": Timestamp(seconds=4_000_000_000)}, "INVALID_TIME", "as_of_time"),
    ({"min_revision": "latest"}, "INVALID_REVISION", "min_revision"),
    (
        {"eligibility": pb.Eligibility(region_code="hunan")},
        "INVALID_REGION_CODE",
        "eligibility.region_code",
    ),
    (
        {"eligibility": pb.Eligibility(max_distance_km=-1)},
        "INVALID_NUMBER",
        "eligibility.max_distance_km",
    ),
    (
        {"eligibility": pb.Eligibility(candidates=["x"])},
        "INVALID_NAME",
        "eligibility.candidates[0]",
    ),
    (wanted(region_code="hunan"), "INVALID_REGION_CODE", "eligibility.region_code"),
    (wanted(max_distance_km=-1), "INVALID_NUMBER", "eligibility.max_distance_km"),
    (wanted(candidates=["x"]), "INVALID_NAME", "eligibility.candidates[0]"),
    (wanted(topics=["t"] * 101), "TOO_MANY_ITEMS", "eligibility.topics"),
]


@pytest.mark.parametrize(("fields", "reason", "field"), BAD)
async def test_every_bad_field_has_its_reason(
    ranking: Any, fields: dict[str, Any], reason: str, field: str
) -> None:
    request = pb.RecommendLeadsRequest(member=member(0), **fields)
    told = await refused(ranking.RecommendLeads(request))
    assert (told.code, told.reason, told.field) == ("INVALID_ARGUMENT", reason, field)


async def test_an_imported_lead_is_in_the_next_list(service: Service, ranking: Any) -> None:
    new = res.Lead(name=lead("new"), title="道路交通拥堵", topics=["交通"], region_code="430104")
    request = catalog_pb2.UpdateLeadRequest(lead=new, allow_missing=True)
    revision = (await service.catalog.UpdateLead(request)).revision
    reply = await ranking.RecommendLeads(full_list(0, min_revision=revision))
    assert lead("new") in {item.lead for item in reply.leads}
    new.state = res.LEAD_STATE_WITHDRAWN
    request = catalog_pb2.UpdateLeadRequest(lead=new)
    revision = (await service.catalog.UpdateLead(request)).revision
    reply = await ranking.RecommendLeads(full_list(0, min_revision=revision))
    assert lead("new") not in {item.lead for item in reply.leads}


async def test_a_dismissed_lead_never_comes_back(service: Service, ranking: Any) -> None:
    first = (await ranking.RecommendLeads(full_list(4))).leads[0].lead
    event = participation_pb2.ParticipationEvent(
        event_id="dismiss-1",
        kind=participation_pb2.EVENT_KIND_DISMISSED,
        event_time=Timestamp(seconds=int(time.time())),
        member=member(4),
        lead=first,
    )
    request = participation_pb2.RecordEventsRequest(parent=PARENT, events=[event])
    revision = (await service.participation.RecordEvents(request)).revision
    reply = await ranking.RecommendLeads(full_list(4, min_revision=revision))
    assert first not in {item.lead for item in reply.leads}
    assert {r.reason for r in reply.removed} >= {pb.FILTER_REASON_DISMISSED}

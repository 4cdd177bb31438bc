"""Explain over gRPC: why, why not, and as it was when a reply was given."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio
from google.protobuf.timestamp_pb2 import Timestamp
from service import PARENT, Service, refused, serving

from recsvc.v1 import catalog_pb2, participation_pb2
from recsvc.v1 import recommendation_pb2 as pb
from recsvc.v1 import resources_pb2 as res

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Service, None]:
    async with serving(tmp_path_factory.mktemp("explain"), "tiny") as running:
        yield running


@pytest.fixture
def ranking(service: Service) -> Any:
    return service.recommendation


def member(number: int | str) -> str:
    return f"{PARENT}/members/m{number}"


def lead(number: int | str) -> str:
    return f"{PARENT}/leads/l{number}"


def pair(m: int | str, n: int | str) -> pb.Pair:
    return pb.Pair(member=member(m), lead=lead(n))


async def explain(ranking: Any, m: int | str, n: int | str, **fields: Any) -> pb.ExplainResponse:
    request = pb.ExplainRequest(parent=PARENT, pair=pair(m, n), **fields)
    reply: pb.ExplainResponse = await ranking.Explain(request)
    return reply


async def test_what_is_shown_is_explained_as_it_is_listed(ranking: Any) -> None:
    request = pb.RecommendLeadsRequest(member=member(0), view=pb.VIEW_FULL)
    listed = await ranking.RecommendLeads(request)
    for rank, item in enumerate(listed.leads, 1):
        number = item.lead.rpartition("/l")[2]
        found = await explain(ranking, 0, number)
        assert found.would_be_shown
        assert found.rank == rank
        assert found.score == pytest.approx(item.score, abs=1e-3)
        assert found.eligible_count == listed.eligible_count
        assert [r.code for r in found.reasons] == [r.code for r in item.reasons]
        total = found.baseline + sum(t.weight for t in found.terms)
        assert found.score == pytest.approx(total, abs=1e-3)


@pytest.mark.parametrize(
    ("m", "n", "reason"),
    [
        (1, 1, pb.FILTER_REASON_AUTHOR),
        (2, 2, pb.FILTER_REASON_CONFLICT),
        (0, 4, pb.FILTER_REASON_ALREADY_TAKEN),
    ],
)
async def test_what_is_not_shown_says_why_not(
    ranking: Any, m: int, n: int, reason: pb.FilterReason.ValueType
) -> None:
    found = await explain(ranking, m, n)
    assert not found.would_be_shown
    assert [b.reason for b in found.blocked_by] == [reason]
    assert found.blocked_by[0].text
    assert not found.HasField("rank")
    assert found.score != 0


async def test_eligibility_can_leave_a_lead_out(ranking: Any) -> None:
    only_roads = pb.Eligibility(topics=["交通"])
    found = await explain(ranking, 0, 13, eligibility=only_roads)
    assert [b.reason for b in found.blocked_by] == [pb.FILTER_REASON_NOT_ELIGIBLE]
    found = await explain(ranking, 0, 13, eligibility=pb.Eligibility(candidates=[lead(12)]))
    assert [b.reason for b in found.blocked_by] == [pb.FILTER_REASON_NOT_ELIGIBLE]
    found = await explain(ranking, 0, 16, eligibility=only_roads)
    assert found.would_be_shown
    assert 1 <= found.rank <= found.eligible_count


async def test_unknown_ids_and_missing_targets(ranking: Any) -> None:
    request = pb.ExplainRequest(parent=PARENT, pair=pair("none", 1))
    assert (await refused(ranking.Explain(request))).reason == "UNKNOWN_MEMBER"
    request = pb.ExplainRequest(parent=PARENT, pair=pair(1, "none"))
    told = await refused(ranking.Explain(request))
    assert (told.reason, told.resource) == ("UNKNOWN_LEAD", lead("none"))
    assert (await refused(ranking.Explain(pb.ExplainRequest(parent=PARENT)))).field == "target"
    request = pb.ExplainRequest(parent=PARENT, push_id="p1")
    assert (await refused(ranking.Explain(request))).reason == "UNKNOWN_PUSH"


async def test_a_past_reply_is_computed_again_as_it_was(service: Service, ranking: Any) -> None:
    listed = await ranking.RecommendLeads(pb.RecommendLeadsRequest(member=member(5)))
    top = listed.leads[0]
    event = participation_pb2.ParticipationEvent(
        event_id="explain-1",
        kind=participation_pb2.EVENT_KIND_DISMISSED,
        event_time=Timestamp(seconds=int(time.time())),
        member=member(5),
        lead=top.lead,
        attribution_token=listed.attribution_token,
    )
    request = participation_pb2.RecordEventsRequest(parent=PARENT, events=[event])
    revision = (await service.participation.RecordEvents(request)).revision
    number = top.lead.rpartition("/l")[2]
    now = await explain(ranking, 5, number, min_revision=revision)
    assert [b.reason for b in now.blocked_by] == [pb.FILTER_REASON_DISMISSED]
    attributed = pb.AttributedPair(attribution_token=listed.attribution_token, pair=pair(5, number))
    then = await ranking.Explain(pb.ExplainRequest(parent=PARENT, attributed=attributed))
    assert then.would_be_shown
    assert (then.rank, then.revision) == (1, listed.revision)
    assert then.score == pytest.approx(top.score, abs=1e-4)
    assert then.decision_time.seconds <= int(time.time())


async def test_tokens_that_are_altered_or_about_others_are_refused(ranking: Any) -> None:
    token = (
        await ranking.RecommendLeads(pb.RecommendLeadsRequest(member=member(6)))
    ).attribution_token
    middle = len(token) // 2
    altered = token[:middle] + ("A" if token[middle] != "A" else "B") + token[middle + 1 :]
    for wrong, who in ((altered, 6), ("abc", 6), (token, 7)):
        attributed = pb.AttributedPair(attribution_token=wrong, pair=pair(who, 3))
        told = await refused(
            ranking.Explain(pb.ExplainRequest(parent=PARENT, attributed=attributed))
        )
        assert told.reason == "INVALID_ATTRIBUTION_TOKEN"
        assert told.field == "attributed.attribution_token"


async def test_a_draft_and_a_lost_model_cannot_be_replayed(service: Service, ranking: Any) -> None:
    draft = pb.MatchMembersRequest(parent=PARENT, draft=pb.DraftLead(title="道路拥堵"))
    token = (await ranking.MatchMembers(draft)).attribution_token
    attributed = pb.AttributedPair(attribution_token=token, pair=pair(6, 3))
    request = pb.ExplainRequest(parent=PARENT, attributed=attributed)
    assert (await refused(ranking.Explain(request))).reason == "NOT_REPLAYABLE"
    listed = await ranking.RecommendLeads(pb.RecommendLeadsRequest(member=member(6)))
    change = res.Lead(name=lead(3), urgency=3)
    await service.catalog.UpdateLead(catalog_pb2.UpdateLeadRequest(lead=change))
    kept = service.registry.folder / "tiny"
    kept.rename(kept.with_name(".away"))
    try:
        attributed.attribution_token = listed.attribution_token
        request = pb.ExplainRequest(parent=PARENT, attributed=attributed)
        reply = await ranking.RecommendLeads(pb.RecommendLeadsRequest(member=member(6)))
        while reply.revision == listed.revision:
            reply = await ranking.RecommendLeads(pb.RecommendLeadsRequest(member=member(6)))
        assert (await refused(ranking.Explain(request))).reason == "NOT_REPLAYABLE"
    finally:
        kept.with_name(".away").rename(kept)

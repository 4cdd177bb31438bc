"""Claims over gRPC, by two workers on one store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from itertools import count
from typing import Any

import pytest
import pytest_asyncio
from google.protobuf.field_mask_pb2 import FieldMask
from service import PARENT, Pair, Service, refused, serving, serving_pair

from features.entities import EventKind
from recsvc.client import AsyncClient
from recsvc.store.changes import changes_between
from recsvc.store.codec import decode_event
from recsvc.store.protocol import ChangeKind
from recsvc.store.revision import NOTHING
from recsvc.v1 import catalog_pb2, recommendation_pb2
from recsvc.v1 import claim_pb2 as pb
from recsvc.v1 import resources_pb2 as res

pytestmark = pytest.mark.asyncio(loop_scope="module")
NUMBERS = count()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Pair, None]:
    folder = tmp_path_factory.mktemp("claims")
    async with serving_pair(folder) as both:
        yield both


def member(number: int) -> str:
    return f"{PARENT}/members/m{number}"


async def new_lead(service: Service, capacity: int | None = 1, **fields: Any) -> str:
    name = f"{PARENT}/leads/claimed-{next(NUMBERS)}"
    lead = res.Lead(name=name, title="路灯不亮", claim_capacity=capacity, **fields)
    await service.catalog.UpdateLead(catalog_pb2.UpdateLeadRequest(lead=lead, allow_missing=True))
    return name


async def claim(service: Service, lead: str, who: int, request_id: str = "") -> Any:
    request_id = request_id or f"claim-{lead}-{who}"
    ask = pb.ClaimLeadRequest(lead=lead, member=member(who), request_id=request_id)
    return await service.claim.ClaimLead(ask)


async def read(service: Service, lead: str, revision: str) -> res.Lead:
    ask = catalog_pb2.GetLeadRequest(name=lead, min_revision=revision)
    found: res.Lead = (await service.catalog.GetLead(ask)).lead
    return found


async def offered(service: Service, who: int, revision: str) -> set[str]:
    ask = recommendation_pb2.RecommendLeadsRequest(
        member=member(who), page_size=100, min_revision=revision
    )
    return {item.lead for item in (await service.recommendation.RecommendLeads(ask)).leads}


async def test_a_claim_takes_the_capacity_and_a_release_frees_it_at_once(pair: Pair) -> None:
    lead = await new_lead(pair.first)
    reply = await claim(pair.first, lead, 3)
    assert (reply.claim.name, reply.claim.member) == (f"{lead}/claims/m3", member(3))
    assert (reply.claim.state, reply.claim.HasField("update_time")) == (pb.CLAIM_STATE_ACTIVE, True)
    assert (await read(pair.second, lead, reply.revision)).claim_count == 1
    assert lead not in await offered(pair.second, 4, reply.revision)
    back = pb.ReleaseLeadRequest(lead=lead, member=member(3), request_id="back")
    reply = await pair.second.claim.ReleaseLead(back)
    assert reply.claim.state == pb.CLAIM_STATE_RELEASED
    assert (await read(pair.first, lead, reply.revision)).claim_count == 0
    assert lead in await offered(pair.first, 4, reply.revision)
    assert lead not in await offered(pair.first, 3, reply.revision), "who gave it back had it"


async def test_exactly_the_capacity_is_granted_over_both_workers(pair: Pair) -> None:
    lead = await new_lead(pair.first, capacity=3)
    workers = (pair.first, pair.second)
    calls = [claim(workers[i % 2], lead, i % 12, f"r{i}") for i in range(60)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    granted = {a.claim.member for a in answers if not isinstance(a, BaseException)}
    assert len(granted) == 3
    repeated = [claim(workers[1 - i % 2], lead, i % 12, f"r{i}") for i in range(60)]
    again = await asyncio.gather(*repeated, return_exceptions=True)
    for a, b in zip(answers, again, strict=True):
        if isinstance(a, BaseException):
            assert isinstance(b, BaseException)
            assert str(a) == str(b)
        else:
            assert a == b


async def test_losers_learn_that_it_is_taken_but_not_by_whom(pair: Pair) -> None:
    lead = await new_lead(pair.first)
    await claim(pair.first, lead, 7)
    told = await refused(claim(pair.second, lead, 8))
    assert (told.code, told.reason) == ("FAILED_PRECONDITION", "ALREADY_CLAIMED")
    assert told.metadata == {"claim_count": "1", "claim_capacity": "1"}
    assert (told.field, told.resource) == ("lead", lead)
    assert "m7" not in str(told)


async def test_a_transfer_moves_the_hold_and_keeps_the_count(pair: Pair) -> None:
    lead = await new_lead(pair.first)
    await claim(pair.first, lead, 3)
    hand = pb.TransferLeadRequest(
        lead=lead, member=member(3), to_member=member(4), request_id="hand"
    )
    reply = await pair.second.claim.TransferLead(hand)
    assert (reply.claim.member, reply.claim.state) == (member(4), pb.CLAIM_STATE_ACTIVE)
    assert (await read(pair.first, lead, reply.revision)).claim_count == 1
    assert await pair.first.claim.TransferLead(hand) == reply
    told = await refused(claim(pair.first, lead, 3, "again"))
    assert told.reason == "ALREADY_CLAIMED"


async def test_resolving_closes_the_lead(pair: Pair) -> None:
    lead = await new_lead(pair.first, capacity=2)
    await claim(pair.first, lead, 3)
    await claim(pair.second, lead, 4)
    solve = pb.ResolveLeadRequest(lead=lead, member=member(3), request_id="solve")
    reply = await pair.second.claim.ResolveLead(solve)
    assert reply.claim.state == pb.CLAIM_STATE_RESOLVED
    found = await read(pair.first, lead, reply.revision)
    assert (found.state, found.claim_count) == (res.LEAD_STATE_CLOSED, 1)
    assert found.HasField("close_time")
    assert await pair.first.claim.ResolveLead(solve) == reply
    assert (await refused(claim(pair.first, lead, 5))).reason == "LEAD_NOT_OPEN"
    solve = pb.ResolveLeadRequest(lead=lead, member=member(4), request_id="too")
    reply = await pair.first.claim.ResolveLead(solve)
    assert (await read(pair.second, lead, reply.revision)).claim_count == 0


async def test_transitions_are_events_of_the_log(pair: Pair) -> None:
    lead = await new_lead(pair.first)
    ask = pb.ClaimLeadRequest(
        lead=lead, member=member(3), request_id="e", push_id="p1", attribution_token="t1"
    )
    await pair.first.claim.ClaimLead(ask)
    back = pb.ReleaseLeadRequest(lead=lead, member=member(3), request_id="f")
    await pair.first.claim.ReleaseLead(back)
    store = pair.first.store
    until = await store.latest_revision("default")
    changes = [c async for part in changes_between(store, "default", NOTHING, until) for c in part]
    events = [decode_event(c.payload) for c in changes if c.kind is ChangeKind.EVENT]
    mine = [e for e in events if e.lead_id == lead.rpartition("/")[2]]
    assert [e.kind for e in mine] == [EventKind.CLAIMED, EventKind.RELEASED]
    assert (mine[0].push_id, mine[0].attribution_token, mine[0].member_id) == ("p1", "t1", "m3")


async def test_masks_forbid_claims(pair: Pair) -> None:
    authored = await new_lead(pair.first, author_id="m5")
    recused = await new_lead(
        pair.first, author_id="citizen", organization=f"{PARENT}/organizations/city"
    )
    conflict = res.Conflict(name=f"{member(6)}/conflicts/-", author_id="citizen")
    await pair.first.catalog.UpdateConflict(
        catalog_pb2.UpdateConflictRequest(conflict=conflict, allow_missing=True)
    )
    retired = res.Member(name=member(11), active=False)
    mask = FieldMask(paths=["active"])
    await pair.first.catalog.UpdateMember(
        catalog_pb2.UpdateMemberRequest(member=retired, update_mask=mask)
    )
    for lead, who, verdict in (
        (authored, 5, "AUTHOR"),
        (recused, 6, "CONFLICT"),
        (recused, 11, "INACTIVE"),
    ):
        told = await refused(claim(pair.second, lead, who))
        assert (told.reason, told.field) == ("CLAIM_NOT_ALLOWED", "member")
        assert told.metadata == {"filter": verdict}
    await claim(pair.first, recused, 1)
    hand = pb.TransferLeadRequest(
        lead=recused, member=member(1), to_member=member(6), request_id="hand"
    )
    told = await refused(pair.second.claim.TransferLead(hand))
    assert (told.reason, told.field) == ("CLAIM_NOT_ALLOWED", "to_member")


async def test_jurisdiction_forbids_claims(pair: Pair) -> None:
    own = res.Organization(
        name=f"{PARENT}/organizations/far", jurisdiction=[res.JURISDICTION_RULE_OWN]
    )
    update = catalog_pb2.UpdateOrganizationRequest(organization=own, allow_missing=True)
    await pair.first.catalog.UpdateOrganization(update)
    stranger = res.Member(name=f"{PARENT}/members/stranger", organization=own.name)
    await pair.first.catalog.UpdateMember(
        catalog_pb2.UpdateMemberRequest(member=stranger, allow_missing=True)
    )
    lead = await new_lead(pair.first, organization=f"{PARENT}/organizations/city")
    ask = pb.ClaimLeadRequest(lead=lead, member=stranger.name, request_id="x")
    told = await refused(pair.second.claim.ClaimLead(ask))
    assert (told.reason, told.metadata) == ("CLAIM_NOT_ALLOWED", {"filter": "JURISDICTION"})


async def test_what_a_bundle_alone_knows_can_be_claimed_and_resolved(pair: Pair) -> None:
    lead = f"{PARENT}/leads/l20"
    reply = await claim(pair.first, lead, 3)
    assert (await read(pair.second, lead, reply.revision)).claim_count == 1
    solve = pb.ResolveLeadRequest(lead=lead, member=member(3), request_id="solve")
    reply = await pair.second.claim.ResolveLead(solve)
    found = await read(pair.first, lead, reply.revision)
    assert (found.state, found.title) == (res.LEAD_STATE_CLOSED, "关于交通的建议20")


async def test_a_worker_that_starts_later_knows_who_holds_what(
    pair: Pair, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lead = await new_lead(pair.first)
    revision = (await claim(pair.first, lead, 3)).revision
    folder = tmp_path_factory.mktemp("later")
    async with serving(folder, "tiny", valkey=pair.first.valkey, worker_id="worker-3") as third:
        assert (await read(third, lead, revision)).claim_count == 1
        assert lead not in await offered(third, 4, revision)


async def test_the_platform_may_mark_a_lead_as_taken(pair: Pair) -> None:
    lead = await new_lead(pair.first, capacity=5, state=res.LEAD_STATE_CLAIMED)
    told = await refused(claim(pair.first, lead, 3))
    assert (told.reason, told.metadata) == ("ALREADY_CLAIMED", {})


BAD: list[tuple[dict[str, str], str, str]] = [
    ({"lead": ""}, "MISSING_FIELD", "lead"),
    ({"lead": f"{PARENT}/members/m1"}, "INVALID_NAME", "lead"),
    ({"lead": "tenants/other/leads/l1"}, "PERMISSION_DENIED", "lead"),
    ({"lead": f"{PARENT}/leads/nobody"}, "UNKNOWN_LEAD", "lead"),
    ({"member": ""}, "MISSING_FIELD", "member"),
    ({"member": f"{PARENT}/members/nobody"}, "UNKNOWN_MEMBER", "member"),
    ({"request_id": ""}, "MISSING_FIELD", "request_id"),
    ({"request_id": "x" * 129}, "INVALID_NAME", "request_id"),
    ({"push_id": "x" * 129}, "INVALID_NAME", "push_id"),
    ({"attribution_token": "x" * 513}, "TEXT_TOO_LONG", "attribution_token"),
]


@pytest.mark.parametrize(("fields", "reason", "field"), BAD)
async def test_what_cannot_be_used(
    pair: Pair, fields: dict[str, str], reason: str, field: str
) -> None:
    values = {"lead": f"{PARENT}/leads/l21", "member": member(1), "request_id": "r"} | fields
    told = await refused(pair.first.claim.ClaimLead(pb.ClaimLeadRequest(**values)))
    assert (told.reason, told.field) == (reason, field)


async def test_the_client_claims(pair: Pair) -> None:
    lead = (await new_lead(pair.first)).rpartition("/")[2]
    async with AsyncClient(f"127.0.0.1:{pair.first.port}") as client:
        claim = await client.claim(lead, "m3", request_id="mine")
        assert (claim.lead_id, claim.member_id, claim.state) == (lead, "m3", "ACTIVE")
        assert await client.claim(lead, "m3", request_id="mine") == claim
        handed = await client.transfer(lead, "m3", "m4")
        assert (handed.member_id, handed.state) == ("m4", "ACTIVE")
        assert (await client.release(lead, "m4")).state == "RELEASED"
        await client.claim(lead, "m5")
        assert (await client.resolve(lead, "m5")).state == "RESOLVED"
        assert (await client.get_claim(lead, "m5")).state == "RESOLVED"
        held = {c.member_id: c.state async for c in client.list_claims(lead)}
        assert held == {"m3": "TRANSFERRED", "m4": "RELEASED", "m5": "RESOLVED"}
        assert (await client.get_lead(lead)).state.name == "CLOSED"


async def test_claims_are_read_one_by_one_and_by_lead(pair: Pair) -> None:
    lead = await new_lead(pair.first, capacity=None)
    name = f"{lead}/claims/m1"
    told = await refused(pair.first.claim.GetClaim(pb.GetClaimRequest(name=name)))
    assert (told.code, told.reason, told.field) == ("NOT_FOUND", "UNKNOWN_CLAIM", "name")
    for number in (3, 1, 2):
        await claim(pair.first, lead, number)
    request = pb.ReleaseLeadRequest(lead=lead, member=member(2), request_id="given back")
    await pair.second.claim.ReleaseLead(request)
    found = (await pair.second.claim.GetClaim(pb.GetClaimRequest(name=name))).claim
    assert (found.name, found.member, found.state) == (name, member(1), pb.CLAIM_STATE_ACTIVE)
    assert found.update_time.seconds > 0
    page = pb.ListClaimsRequest(parent=lead, page_size=2)
    first = await pair.second.claim.ListClaims(page)
    page.page_token = first.next_page_token
    last = await pair.first.claim.ListClaims(page)
    assert last.next_page_token == ""
    states = {c.member: c.state for c in (*first.claims, *last.claims)}
    assert list(states.items()) == [
        (member(1), pb.CLAIM_STATE_ACTIVE),
        (member(2), pb.CLAIM_STATE_RELEASED),
        (member(3), pb.CLAIM_STATE_ACTIVE),
    ]
    assert (await pair.first.claim.ListClaims(pb.ListClaimsRequest(parent=f"{lead}x"))).claims == []


BAD_READS: list[tuple[str, dict[str, Any], str, str]] = [
    ("GetClaim", {"name": ""}, "MISSING_FIELD", "name"),
    ("GetClaim", {"name": f"{PARENT}/leads/l1"}, "INVALID_NAME", "name"),
    ("GetClaim", {"name": f"{PARENT}/leads/l1/claims/"}, "INVALID_NAME", "name"),
    ("GetClaim", {"name": "tenants/other/leads/l1/claims/m1"}, "PERMISSION_DENIED", "name"),
    ("ListClaims", {"parent": PARENT}, "INVALID_NAME", "parent"),
    ("ListClaims", {"parent": f"{PARENT}/leads/l1", "page_size": -1}, "INVALID_PAGE_SIZE",
     "page_size"),
    ("ListClaims", {"parent": f"{PARENT}/leads/l1", "page_token": "x"}, "INVALID_PAGE_TOKEN",
     "page_token"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "fields", "reason", "field"), BAD_READS)
async def test_what_cannot_be_read(
    pair: Pair, method: str, fields: dict[str, Any], reason: str, field: str
) -> None:
    request = getattr(pb, f"{method}Request")(**fields)
    told = await refused(getattr(pair.first.claim, method)(request))
    assert (told.reason, told.field) == (reason, field)

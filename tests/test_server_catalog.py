"""The catalog over gRPC: the bundle's records below, the store's above."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio
from google.protobuf.field_mask_pb2 import FieldMask
from google.type.latlng_pb2 import LatLng
from service import PARENT, Service, refused, serving
from tiny_bundle import LEAD_COUNT, MEMBER_COUNT

from recsvc.v1 import catalog_pb2 as pb
from recsvc.v1 import resources_pb2 as res

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Service, None]:
    async with serving(tmp_path_factory.mktemp("catalog"), "tiny") as running:
        yield running


@pytest.fixture
def catalog(service: Service) -> Any:
    return service.catalog


def lead_name(identifier: str) -> str:
    return f"{PARENT}/leads/{identifier}"


def member_name(identifier: str) -> str:
    return f"{PARENT}/members/{identifier}"


def mask(*paths: str) -> FieldMask:
    return FieldMask(paths=paths)


async def get_lead(catalog: Any, identifier: str, revision: str = "") -> res.Lead:
    request = pb.GetLeadRequest(name=lead_name(identifier), min_revision=revision)
    lead: res.Lead = (await catalog.GetLead(request)).lead
    return lead


async def create_lead(catalog: Any, identifier: str, **fields: Any) -> str:
    lead = res.Lead(name=lead_name(identifier), **fields)
    reply = await catalog.UpdateLead(pb.UpdateLeadRequest(lead=lead, allow_missing=True))
    return str(reply.revision)


async def test_a_record_of_the_bundle_can_be_read(catalog: Any) -> None:
    reply = await catalog.GetMember(pb.GetMemberRequest(name=member_name("m3")))
    assert reply.member.display_name == "委员3"
    assert reply.member.places[0].kind == res.PLACE_KIND_STUDIO
    assert reply.member.active
    lead = await get_lead(catalog, "l2")
    assert lead.state == res.LEAD_STATE_OPEN
    assert lead.organization == f"{PARENT}/organizations/city"


async def test_a_record_that_only_the_bundle_has_is_updated_field_by_field(catalog: Any) -> None:
    before = await get_lead(catalog, "l3")
    lead = res.Lead(name=before.name, title="新的标题", urgency=1)
    reply = await catalog.UpdateLead(pb.UpdateLeadRequest(lead=lead, update_mask=mask("title")))
    after = await get_lead(catalog, "l3", reply.revision)
    before.title = "新的标题"
    assert after == before == reply.lead


async def test_no_mask_means_what_is_set_and_a_star_means_all(catalog: Any) -> None:
    await create_lead(catalog, "masks", title="甲", body="乙", urgency=2, topics=["丙"])
    lead = res.Lead(name=lead_name("masks"), title="丁")
    reply = await catalog.UpdateLead(pb.UpdateLeadRequest(lead=lead))
    assert (reply.lead.title, reply.lead.body, reply.lead.urgency) == ("丁", "乙", 2)
    reply = await catalog.UpdateLead(pb.UpdateLeadRequest(lead=lead, update_mask=mask("*")))
    assert (reply.lead.title, reply.lead.body, reply.lead.topics) == ("丁", "", [])
    assert reply.lead.HasField("create_time")


async def test_a_field_that_is_masked_and_absent_is_cleared(catalog: Any) -> None:
    place = LatLng(latitude=28.0, longitude=112.0)
    await create_lead(catalog, "cleared", title="甲", location=place, claim_capacity=3)
    request = pb.UpdateLeadRequest(
        lead=res.Lead(name=lead_name("cleared")), update_mask=mask("location", "claim_capacity")
    )
    reply = await catalog.UpdateLead(request)
    assert reply.lead.title == "甲"
    assert not reply.lead.HasField("location")
    assert not reply.lead.HasField("claim_capacity")


async def test_times_that_a_caller_leaves_out(catalog: Any) -> None:
    await create_lead(catalog, "times", title="甲")
    created = (await get_lead(catalog, "times")).create_time
    lead = res.Lead(name=lead_name("times"), title="乙", state=res.LEAD_STATE_CLOSED)
    reply = await catalog.UpdateLead(pb.UpdateLeadRequest(lead=lead, update_mask=mask("*")))
    assert reply.lead.create_time == created
    assert reply.lead.close_time.seconds >= created.seconds
    lead = res.Lead(name=lead_name("times"), state=res.LEAD_STATE_OPEN)
    reply = await catalog.UpdateLead(pb.UpdateLeadRequest(lead=lead))
    assert not reply.lead.HasField("close_time")


async def test_what_is_not_there_is_not_updated_without_allow_missing(catalog: Any) -> None:
    call = catalog.UpdateMember(pb.UpdateMemberRequest(member=res.Member(name=member_name("no"))))
    told = await refused(call)
    assert (told.code, told.reason) == ("NOT_FOUND", "UNKNOWN_MEMBER")
    assert told.resource == member_name("no")
    member = res.Member(name=member_name("no"), display_name="新人")
    request = pb.UpdateMemberRequest(member=member, allow_missing=True)
    reply = await catalog.UpdateMember(request)
    assert reply.member.display_name == "新人"


async def test_deleting_hides_the_bundles_record(catalog: Any) -> None:
    gone = await catalog.DeleteLead(pb.DeleteLeadRequest(name=lead_name("l9")))
    request = pb.GetLeadRequest(name=lead_name("l9"), min_revision=gone.revision)
    assert (await refused(catalog.GetLead(request))).reason == "UNKNOWN_LEAD"
    again = pb.DeleteLeadRequest(name=lead_name("l9"))
    assert (await refused(catalog.DeleteLead(again))).reason == "UNKNOWN_LEAD"
    again.allow_missing = True
    await catalog.DeleteLead(again)
    lead = res.Lead(name=lead_name("l9"), title="甲")
    assert (await refused(catalog.UpdateLead(pb.UpdateLeadRequest(lead=lead)))).code == "NOT_FOUND"


async def test_a_deleted_member_takes_its_conflicts_along(catalog: Any) -> None:
    conflicts = pb.ListConflictsRequest(parent=member_name("m2"))
    assert len((await catalog.ListConflicts(conflicts)).conflicts) == 1
    gone = await catalog.DeleteMember(pb.DeleteMemberRequest(name=member_name("m2")))
    conflicts.min_revision = gone.revision
    assert len((await catalog.ListConflicts(conflicts)).conflicts) == 0


async def test_lists_merge_both_layers_page_by_page(catalog: Any) -> None:
    revision = await create_lead(catalog, "listed", title="甲", state=res.LEAD_STATE_CLAIMED)
    names: list[str] = []
    request = pb.ListLeadsRequest(parent=PARENT, page_size=5, min_revision=revision)
    while True:
        reply = await catalog.ListLeads(request)
        assert len(reply.leads) <= 5
        names += [lead.name for lead in reply.leads]
        if not reply.next_page_token:
            break
        request.page_token = reply.next_page_token
    assert len(names) == len(set(names))
    known = {lead_name(f"l{i}") for i in range(LEAD_COUNT)} - {lead_name("l9")}
    assert known | {lead_name("listed")} <= set(names)
    claimed = pb.ListLeadsRequest(parent=PARENT, states=[res.LEAD_STATE_CLAIMED])
    assert [x.name for x in (await catalog.ListLeads(claimed)).leads] == [lead_name("listed")]
    request.states.append(res.LEAD_STATE_OPEN)
    assert (await refused(catalog.ListLeads(request))).reason == "INVALID_PAGE_TOKEN"


async def test_members_are_listed_by_organization(catalog: Any) -> None:
    county = f"{PARENT}/organizations/county"
    request = pb.ListMembersRequest(parent=PARENT, organizations=[county])
    found = (await catalog.ListMembers(request)).members
    assert {m.organization for m in found} == {county}
    assert 0 < len(found) < MEMBER_COUNT


async def test_an_organization_tree_stays_a_tree(catalog: Any) -> None:
    city, county = f"{PARENT}/organizations/city", f"{PARENT}/organizations/county"
    change = pb.UpdateOrganizationRequest(
        organization=res.Organization(name=city, parent_organization=county)
    )
    told = await refused(catalog.UpdateOrganization(change))
    assert told.reason == "INVALID_ORGANIZATION_TREE"
    assert told.field == "organization.parent_organization"
    told = await refused(catalog.DeleteOrganization(pb.DeleteOrganizationRequest(name=city)))
    assert (told.code, told.reason) == ("FAILED_PRECONDITION", "ORGANIZATION_IN_USE")
    below = pb.ListOrganizationsRequest(parent=PARENT, parent_organization=city)
    assert [o.name for o in (await catalog.ListOrganizations(below)).organizations] == [county]


async def test_a_conflict_gets_its_id_from_its_target(catalog: Any) -> None:
    new = res.Conflict(name=f"{member_name('m5')}/conflicts/-", lead=lead_name("l6"), reason="亲属")
    told = await refused(catalog.UpdateConflict(pb.UpdateConflictRequest(conflict=new)))
    assert told.reason == "UNKNOWN_CONFLICT"
    request = pb.UpdateConflictRequest(conflict=new, allow_missing=True)
    made = await catalog.UpdateConflict(request)
    again = await catalog.UpdateConflict(request)
    assert made.conflict.name == again.conflict.name != new.name
    changed = res.Conflict(name=made.conflict.name, reason="已核实")
    request = pb.UpdateConflictRequest(conflict=changed, update_mask=mask("reason"))
    reply = await catalog.UpdateConflict(request)
    assert (reply.conflict.lead, reply.conflict.reason) == (lead_name("l6"), "已核实")
    other = res.Conflict(name=made.conflict.name, lead=lead_name("l7"))
    told = await refused(catalog.UpdateConflict(pb.UpdateConflictRequest(conflict=other)))
    assert told.reason == "INVALID_MASK"
    stranger = res.Conflict(name=f"{member_name('nobody')}/conflicts/-", author_id="a")
    request = pb.UpdateConflictRequest(conflict=stranger, allow_missing=True)
    assert (await refused(catalog.UpdateConflict(request))).reason == "UNKNOWN_MEMBER"


async def test_a_revision_of_the_future_is_waited_for_and_then_refused(catalog: Any) -> None:
    request = pb.GetLeadRequest(name=lead_name("l0"), min_revision="0.9999999999999-0")
    told = await refused(catalog.GetLead(request, timeout=0.4))
    assert (told.code, told.reason) == ("UNAVAILABLE", "REVISION_NOT_REACHED")
    assert told.retry_seconds == pytest.approx(0.05)
    request.min_revision = "latest"
    assert (await refused(catalog.GetLead(request))).reason == "INVALID_REVISION"

"""Bulk imports over gRPC: bad rows are reported, the others are written, again does no harm."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio
from google.type.latlng_pb2 import LatLng
from service import PARENT, Service, refused, serving

from recsvc.v1 import catalog_pb2 as pb
from recsvc.v1 import errors_pb2
from recsvc.v1 import resources_pb2 as res

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Service, None]:
    async with serving(tmp_path_factory.mktemp("import"), "tiny") as running:
        yield running


@pytest.fixture
def catalog(service: Service) -> Any:
    return service.catalog


def lead_name(identifier: str) -> str:
    return f"{PARENT}/leads/{identifier}"


def member_name(identifier: str) -> str:
    return f"{PARENT}/members/{identifier}"


async def get_lead(catalog: Any, identifier: str, revision: str = "") -> res.Lead:
    request = pb.GetLeadRequest(name=lead_name(identifier), min_revision=revision)
    lead: res.Lead = (await catalog.GetLead(request)).lead
    return lead


async def rows(*chunks: list[res.Lead], parent: str = PARENT) -> AsyncGenerator[Any, None]:
    for chunk in chunks:
        yield pb.ImportLeadsRequest(parent=parent, leads=chunk)


async def test_an_import_reports_bad_rows_and_writes_the_others(catalog: Any) -> None:
    good = [res.Lead(name=lead_name(f"i{n}"), title=f"导入{n}") for n in range(700)]
    bad = [
        res.Lead(name=lead_name("bad1"), location=LatLng(latitude=91)),
        res.Lead(name="tenants/default/lead/7"),
        res.Lead(name="tenants/other/leads/7"),
    ]
    reply = await catalog.ImportLeads(rows(good[:350], bad, good[350:]))
    assert reply.summary.row_count == 703
    assert reply.summary.imported_count == 700
    assert reply.summary.rejected_count == 3
    told = [(e.row_index, e.reason, e.field, e.row_id) for e in reply.errors]
    reasons = errors_pb2.ErrorReason
    assert told == [
        (350, reasons.ERROR_REASON_INVALID_COORDINATE, "location.latitude", lead_name("bad1")),
        (351, reasons.ERROR_REASON_INVALID_NAME, "name", "tenants/default/lead/7"),
        (352, reasons.ERROR_REASON_PERMISSION_DENIED, "name", "tenants/other/leads/7"),
    ]
    assert (await get_lead(catalog, "i699", reply.revision)).title == "导入699"


async def test_importing_again_changes_nothing(catalog: Any) -> None:
    sent = [res.Lead(name=lead_name("twice"), title="甲", state=res.LEAD_STATE_CLOSED)]
    first = await catalog.ImportLeads(rows(sent))
    before = await get_lead(catalog, "twice", first.revision)
    second = await catalog.ImportLeads(rows(sent))
    assert await get_lead(catalog, "twice", second.revision) == before
    assert second.revision == first.revision


async def test_organizations_that_would_make_a_ring_are_refused_row_by_row(catalog: Any) -> None:
    def organization(identifier: str, parent: str) -> res.Organization:
        base = f"{PARENT}/organizations/"
        return res.Organization(name=base + identifier, parent_organization=base + parent)

    async def stream() -> AsyncGenerator[Any, None]:
        ring = [organization("r1", "r2"), organization("r2", "r1"), organization("r3", "r1")]
        yield pb.ImportOrganizationsRequest(parent=PARENT, organizations=ring)

    reply = await catalog.ImportOrganizations(stream())
    assert [(e.row_index, e.field) for e in reply.errors] == [(1, "parent_organization")]
    assert reply.summary.imported_count == 2


async def test_conflicts_of_unknown_members_are_refused_row_by_row(catalog: Any) -> None:
    async def stream() -> AsyncGenerator[Any, None]:
        yield pb.ImportConflictsRequest(
            parent=PARENT,
            conflicts=[
                res.Conflict(name=f"{member_name('m6')}/conflicts/-", author_id="a"),
                res.Conflict(name=f"{member_name('who')}/conflicts/-", author_id="a"),
                res.Conflict(name=f"{member_name('m6')}/conflicts/-"),
            ],
        )

    reply = await catalog.ImportConflicts(stream())
    reasons = errors_pb2.ErrorReason
    assert [(e.row_index, e.reason) for e in reply.errors] == [
        (1, reasons.ERROR_REASON_UNKNOWN_MEMBER),
        (2, reasons.ERROR_REASON_MISSING_FIELD),
    ]
    parent = f"{PARENT}/members/-"
    request = pb.ListConflictsRequest(parent=parent, min_revision=reply.revision)
    found = (await catalog.ListConflicts(request)).conflicts
    assert any(c.author_id == "a" for c in found)


async def test_a_stream_needs_one_parent(catalog: Any) -> None:
    lead = [res.Lead(name=lead_name("p1"))]
    assert (await refused(catalog.ImportLeads(rows()))).field == "parent"
    assert (await refused(catalog.ImportLeads(rows(lead, parent="")))).reason == "MISSING_FIELD"

    async def two_tenants() -> AsyncGenerator[Any, None]:
        yield pb.ImportLeadsRequest(parent=PARENT, leads=lead)
        yield pb.ImportLeadsRequest(parent="tenants/other")

    assert (await refused(catalog.ImportLeads(two_tenants()))).reason == "PERMISSION_DENIED"
    many = [res.Lead(name=lead_name(f"n{i}")) for i in range(1_001)]
    assert (await refused(catalog.ImportLeads(rows(many)))).reason == "TOO_MANY_ITEMS"

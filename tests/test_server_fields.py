"""Bad input of the catalog: each field and name with its documented reason."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.latlng_pb2 import LatLng
from service import PARENT, Service, refused, serving

from recsvc.v1 import catalog_pb2 as pb
from recsvc.v1 import resources_pb2 as res

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Service, None]:
    async with serving(tmp_path_factory.mktemp("fields"), "tiny") as running:
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


TOO_LONG = "长" * 1_001
LATER = Timestamp(seconds=4_000_000_000)
BAD_LEADS = [
    ({"title": "x" * 1_000_000}, "TEXT_TOO_LONG", "lead.title"),
    ({"title": TOO_LONG}, "TEXT_TOO_LONG", "lead.title"),
    ({"body": "x" * 100_001}, "TEXT_TOO_LONG", "lead.body"),
    ({"topics": ["t"] * 101}, "TOO_MANY_ITEMS", "lead.topics"),
    ({"location": LatLng(latitude=91)}, "INVALID_COORDINATE", "lead.location.latitude"),
    ({"location": LatLng(longitude=float("nan"))}, "INVALID_COORDINATE", "lead.location.longitude"),
    ({"region_code": "hunan"}, "INVALID_REGION_CODE", "lead.region_code"),
    ({"urgency": 4}, "INVALID_NUMBER", "lead.urgency"),
    ({"support_count": -1}, "INVALID_NUMBER", "lead.support_count"),
    ({"claim_capacity": -1}, "INVALID_NUMBER", "lead.claim_capacity"),
    ({"state": 99}, "INVALID_ENUM", "lead.state"),
    ({"create_time": LATER}, "INVALID_TIME", "lead.create_time"),
    ({"create_time": Timestamp(seconds=-1)}, "INVALID_TIME", "lead.create_time"),
    ({"create_time": Timestamp(nanos=-5)}, "INVALID_TIME", "lead.create_time"),
    ({"organization": "city"}, "INVALID_NAME", "lead.organization"),
    ({"organization": "tenants/other/organizations/o"}, "PERMISSION_DENIED", "lead.organization"),
    ({"author_id": "x" * 129}, "INVALID_NAME", "lead.author_id"),
]


@pytest.mark.parametrize(("fields", "reason", "field"), BAD_LEADS)
async def test_every_bad_field_of_a_lead_has_its_reason(
    catalog: Any, fields: dict[str, Any], reason: str, field: str
) -> None:
    lead = res.Lead(name=lead_name("bad"), **fields)
    told = await refused(catalog.UpdateLead(pb.UpdateLeadRequest(lead=lead, allow_missing=True)))
    assert (told.reason, told.field) == (reason, field)
    assert told.code == (
        "PERMISSION_DENIED" if reason == "PERMISSION_DENIED" else "INVALID_ARGUMENT"
    )


@pytest.mark.parametrize("name", ["", "x", "tenants/default/members/m0", "tenants/default/leads/-"])
async def test_every_bad_name_has_its_reason(catalog: Any, name: str) -> None:
    told = await refused(catalog.GetLead(pb.GetLeadRequest(name=name)))
    assert told.reason == ("INVALID_NAME" if name else "MISSING_FIELD")
    assert told.field == "name"


async def test_masks_name_fields_that_callers_may_set(catalog: Any) -> None:
    for path in ("claim_count", "nothing", "location.latitude"):
        lead = res.Lead(name=lead_name("l0"))
        request = pb.UpdateLeadRequest(lead=lead, update_mask=mask(path))
        assert (await refused(catalog.UpdateLead(request))).reason == "INVALID_MASK"

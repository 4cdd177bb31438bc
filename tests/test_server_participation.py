"""Events over gRPC: recorded once, checked row by row."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio
from google.protobuf.timestamp_pb2 import Timestamp
from service import PARENT, Service, refused, serving

from recsvc.v1 import catalog_pb2, errors_pb2
from recsvc.v1 import participation_pb2 as pb
from recsvc.v1 import resources_pb2 as res

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Service, None]:
    async with serving(tmp_path_factory.mktemp("events"), "tiny") as running:
        yield running


def event(event_id: str, **fields: Any) -> pb.ParticipationEvent:
    values: dict[str, Any] = {
        "kind": pb.EVENT_KIND_OPENED,
        "event_time": Timestamp(seconds=1 + int(time.time() / 100) * 100 - 200),
        "member": f"{PARENT}/members/m0",
        "lead": f"{PARENT}/leads/l15",
    }
    return pb.ParticipationEvent(event_id=event_id, **(values | fields))


async def record(service: Service, *events: pb.ParticipationEvent) -> pb.RecordEventsResponse:
    request = pb.RecordEventsRequest(parent=PARENT, events=events)
    reply: pb.RecordEventsResponse = await service.participation.RecordEvents(request)
    return reply


async def test_an_event_is_recorded_once(service: Service) -> None:
    first = await record(service, event("once"))
    assert (first.recorded_count, first.repeated_count) == (1, 0)
    again = await record(service, event("once"), event("twice"), event("twice"))
    assert (again.recorded_count, again.repeated_count) == (1, 2)
    assert again.revision


async def test_an_id_belongs_to_its_content(service: Service) -> None:
    await record(service, event("taken"))
    reply = await record(service, event("taken", kind=pb.EVENT_KIND_DISMISSED))
    assert (reply.recorded_count, reply.repeated_count) == (0, 0)
    (error,) = reply.errors
    assert error.reason == errors_pb2.ErrorReason.ERROR_REASON_EVENT_ID_CONFLICT
    assert (error.row_index, error.row_id, error.field) == (0, "taken", "event_id")


OLD = Timestamp(seconds=int(time.time()) - 8 * 86_400)
FUTURE = Timestamp(seconds=int(time.time()) + 3_600)
ODD = f"{PARENT}/members/x"
BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"event_id": ""}, "MISSING_FIELD", "event_id"),
    ({"event_id": "x" * 129}, "INVALID_NAME", "event_id"),
    ({"kind": 0}, "INVALID_ENUM", "kind"),
    ({"kind": 99}, "INVALID_ENUM", "kind"),
    ({"event_time": None}, "MISSING_FIELD", "event_time"),
    ({"event_time": OLD}, "EVENT_TOO_OLD", "event_time"),
    ({"event_time": FUTURE}, "INVALID_TIME", "event_time"),
    ({"member": ""}, "MISSING_FIELD", "member"),
    ({"member": ODD}, "UNKNOWN_MEMBER", "member"),
    ({"member": "tenants/other/members/m0"}, "PERMISSION_DENIED", "member"),
    ({"lead": ""}, "MISSING_FIELD", "lead"),
    ({"lead": f"{PARENT}/leads/x"}, "UNKNOWN_LEAD", "lead"),
    ({"position": -1}, "INVALID_NUMBER", "position"),
    ({"position": 10_001}, "INVALID_NUMBER", "position"),
    ({"wave": -1}, "INVALID_NUMBER", "wave"),
    ({"propensity": 0.0}, "INVALID_NUMBER", "propensity"),
    ({"propensity": 1.1}, "INVALID_NUMBER", "propensity"),
    ({"rating": 6.0}, "INVALID_NUMBER", "rating"),
    ({"dismiss_reason": 9}, "INVALID_ENUM", "dismiss_reason"),
    ({"topic": "长" * 101}, "TEXT_TOO_LONG", "topic"),
    ({"attribution_token": "x" * 513}, "TEXT_TOO_LONG", "attribution_token"),
    ({"model_version": "x" * 129}, "TEXT_TOO_LONG", "model_version"),
]


async def test_every_bad_event_has_its_reason_and_harms_no_other(service: Service) -> None:
    events = [event(**({"event_id": f"bad{i}"} | fields)) for i, (fields, _, _) in enumerate(BAD)]
    reply = await record(service, *events, event("good"))
    name = errors_pb2.ErrorReason.Name
    told = [(name(e.reason).removeprefix("ERROR_REASON_"), e.field) for e in reply.errors]
    assert told == [(reason, field) for _, reason, field in BAD]
    assert [e.row_index for e in reply.errors] == list(range(len(BAD)))
    assert reply.recorded_count == 1


async def test_see_less_needs_no_lead(service: Service) -> None:
    less = event("less", kind=pb.EVENT_KIND_SEE_LESS, lead="", topic="环保")
    assert (await record(service, less)).recorded_count == 1


async def test_what_the_call_itself_needs(service: Service) -> None:
    calls = service.participation.RecordEvents
    told = await refused(calls(pb.RecordEventsRequest(parent=PARENT)))
    assert (told.reason, told.field) == ("MISSING_FIELD", "events")
    many = [event(str(i)) for i in range(1_001)]
    told = await refused(calls(pb.RecordEventsRequest(parent=PARENT, events=many)))
    assert told.reason == "TOO_MANY_ITEMS"
    told = await refused(calls(pb.RecordEventsRequest(parent="tenants/other", events=many[:1])))
    assert (told.code, told.reason) == ("PERMISSION_DENIED", "PERMISSION_DENIED")


async def test_events_about_what_was_just_written_are_taken(service: Service) -> None:
    """Also when the worker has not yet heard of it: another one may have written it."""
    lead = res.Lead(name=f"{PARENT}/leads/fresh", title="甲")
    request = catalog_pb2.UpdateLeadRequest(lead=lead, allow_missing=True)
    await service.catalog.UpdateLead(request)
    reply = await record(service, event("fresh", lead=lead.name))
    assert reply.recorded_count == 1


async def test_the_log_names_the_reply_that_events_came_from(service: Service) -> None:
    await record(service, event("logged", attribution_token="token-of-a-reply"))
    line = service.log_lines("call")[-1]
    assert line["attribution_tokens"] == ["token-of-a-reply"]
    assert line["recorded"] == 1

"""Leads, stored and draft: message <-> entity."""

from __future__ import annotations

from features.entities import Lead, LeadState
from recsvc.convert import names, values
from recsvc.errors import InvalidNameError
from recsvc.v1 import recommendation_pb2, resources_pb2

COLLECTION = "leads"
MAX_TITLE_LENGTH = 1_000
MAX_BODY_LENGTH = 100_000
MAX_COUNT = 2**31 - 1

# What each field of the message sets in the entity.
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "create_time": ("create_time_us",),
    "organization": ("organization_id",),
    "source": ("source",),
    "author_id": ("author_id",),
    "title": ("title",),
    "body": ("body",),
    "topics": ("topics",),
    "region_code": ("region_code",),
    "location": ("latitude", "longitude"),
    "urgency": ("urgency",),
    "support_count": ("support_count",),
    "state": ("state",),
    "close_time": ("close_time_us",),
    "claim_capacity": ("claim_capacity",),
}


def lead_from_proto(message: resources_pb2.Lead, tenant: str, now_us: int) -> Lead:
    """The entity; `create_time_us` stays 0 when the message has none (see `complete`).

    Raises the error of the first field that cannot be used.
    """
    identifier = names.parse_name(message.name, tenant, COLLECTION, "name")
    state = LeadState.OPEN
    if message.state:
        state = LeadState(values.enum_value(message.state, tuple(LeadState), "state"))
    created = closed = 0
    if message.HasField("create_time"):
        created = values.time_us(message.create_time, now_us, "create_time")
    if message.HasField("close_time"):
        closed = values.time_us(message.close_time, now_us, "close_time")
    capacity = None
    if message.HasField("claim_capacity"):
        capacity = values.number(message.claim_capacity, 0, MAX_COUNT, "claim_capacity")
    latitude, longitude = _coordinates(message)
    return Lead(
        lead_id=identifier,
        create_time_us=created,
        organization_id=_organization(message, tenant),
        source=values.text(message.source, 100, "source"),
        author_id=_author(message),
        title=values.text(message.title, MAX_TITLE_LENGTH, "title"),
        body=values.text(message.body, MAX_BODY_LENGTH, "body"),
        topics=values.topics(message.topics),
        region_code=values.region_code(message.region_code),
        latitude=latitude,
        longitude=longitude,
        urgency=values.number(message.urgency, 0, 3, "urgency"),
        support_count=values.number(message.support_count, 0, MAX_COUNT, "support_count"),
        state=state,
        close_time_us=closed,
        claim_capacity=capacity,
    )


def draft_from_proto(message: recommendation_pb2.DraftLead, tenant: str, now_us: int) -> Lead:
    """A lead without id, raised now."""
    latitude, longitude = _coordinates(message)
    return Lead(
        lead_id="",
        create_time_us=now_us,
        organization_id=_organization(message, tenant),
        author_id=_author(message),
        title=values.text(message.title, MAX_TITLE_LENGTH, "title"),
        body=values.text(message.body, MAX_BODY_LENGTH, "body"),
        topics=values.topics(message.topics),
        region_code=values.region_code(message.region_code),
        latitude=latitude,
        longitude=longitude,
        urgency=values.number(message.urgency, 0, 3, "urgency"),
    )


_WithPlace = resources_pb2.Lead | recommendation_pb2.DraftLead


def _coordinates(message: _WithPlace) -> tuple[float | None, float | None]:
    if not message.HasField("location"):
        return None, None
    return values.coordinates(message.location, "location")


def _organization(message: _WithPlace, tenant: str) -> str:
    return names.parse_reference(message.organization, tenant, "organizations", "organization")


def _author(message: _WithPlace) -> str:
    """Any text of the length of an id: authors are the platform's, who are no resource here."""
    if len(message.author_id) > names.MAX_ID_LENGTH:
        raise InvalidNameError(
            f"author_id has more than {names.MAX_ID_LENGTH} characters", field="author_id"
        )
    return message.author_id


def lead_to_proto(lead: Lead, tenant: str, claim_count: int = 0) -> resources_pb2.Lead:
    """The message; `claim_count` members hold the lead now."""
    return resources_pb2.Lead(
        name=names.format_name(tenant, COLLECTION, lead.lead_id),
        create_time=values.timestamp(lead.create_time_us),
        organization=names.format_name(tenant, "organizations", lead.organization_id),
        source=lead.source,
        author_id=lead.author_id,
        title=lead.title,
        body=lead.body,
        topics=lead.topics,
        region_code=lead.region_code,
        location=values.latlng(lead.latitude, lead.longitude),
        urgency=lead.urgency,
        support_count=lead.support_count,
        state=resources_pb2.LeadState.ValueType(int(lead.state)),
        close_time=values.timestamp(lead.close_time_us),
        claim_capacity=lead.claim_capacity,
        claim_count=claim_count,
    )

"""Members: message <-> entity."""

from __future__ import annotations

from features.entities import Member, Place
from recsvc.convert import names, values
from recsvc.v1 import resources_pb2 as pb

COLLECTION = "members"
MAX_PLACES = 8
MAX_WEEKLY_PUSHES = 1000
MAX_EXPERTISE_LENGTH = 20_000

# What each field of the message sets in the entity.
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "display_name": ("name",),
    "organization": ("organization_id",),
    "sector": ("sector",),
    "expertise": ("expertise",),
    "topics": ("topics",),
    "region_code": ("region_code",),
    "location": ("latitude", "longitude"),
    "places": ("places",),
    "weekly_push_limit": ("weekly_push_limit",),
    "active": ("active",),
    "join_time": ("join_time_us",),
}

_KINDS = {
    pb.PLACE_KIND_UNSPECIFIED: "HOME",
    pb.PLACE_KIND_HOME: "HOME",
    pb.PLACE_KIND_WORK: "WORK",
    pb.PLACE_KIND_STUDIO: "STUDIO",
}
_KIND_NUMBERS = {
    "HOME": pb.PLACE_KIND_HOME,
    "WORK": pb.PLACE_KIND_WORK,
    "STUDIO": pb.PLACE_KIND_STUDIO,
}


def member_from_proto(message: pb.Member, tenant: str, now_us: int) -> Member:
    """The entity; raises the error of the first field that cannot be used."""
    identifier = names.parse_name(message.name, tenant, COLLECTION, "name")
    latitude, longitude = None, None
    if message.HasField("location"):
        latitude, longitude = values.coordinates(message.location, "location")
    limit = None
    if message.HasField("weekly_push_limit"):
        limit = message.weekly_push_limit
        values.number(limit, 0, MAX_WEEKLY_PUSHES, "weekly_push_limit")
    joined = 0
    if message.HasField("join_time"):
        joined = values.time_us(message.join_time, now_us, "join_time")
    return Member(
        member_id=identifier,
        organization_id=names.parse_reference(
            message.organization, tenant, "organizations", "organization"
        ),
        name=values.text(message.display_name, 200, "display_name"),
        sector=values.text(message.sector, 100, "sector").strip(),
        expertise=values.text(message.expertise, MAX_EXPERTISE_LENGTH, "expertise"),
        topics=values.topics(message.topics),
        region_code=values.region_code(message.region_code),
        latitude=latitude,
        longitude=longitude,
        places=_places(message),
        weekly_push_limit=limit,
        active=message.active if message.HasField("active") else True,
        join_time_us=joined,
    )


def _places(message: pb.Member) -> tuple[Place, ...]:
    values.check_count(message.places, MAX_PLACES, "places")
    return tuple(_place(place, f"places[{i}]") for i, place in enumerate(message.places))


def _place(message: pb.Place, field: str) -> Place:
    if message.kind != pb.PLACE_KIND_UNSPECIFIED:
        values.enum_value(message.kind, tuple(_KINDS), f"{field}.kind")
    latitude, longitude = None, None
    if message.HasField("location"):
        latitude, longitude = values.coordinates(message.location, f"{field}.location")
    code = values.region_code(message.region_code, f"{field}.region_code")
    return Place(_KINDS[message.kind], latitude, longitude, code)


def member_to_proto(member: Member, tenant: str) -> pb.Member:
    """The message."""
    return pb.Member(
        name=names.format_name(tenant, COLLECTION, member.member_id),
        display_name=member.name,
        organization=names.format_name(tenant, "organizations", member.organization_id),
        sector=member.sector,
        expertise=member.expertise,
        topics=member.topics,
        region_code=member.region_code,
        location=values.latlng(member.latitude, member.longitude),
        places=[
            pb.Place(
                kind=_KIND_NUMBERS.get(place.kind.upper(), pb.PLACE_KIND_HOME),
                location=values.latlng(place.latitude, place.longitude),
                region_code=place.region_code,
            )
            for place in member.places
        ],
        weekly_push_limit=member.weekly_push_limit,
        active=member.active,
        join_time=values.timestamp(member.join_time_us),
    )

"""Conflicts (回避): message <-> entity. The id follows from the target."""

from __future__ import annotations

from features.entities import Conflict
from recsvc.convert import names, values
from recsvc.errors import InvalidNameError, MissingFieldError
from recsvc.store.codec import entity_id
from recsvc.v1 import resources_pb2 as pb

MAX_REASON_LENGTH = 1_000

# What each field of the message sets in the entity.
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "lead": ("lead_id",),
    "author_id": ("author_id",),
    "organization": ("organization_id",),
    "reason": ("reason",),
}


def record_id(member_id: str, conflict_id: str) -> str:
    """The id a conflict is stored under, from the two ids in its name."""
    return f"{member_id}~{conflict_id}"


def target_from_proto(message: pb.Conflict, tenant: str) -> Conflict:
    """The entity, whose target may be empty; the id in the name is not looked at."""
    member_id, _ = names.parse_conflict(message.name, tenant)
    if len(message.author_id) > names.MAX_ID_LENGTH:
        raise InvalidNameError(
            f"author_id has more than {names.MAX_ID_LENGTH} characters", field="author_id"
        )
    return Conflict(
        member_id=member_id,
        lead_id=names.parse_reference(message.lead, tenant, "leads", "lead"),
        author_id=message.author_id,
        organization_id=names.parse_reference(
            message.organization, tenant, "organizations", "organization"
        ),
        reason=values.text(message.reason, MAX_REASON_LENGTH, "reason"),
    )


def has_target(conflict: Conflict) -> bool:
    """Whether it says what to keep away from."""
    return bool(conflict.lead_id or conflict.author_id or conflict.organization_id)


def conflict_from_proto(message: pb.Conflict, tenant: str, now_us: int) -> Conflict:
    """The entity; raises the error of the first field that cannot be used."""
    del now_us  # a conflict has no times
    conflict = target_from_proto(message, tenant)
    if not has_target(conflict):
        raise MissingFieldError(
            "a conflict needs a target: set lead, author_id or organization", field="target"
        )
    _, given = names.parse_conflict(message.name, tenant)
    derived = entity_id(conflict).rpartition("~")[2]
    if given not in (names.ANY, derived):
        raise InvalidNameError(
            f"name: the id of this conflict is {derived}, it follows from the target: write - in "
            "its place",
            field="name",
        )
    return conflict


def conflict_to_proto(conflict: Conflict, tenant: str) -> pb.Conflict:
    """The message. A conflict of several targets (from a data set) shows the narrowest."""
    identifier = entity_id(conflict).rpartition("~")[2]
    member = names.format_name(tenant, "members", conflict.member_id)
    message = pb.Conflict(name=f"{member}/conflicts/{identifier}", reason=conflict.reason)
    if conflict.lead_id:
        message.lead = names.format_name(tenant, "leads", conflict.lead_id)
    elif conflict.author_id:
        message.author_id = conflict.author_id
    else:
        message.organization = names.format_name(tenant, "organizations", conflict.organization_id)
    return message

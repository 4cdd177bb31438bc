"""The four kinds of catalog resources: how each is named and converted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from features.entities import Conflict, Lead, Member, Organization
from recsvc.client.replies import FAR_FUTURE_US
from recsvc.convert import conflicts, leads, members, organizations
from recsvc.v1 import catalog_pb2, resources_pb2

E = TypeVar("E", Member, Lead, Organization, Conflict)


@dataclass(frozen=True)
class Kind(Generic[E]):
    """One kind: its names in the contract, and its conversions.

    `attributes` maps a field of the message to those of the entity.
    """

    title: str  # Member: GetMember, GetMemberRequest
    collection: str
    to_proto: Callable[[E, str], Any]
    read: Callable[[Any, str], E]
    attributes: Mapping[str, tuple[str, ...]]

    @property
    def field(self) -> str:
        """Name of the field that holds one of them: `member`."""
        return self.title.lower()

    def request(self, verb: str, **fields: Any) -> Any:
        """A request message: verb Get, List, Update, Delete or Import."""
        plural = "s" if verb in ("List", "Import") else ""
        kind = getattr(catalog_pb2, f"{verb}{self.title}{plural}Request")
        return kind(**fields)

    def mask(self, names: tuple[str, ...]) -> list[str]:
        """The message's fields in which the named fields of the entity are; raises ValueError."""
        found = {a: field for field, attributes in self.attributes.items() for a in attributes}
        unknown = [name for name in names if name not in found]
        if unknown:
            known = ", ".join(found)
            raise ValueError(f"{self.title} has no field {unknown[0]!r} to change; it has {known}")
        return list(dict.fromkeys(found[name] for name in names))


def _conflict_message(conflict: Conflict, tenant: str) -> resources_pb2.Conflict:
    """The message without an id, which the service derives; raises ValueError."""
    targets = (conflict.lead_id, conflict.author_id, conflict.organization_id)
    if sum(map(bool, targets)) != 1:
        raise ValueError(
            f"a conflict keeps member {conflict.member_id!r} away from one thing: set one of "
            "lead_id, author_id, organization_id, and write one conflict for each"
        )
    message = conflicts.conflict_to_proto(conflict, tenant)
    message.name = f"{message.name.rpartition('/')[0]}/-"
    return message


# What the service sends was checked when it was written; its clock may be ahead of this one.
MEMBER: Kind[Member] = Kind(
    "Member",
    members.COLLECTION,
    members.member_to_proto,
    lambda message, tenant: members.member_from_proto(message, tenant, FAR_FUTURE_US),
    members.ATTRIBUTES,
)
LEAD: Kind[Lead] = Kind(
    "Lead",
    leads.COLLECTION,
    leads.lead_to_proto,
    lambda message, tenant: leads.lead_from_proto(message, tenant, FAR_FUTURE_US),
    leads.ATTRIBUTES,
)
ORGANIZATION: Kind[Organization] = Kind(
    "Organization",
    organizations.COLLECTION,
    organizations.organization_to_proto,
    lambda message, tenant: organizations.organization_from_proto(message, tenant, FAR_FUTURE_US),
    organizations.ATTRIBUTES,
)
CONFLICT: Kind[Conflict] = Kind(
    "Conflict",
    "conflicts",
    _conflict_message,
    conflicts.target_from_proto,
    conflicts.ATTRIBUTES,
)

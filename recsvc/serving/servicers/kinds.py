"""Members, leads, organizations and conflicts as one shape, so that each method is written once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from google.protobuf.message import Message

from features.entities import Conflict, Lead, LeadState, Member, Organization
from recsvc.convert import conflicts, leads, members, organizations
from recsvc.errors import (
    NotFoundError,
    UnknownConflictError,
    UnknownLeadError,
    UnknownMemberError,
    UnknownOrganizationError,
)
from recsvc.store.codec import RecordKind
from recsvc.v1 import resources_pb2 as pb

E = TypeVar("E", Member, Lead, Organization, Conflict)
M = TypeVar("M", bound=Message)

_ENDED = frozenset({LeadState.CLOSED, LeadState.WITHDRAWN})


def _as_it_is(new: E, old: E | None, now_us: int) -> E:
    return new


def _never(entity: E) -> bool:
    return False


def lacks_times(lead: Lead) -> bool:
    """Whether `complete_lead` has something to fill in."""
    return not lead.create_time_us or (lead.state in _ENDED and not lead.close_time_us)


def complete_lead(new: Lead, old: Lead | None, now_us: int) -> Lead:
    """Fills in what a caller may leave out: when it was raised, and when it ended.

    What the record says already is kept, so that sending a row again changes nothing.
    """
    created, closed = new.create_time_us, new.close_time_us
    if not created:
        created = (old.create_time_us if old else 0) or now_us
    if new.state is LeadState.OPEN:
        closed = 0
    elif new.state in _ENDED and not closed:
        closed = (old.close_time_us if old else 0) or now_us
    return replace(new, create_time_us=created, close_time_us=closed)


@dataclass(frozen=True)
class Kind(Generic[E, M]):
    """One kind of resource: its types, names and conversions."""

    entity_type: type[E]
    record: RecordKind
    field: str  # of the request that carries one
    collection: str
    attributes: Mapping[str, tuple[str, ...]]
    from_proto: Callable[[M, str, int], E]
    to_proto: Callable[[E, str], M]
    unknown: type[NotFoundError]
    complete: Callable[[E, E | None, int], E] = _as_it_is
    is_partial: Callable[[E], bool] = _never

    def not_found(self, name: str) -> NotFoundError:
        """The error for a name that nothing has."""
        return self.unknown(
            f"there is no {self.record} {name[:200]!r}: import or create it first",
            field="name",
            resource=name,
        )


MEMBERS: Kind[Member, pb.Member] = Kind(
    Member,
    RecordKind.MEMBER,
    "member",
    members.COLLECTION,
    members.ATTRIBUTES,
    members.member_from_proto,
    members.member_to_proto,
    UnknownMemberError,
)
LEADS: Kind[Lead, pb.Lead] = Kind(
    Lead,
    RecordKind.LEAD,
    "lead",
    leads.COLLECTION,
    leads.ATTRIBUTES,
    leads.lead_from_proto,
    leads.lead_to_proto,
    UnknownLeadError,
    complete_lead,
    lacks_times,
)
ORGANIZATIONS: Kind[Organization, pb.Organization] = Kind(
    Organization,
    RecordKind.ORGANIZATION,
    "organization",
    organizations.COLLECTION,
    organizations.ATTRIBUTES,
    organizations.organization_from_proto,
    organizations.organization_to_proto,
    UnknownOrganizationError,
)
CONFLICTS: Kind[Conflict, pb.Conflict] = Kind(
    Conflict,
    RecordKind.CONFLICT,
    "conflict",
    "conflicts",
    conflicts.ATTRIBUTES,
    conflicts.conflict_from_proto,
    conflicts.conflict_to_proto,
    UnknownConflictError,
)

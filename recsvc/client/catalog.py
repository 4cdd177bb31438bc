"""The calls of CatalogService, but for the imports (imports.py)."""

from __future__ import annotations

from collections.abc import Collection

from features.entities import Conflict, Lead, LeadState, Member, Organization
from recsvc.client.calls import Call, Caller, Pages
from recsvc.client.kinds import CONFLICT, LEAD, MEMBER, ORGANIZATION, E, Kind
from recsvc.convert.conflicts import conflict_to_proto
from recsvc.v1 import resources_pb2

PAGE_SIZE = 500


def get_member(caller: Caller, member_id: str) -> Call[Member]:
    """A member. Raises UnknownMemberError."""
    return _get(caller, MEMBER, member_id)


def get_lead(caller: Caller, lead_id: str) -> Call[Lead]:
    """A lead. Raises UnknownLeadError."""
    return _get(caller, LEAD, lead_id)


def get_organization(caller: Caller, organization_id: str) -> Call[Organization]:
    """An organization. Raises UnknownOrganizationError."""
    return _get(caller, ORGANIZATION, organization_id)


def list_members(caller: Caller, *, organization_ids: Collection[str] = ()) -> Pages[Member]:
    """All members, or those of some organizations, in no particular order."""
    parents = caller.names("organizations", organization_ids)
    return _list(caller, MEMBER, caller.parent, organizations=parents)


def list_leads(
    caller: Caller, *, states: Collection[LeadState] = (), organization_ids: Collection[str] = ()
) -> Pages[Lead]:
    """All leads, or those in some states or of some organizations, in no particular order."""
    parents = caller.names("organizations", organization_ids)
    wanted = [resources_pb2.LeadState.ValueType(int(state)) for state in states]
    return _list(caller, LEAD, caller.parent, organizations=parents, states=wanted)


def list_organizations(caller: Caller, *, parent_id: str = "") -> Pages[Organization]:
    """All organizations, or the children of one, in no particular order."""
    above = caller.name("organizations", parent_id)
    return _list(caller, ORGANIZATION, caller.parent, parent_organization=above)


def list_conflicts(caller: Caller, member_id: str = "") -> Pages[Conflict]:
    """The conflicts of a member, or of all members."""
    return _list(caller, CONFLICT, caller.name("members", member_id or "-"))


def update_member(
    caller: Caller, member: Member, *, fields: tuple[str, ...] = (), create: bool = False
) -> Call[Member]:
    """Writes a member, and gives back what it is now.

    All of it, or only the `fields` named as in Member (`("expertise", "topics")`). A member that
    is not there is created with `create`, otherwise UnknownMemberError.
    """
    return _update(caller, MEMBER, member, fields, create)


def update_lead(
    caller: Caller, lead: Lead, *, fields: tuple[str, ...] = (), create: bool = False
) -> Call[Lead]:
    """Writes a lead, and gives back what it is now; see `update_member`."""
    return _update(caller, LEAD, lead, fields, create)


def update_organization(
    caller: Caller,
    organization: Organization,
    *,
    fields: tuple[str, ...] = (),
    create: bool = False,
) -> Call[Organization]:
    """Writes an organization, and gives back what it is now; see `update_member`."""
    return _update(caller, ORGANIZATION, organization, fields, create)


def add_conflict(caller: Caller, conflict: Conflict) -> Call[Conflict]:
    """Keeps a member away from a lead, an author or an organization; twice is the same as once."""
    return _update(caller, CONFLICT, conflict, (), create=True)


def delete_member(caller: Caller, member_id: str, *, missing_ok: bool = False) -> Call[None]:
    """Deletes a member and its conflicts. Raises UnknownMemberError unless `missing_ok`."""
    return _delete(caller, MEMBER, caller.name("members", member_id), missing_ok)


def delete_lead(caller: Caller, lead_id: str, *, missing_ok: bool = False) -> Call[None]:
    """Deletes a lead. Raises UnknownLeadError unless `missing_ok`."""
    return _delete(caller, LEAD, caller.name("leads", lead_id), missing_ok)


def delete_organization(
    caller: Caller, organization_id: str, *, missing_ok: bool = False
) -> Call[None]:
    """Deletes an organization without children. Raises OrganizationInUseError,
    UnknownOrganizationError unless `missing_ok`.
    """
    name = caller.name("organizations", organization_id)
    return _delete(caller, ORGANIZATION, name, missing_ok)


def delete_conflict(caller: Caller, conflict: Conflict, *, missing_ok: bool = False) -> Call[None]:
    """Takes a conflict back. Raises UnknownConflictError unless `missing_ok`."""
    name = conflict_to_proto(conflict, caller.tenant).name
    return _delete(caller, CONFLICT, name, missing_ok)


def _get(caller: Caller, kind: Kind[E], identifier: str) -> Call[E]:
    return Call(
        f"Get{kind.title}",
        kind.request("Get", name=caller.name(kind.collection, identifier)),
        lambda reply: kind.read(getattr(reply, kind.field), caller.tenant),
        caller.timeouts.read_seconds,
    )


def _list(caller: Caller, kind: Kind[E], parent: str, **filters: object) -> Pages[E]:
    return Pages(
        f"List{kind.title}s",
        kind.request("List", parent=parent, page_size=PAGE_SIZE, **filters),
        lambda reply: [kind.read(m, caller.tenant) for m in getattr(reply, kind.collection)],
        caller.timeouts.read_seconds,
    )


def _update(
    caller: Caller, kind: Kind[E], entity: E, fields: tuple[str, ...], create: bool
) -> Call[E]:
    message = kind.to_proto(entity, caller.tenant)
    request = kind.request("Update", allow_missing=create, **{kind.field: message})
    request.update_mask.paths.extend(kind.mask(fields) or ["*"])
    return Call(
        f"Update{kind.title}",
        request,
        lambda reply: kind.read(getattr(reply, kind.field), caller.tenant),
        caller.timeouts.write_seconds,
    )


def _delete(caller: Caller, kind: Kind[E], name: str, missing_ok: bool) -> Call[None]:
    return Call(
        f"Delete{kind.title}",
        kind.request("Delete", name=name, allow_missing=missing_ok),
        lambda reply: None,
        caller.timeouts.write_seconds,
    )

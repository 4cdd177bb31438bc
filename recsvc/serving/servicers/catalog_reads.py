"""Reading the catalog from memory: Get and List of every kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from google.protobuf.message import Message

from features.entities import Conflict, Lead, LeadState, Member, Organization
from recsvc.convert import conflicts, names, queries, values
from recsvc.convert.names import ANY
from recsvc.serving.catalog import FIRST
from recsvc.serving.servicers.kinds import CONFLICTS, Kind
from recsvc.serving.servicers.shared import Context, Service
from recsvc.serving.view import View
from recsvc.v1 import catalog_pb2, resources_pb2

E = TypeVar("E", Member, Lead, Organization, Conflict)
M = TypeVar("M", bound=Message)
Found = tuple[Sequence[M], str, str]
"""Messages, next page token, revision."""

ListRequest = (
    catalog_pb2.ListMembersRequest
    | catalog_pb2.ListLeadsRequest
    | catalog_pb2.ListOrganizationsRequest
    | catalog_pb2.ListConflictsRequest
)


class CatalogReads:
    """Get and List."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def get(
        self, kind: Kind[E, M], name: str, min_revision: str, context: Context
    ) -> tuple[M, str]:
        """The resource of that name and the revision; raises the kind's NotFoundError."""
        worker = self._service.worker(name, "name")
        if kind.entity_type is Conflict:
            member_id, conflict_id = names.parse_conflict(name, worker.tenant)
            identifier = conflicts.record_id(member_id, conflict_id)
        else:
            identifier = names.parse_name(name, worker.tenant, kind.collection, "name")
        view = await self._service.view(worker, min_revision, context)
        entity = view.catalog.get(kind.entity_type, identifier)
        if entity is None:
            raise kind.not_found(name)
        return _message(kind, entity, worker.tenant, view), view.revision_text

    async def page(
        self,
        kind: Kind[E, M],
        request: ListRequest,
        wanted: Callable[[E], bool],
        filters: object,
        context: Context,
    ) -> Found[M]:
        """A page of those that are `wanted`; `filters` is what binds the page token."""
        worker = self._service.worker(request.parent, "parent")
        names.parse_tenant(request.parent, worker.tenant)
        size = queries.page_size(
            request.page_size, queries.DEFAULT_PAGE_SIZE, queries.MAX_PAGE_SIZE
        )
        binding = [kind.collection, worker.tenant, filters]
        after = self._after(binding, request.page_token)
        view = await self._service.view(worker, request.min_revision, context)
        found, last = view.catalog.page(kind.entity_type, after, size, wanted)
        token = "" if last is None else self._service.page_tokens.encode(binding, last)
        messages = [_message(kind, e, worker.tenant, view) for e in found]
        return messages, token, view.revision_text

    async def conflicts(
        self, request: catalog_pb2.ListConflictsRequest, context: Context
    ) -> Found[resources_pb2.Conflict]:
        """A page of one member's conflicts, or of all."""
        worker = self._service.worker(request.parent, "parent")
        member_id = names.parse_conflict_parent(request.parent, worker.tenant)
        if not member_id:
            everybody = catalog_pb2.ListConflictsRequest()
            everybody.CopyFrom(request)
            everybody.parent = names.tenant_name(worker.tenant)
            return await self.page(CONFLICTS, everybody, lambda _: True, ANY, context)
        size = queries.page_size(
            request.page_size, queries.DEFAULT_PAGE_SIZE, queries.MAX_PAGE_SIZE
        )
        binding = ["conflicts", worker.tenant, member_id]
        (begin,) = (
            self._service.page_tokens.decode(binding, request.page_token)
            if request.page_token
            else (0,)
        )
        view = await self._service.view(worker, request.min_revision, context)
        ids = view.catalog.conflicts_of(member_id)
        entities = (view.catalog.get(Conflict, i) for i in ids[begin : begin + size])
        more = begin + size < len(ids)
        token = self._service.page_tokens.encode(binding, begin + size) if more else ""
        messages = [CONFLICTS.to_proto(e, worker.tenant) for e in entities if e is not None]
        return messages, token, view.revision_text

    def _after(self, binding: object, page_token: str) -> int:
        if not page_token:
            return FIRST
        (after,) = self._service.page_tokens.decode(binding, page_token)
        return after


def _message(kind: Kind[E, M], entity: E, tenant: str, view: View) -> M:
    """The resource as it is read, with what only the service knows of it."""
    message = kind.to_proto(entity, tenant)
    if isinstance(message, resources_pb2.Lead) and isinstance(entity, Lead):
        message.claim_count = view.holders.get(entity.lead_id, 0)
    return message


def on_organizations(
    organizations: Sequence[str], parent: str
) -> tuple[Callable[[Member | Lead], bool], tuple[str, ...]]:
    """Whether something sits on one of these organizations (none: always), and their ids."""
    values.check_count(organizations, queries.MAX_ORGANIZATIONS, "organizations")
    tenant = names.tenant_of(parent, "parent")
    ids = names.parse_references(organizations, tenant, "organizations", "organizations")
    allowed = frozenset(ids)
    return lambda entity: not allowed or entity.organization_id in allowed, ids


def in_states(states: Sequence[int]) -> Callable[[Lead], bool]:
    """Whether a lead is in one of these states (none: always)."""
    known = tuple(LeadState)
    allowed = frozenset(
        LeadState(values.enum_value(s, known, f"states[{i}]")) for i, s in enumerate(states)
    )
    return lambda lead: not allowed or lead.state in allowed


def parent_organization(name: str, parent: str) -> str:
    """The id of the organization whose children are asked for, "" for none."""
    tenant = names.tenant_of(parent, "parent")
    return names.parse_reference(name, tenant, "organizations", "parent_organization")

"""CatalogService: the contract's methods, each a line into reads, writes or imports."""

# ruff: noqa: N802 - the contract names the methods

from __future__ import annotations

from collections.abc import AsyncIterable

from recsvc.serving.servicers.catalog_imports import import_rows
from recsvc.serving.servicers.catalog_reads import (
    CatalogReads,
    in_states,
    on_organizations,
    parent_organization,
)
from recsvc.serving.servicers.catalog_writes import CatalogWrites
from recsvc.serving.servicers.kinds import CONFLICTS, LEADS, MEMBERS, ORGANIZATIONS
from recsvc.serving.servicers.shared import Context, Service
from recsvc.v1 import catalog_pb2 as pb
from recsvc.v1 import catalog_pb2_grpc


class CatalogServicer(catalog_pb2_grpc.CatalogServiceServicer):
    """Members, leads, organizations and conflicts."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._reads = CatalogReads(service)
        self._writes = CatalogWrites(service)

    async def GetMember(
        self, request: pb.GetMemberRequest, context: Context
    ) -> pb.GetMemberResponse:
        """See the contract."""
        member, revision = await self._reads.get(
            MEMBERS, request.name, request.min_revision, context
        )
        return pb.GetMemberResponse(member=member, revision=revision)

    async def ListMembers(
        self, request: pb.ListMembersRequest, context: Context
    ) -> pb.ListMembersResponse:
        """See the contract."""
        wanted, ids = on_organizations(request.organizations, request.parent)
        found, token, revision = await self._reads.page(MEMBERS, request, wanted, ids, context)
        return pb.ListMembersResponse(members=found, next_page_token=token, revision=revision)

    async def UpdateMember(
        self, request: pb.UpdateMemberRequest, context: Context
    ) -> pb.UpdateMemberResponse:
        """See the contract."""
        member, revision = await self._writes.update(
            MEMBERS, request.member, request.update_mask, request.allow_missing, context
        )
        return pb.UpdateMemberResponse(member=member, revision=revision)

    async def DeleteMember(
        self, request: pb.DeleteMemberRequest, context: Context
    ) -> pb.DeleteMemberResponse:
        """See the contract."""
        revision = await self._writes.delete(MEMBERS, request.name, request.allow_missing, context)
        return pb.DeleteMemberResponse(revision=revision)

    async def ImportMembers(
        self, request_iterator: AsyncIterable[pb.ImportMembersRequest], context: Context
    ) -> pb.ImportMembersResponse:
        """See the contract."""
        done = await import_rows(self._service, MEMBERS, request_iterator, lambda r: r.members)
        return pb.ImportMembersResponse(
            summary=done.summary, errors=done.errors, revision=done.revision
        )

    async def GetLead(self, request: pb.GetLeadRequest, context: Context) -> pb.GetLeadResponse:
        """See the contract."""
        lead, revision = await self._reads.get(LEADS, request.name, request.min_revision, context)
        return pb.GetLeadResponse(lead=lead, revision=revision)

    async def ListLeads(
        self, request: pb.ListLeadsRequest, context: Context
    ) -> pb.ListLeadsResponse:
        """See the contract."""
        sits, ids = on_organizations(request.organizations, request.parent)
        fits = in_states(request.states)
        found, token, revision = await self._reads.page(
            LEADS,
            request,
            lambda lead: fits(lead) and sits(lead),
            [ids, sorted(request.states)],
            context,
        )
        return pb.ListLeadsResponse(leads=found, next_page_token=token, revision=revision)

    async def UpdateLead(
        self, request: pb.UpdateLeadRequest, context: Context
    ) -> pb.UpdateLeadResponse:
        """See the contract."""
        lead, revision = await self._writes.update(
            LEADS, request.lead, request.update_mask, request.allow_missing, context
        )
        return pb.UpdateLeadResponse(lead=lead, revision=revision)

    async def DeleteLead(
        self, request: pb.DeleteLeadRequest, context: Context
    ) -> pb.DeleteLeadResponse:
        """See the contract."""
        revision = await self._writes.delete(LEADS, request.name, request.allow_missing, context)
        return pb.DeleteLeadResponse(revision=revision)

    async def ImportLeads(
        self, request_iterator: AsyncIterable[pb.ImportLeadsRequest], context: Context
    ) -> pb.ImportLeadsResponse:
        """See the contract."""
        done = await import_rows(self._service, LEADS, request_iterator, lambda r: r.leads)
        return pb.ImportLeadsResponse(
            summary=done.summary, errors=done.errors, revision=done.revision
        )

    async def GetOrganization(
        self, request: pb.GetOrganizationRequest, context: Context
    ) -> pb.GetOrganizationResponse:
        """See the contract."""
        organization, revision = await self._reads.get(
            ORGANIZATIONS, request.name, request.min_revision, context
        )
        return pb.GetOrganizationResponse(organization=organization, revision=revision)

    async def ListOrganizations(
        self, request: pb.ListOrganizationsRequest, context: Context
    ) -> pb.ListOrganizationsResponse:
        """See the contract."""
        parent_id = parent_organization(request.parent_organization, request.parent)
        found, token, revision = await self._reads.page(
            ORGANIZATIONS,
            request,
            lambda o: not parent_id or o.parent_id == parent_id,
            parent_id,
            context,
        )
        return pb.ListOrganizationsResponse(
            organizations=found, next_page_token=token, revision=revision
        )

    async def UpdateOrganization(
        self, request: pb.UpdateOrganizationRequest, context: Context
    ) -> pb.UpdateOrganizationResponse:
        """See the contract."""
        organization, revision = await self._writes.update(
            ORGANIZATIONS, request.organization, request.update_mask, request.allow_missing, context
        )
        return pb.UpdateOrganizationResponse(organization=organization, revision=revision)

    async def DeleteOrganization(
        self, request: pb.DeleteOrganizationRequest, context: Context
    ) -> pb.DeleteOrganizationResponse:
        """See the contract."""
        revision = await self._writes.delete(
            ORGANIZATIONS, request.name, request.allow_missing, context
        )
        return pb.DeleteOrganizationResponse(revision=revision)

    async def ImportOrganizations(
        self, request_iterator: AsyncIterable[pb.ImportOrganizationsRequest], context: Context
    ) -> pb.ImportOrganizationsResponse:
        """See the contract."""
        done = await import_rows(
            self._service, ORGANIZATIONS, request_iterator, lambda r: r.organizations
        )
        return pb.ImportOrganizationsResponse(
            summary=done.summary, errors=done.errors, revision=done.revision
        )

    async def GetConflict(
        self, request: pb.GetConflictRequest, context: Context
    ) -> pb.GetConflictResponse:
        """See the contract."""
        conflict, revision = await self._reads.get(
            CONFLICTS, request.name, request.min_revision, context
        )
        return pb.GetConflictResponse(conflict=conflict, revision=revision)

    async def ListConflicts(
        self, request: pb.ListConflictsRequest, context: Context
    ) -> pb.ListConflictsResponse:
        """See the contract."""
        found, token, revision = await self._reads.conflicts(request, context)
        return pb.ListConflictsResponse(conflicts=found, next_page_token=token, revision=revision)

    async def UpdateConflict(
        self, request: pb.UpdateConflictRequest, context: Context
    ) -> pb.UpdateConflictResponse:
        """See the contract."""
        conflict, revision = await self._writes.update_conflict(
            request.conflict, request.update_mask, request.allow_missing, context
        )
        return pb.UpdateConflictResponse(conflict=conflict, revision=revision)

    async def DeleteConflict(
        self, request: pb.DeleteConflictRequest, context: Context
    ) -> pb.DeleteConflictResponse:
        """See the contract."""
        revision = await self._writes.delete(
            CONFLICTS, request.name, request.allow_missing, context
        )
        return pb.DeleteConflictResponse(revision=revision)

    async def ImportConflicts(
        self, request_iterator: AsyncIterable[pb.ImportConflictsRequest], context: Context
    ) -> pb.ImportConflictsResponse:
        """See the contract."""
        done = await import_rows(self._service, CONFLICTS, request_iterator, lambda r: r.conflicts)
        return pb.ImportConflictsResponse(
            summary=done.summary, errors=done.errors, revision=done.revision
        )

"""ClaimService: who takes on what, and has it. The masks come first, the store decides."""

# ruff: noqa: N802 - the contract names the methods

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, replace

from features.entities import Lead, LeadState
from recsvc.convert import claims, names, queries
from recsvc.convert.claims import ClaimAsk, ClaimRequest
from recsvc.errors import (
    ClaimNotAllowedError,
    ConcurrentUpdateError,
    LeadNotOpenError,
    ServiceError,
    UnknownClaimError,
    UnknownLeadError,
    UnknownMemberError,
)
from recsvc.matching.claims import claim_verdict
from recsvc.model.open_leads import CLOCK_AHEAD_US
from recsvc.model.verdicts import Verdict
from recsvc.serving.interceptors import current_call
from recsvc.serving.servicers.shared import Context, Service, pipeline_of
from recsvc.serving.view import View
from recsvc.serving.worker import TenantWorker
from recsvc.store.claims import ClaimAction, ClaimMove, ClaimState, ClaimStatus
from recsvc.store.codec import DELETED, EncodedRecord, RecordKind, encode_entity, stored_fingerprint
from recsvc.v1 import claim_pb2 as pb
from recsvc.v1 import claim_pb2_grpc

_ATTEMPTS = 8
_PAUSE_SECONDS = 0.005
_ENDED = frozenset({LeadState.CLOSED, LeadState.WITHDRAWN})
_STATES = {
    ClaimAction.CLAIM: ClaimState.ACTIVE,
    ClaimAction.RELEASE: ClaimState.RELEASED,
    ClaimAction.TRANSFER: ClaimState.ACTIVE,
    ClaimAction.RESOLVE: ClaimState.RESOLVED,
}


@dataclass(frozen=True)
class _Ground:
    """What a step is judged by: the lead's record as it was read, and what stands against it."""

    fingerprint: str = DELETED
    capacity: int | None = None
    closed_lead: EncodedRecord | None = None
    error: ServiceError | None = None


class ClaimServicer(claim_pb2_grpc.ClaimServiceServicer):
    """Claims, releases, transfers, resolves."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def ClaimLead(
        self, request: pb.ClaimLeadRequest, context: Context
    ) -> pb.ClaimLeadResponse:
        """See the contract."""
        claim, revision = await self._step(ClaimAction.CLAIM, request, context)
        return pb.ClaimLeadResponse(claim=claim, revision=revision)

    async def ReleaseLead(
        self, request: pb.ReleaseLeadRequest, context: Context
    ) -> pb.ReleaseLeadResponse:
        """See the contract."""
        claim, revision = await self._step(ClaimAction.RELEASE, request, context)
        return pb.ReleaseLeadResponse(claim=claim, revision=revision)

    async def TransferLead(
        self, request: pb.TransferLeadRequest, context: Context
    ) -> pb.TransferLeadResponse:
        """See the contract."""
        claim, revision = await self._step(ClaimAction.TRANSFER, request, context)
        return pb.TransferLeadResponse(claim=claim, revision=revision)

    async def ResolveLead(
        self, request: pb.ResolveLeadRequest, context: Context
    ) -> pb.ResolveLeadResponse:
        """See the contract."""
        claim, revision = await self._step(ClaimAction.RESOLVE, request, context)
        return pb.ResolveLeadResponse(claim=claim, revision=revision)

    async def GetClaim(self, request: pb.GetClaimRequest, context: Context) -> pb.GetClaimResponse:
        """See the contract."""
        worker = self._service.worker(request.name, "name")
        lead_id, member_id = names.parse_claim(request.name, worker.tenant)
        await self._service.view(worker, request.min_revision, context)
        found = await worker.store.claims(worker.tenant, lead_id)
        for stored in found:
            if stored.member_id == member_id:
                claim = claims.stored_to_proto(stored, worker.tenant)
                revision = await worker.store.latest_revision(worker.tenant)
                return pb.GetClaimResponse(claim=claim, revision=str(revision))
        raise UnknownClaimError(
            f"there is no claim {names.shown(request.name)}: the member has never claimed the lead",
            field="name",
            resource=request.name,
        )

    async def ListClaims(
        self, request: pb.ListClaimsRequest, context: Context
    ) -> pb.ListClaimsResponse:
        """See the contract."""
        worker = self._service.worker(request.parent, "parent")
        lead_id = names.parse_name(request.parent, worker.tenant, "leads", "parent")
        size = queries.page_size(request.page_size, claims.DEFAULT_PAGE_SIZE, claims.MAX_PAGE_SIZE)
        tokens, binding = self._service.page_tokens, ["claims", worker.tenant, lead_id]
        await self._service.view(worker, request.min_revision, context)
        begin = tokens.decode(binding, request.page_token)[0] if request.page_token else 0
        found = await worker.store.claims(worker.tenant, lead_id)
        end = begin + size
        return pb.ListClaimsResponse(
            claims=[claims.stored_to_proto(stored, worker.tenant) for stored in found[begin:end]],
            next_page_token=tokens.encode(binding, end) if end < len(found) else "",
            revision=str(await worker.store.latest_revision(worker.tenant)),
        )

    async def _step(
        self, action: ClaimAction, request: ClaimRequest, context: Context
    ) -> tuple[pb.Claim, str]:
        worker = self._service.worker(request.lead, "lead")
        ask = claims.ask_from_proto(request, worker.tenant)
        current_call().notes |= {"lead": ask.lead_id, "member": ask.member_id}
        for attempt in range(_ATTEMPTS):
            now_us = self._service.clock()
            ground = await self._ground(worker, action, ask, now_us, context)
            answer = await worker.store.move_claim(
                worker.tenant, _move(action, ask, ground, now_us)
            )
            if answer.status is not ClaimStatus.STALE:
                error = claims.refusal(ask, answer)
                if answer.status is ClaimStatus.REFUSED:
                    error = ground.error
                if error is not None:
                    raise error
                claim = claims.claim_to_proto(ask, _STATES[action], answer.time_us)
                return claim, str(answer.revision)
            await asyncio.sleep(random.uniform(0.0, _PAUSE_SECONDS * 2**attempt))
        raise ConcurrentUpdateError(
            f"{ask.lead_name} was changed by others {_ATTEMPTS} times meanwhile: try again",
            resource=ask.lead_name,
        )

    async def _ground(
        self,
        worker: TenantWorker,
        action: ClaimAction,
        ask: ClaimAsk,
        now_us: int,
        context: Context,
    ) -> _Ground:
        """What the catalog and the masks of this moment say; a release needs none of them."""
        if action is ClaimAction.RELEASE:
            return _Ground()
        # Masks must know of every recusal that was ever acknowledged, by whichever worker.
        view = await self._service.newest(worker, context)
        data = view.catalog.layer(RecordKind.LEAD).get(ask.lead_id)
        lead = view.catalog.get(Lead, ask.lead_id)
        if data is None or lead is None:
            text = f"there is no lead {ask.lead_id!r}: import it first"
            error = UnknownLeadError(text, field="lead", resource=ask.lead_name)
            return _Ground(error=error)
        fingerprint = stored_fingerprint(data)
        if action is ClaimAction.RESOLVE:
            if lead.state in _ENDED:
                return _Ground(fingerprint)
            closed = replace(lead, state=LeadState.CLOSED, close_time_us=now_us)
            return _Ground(fingerprint, closed_lead=encode_entity(closed))
        try:
            _check_open(lead, ask, now_us, taken_counts=action is ClaimAction.CLAIM)
            field, holder = "member", ask.member_id
            if action is ClaimAction.TRANSFER:
                field, holder = "to_member", ask.to_member_id
            _check_masks(view, holder, field, ask)
        except ServiceError as refused:
            return _Ground(fingerprint, error=refused)
        return _Ground(fingerprint, lead.claim_capacity)


def _move(action: ClaimAction, ask: ClaimAsk, ground: _Ground, now_us: int) -> ClaimMove:
    return ClaimMove(
        action,
        ask.lead_id,
        ask.member_id,
        ask.request_id,
        now_us,
        ground.fingerprint,
        capacity=ground.capacity,
        to_member_id=ask.to_member_id,
        refused=ground.error is not None,
        closed_lead=ground.closed_lead,
        push_id=ask.push_id,
        attribution_token=ask.attribution_token,
    )


def _check_open(lead: Lead, ask: ClaimAsk, now_us: int, taken_counts: bool) -> None:
    """Raises LeadNotOpenError, and AlreadyClaimedError where the platform marked it as taken."""
    if lead.state in _ENDED or lead.create_time_us > now_us + CLOCK_AHEAD_US:
        raise LeadNotOpenError(
            f"{ask.lead_name} is {lead.state.name.lower()}, or not raised yet",
            field="lead",
            resource=ask.lead_name,
        )
    if taken_counts and lead.state is LeadState.CLAIMED:
        raise claims.already_claimed(ask)


def _check_masks(view: View, member_id: str, field: str, ask: ClaimAsk) -> None:
    """Raises UnknownMemberError, NoModelError, ClaimNotAllowedError."""
    snapshot = pipeline_of(view).snapshot
    row = snapshot.members.row(member_id)
    if row < 0:
        raise UnknownMemberError(
            f"there is no member {member_id!r}: import it first",
            field=field,
            resource=names.format_name(ask.tenant, "members", member_id),
        )
    verdict = claim_verdict(snapshot, row, snapshot.leads.row(ask.lead_id))
    if verdict is not Verdict.KEPT:
        raise ClaimNotAllowedError(
            f"the member may not hold {ask.lead_name}: {verdict.name.lower()}",
            field=field,
            resource=ask.lead_name,
            metadata={"filter": verdict.name},
        )

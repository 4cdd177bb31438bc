"""The calls of ClaimService."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from recsvc.client.calls import Call, Caller, Pages, id_of
from recsvc.client.replies import enum_name, time_us
from recsvc.v1 import claim_pb2 as pb

PAGE_SIZE = 500


@dataclass(frozen=True, slots=True)
class Claim:
    """A member's hold on a lead; `state` is ACTIVE, RELEASED, TRANSFERRED or RESOLVED."""

    lead_id: str
    member_id: str
    state: str
    update_time_us: int


def claim(
    caller: Caller,
    lead_id: str,
    member_id: str,
    *,
    request_id: str = "",
    push_id: str = "",
    attribution_token: str = "",
) -> Call[Claim]:
    """The member takes the lead on.

    A caller that may have to ask again in another process gives a `request_id` of its own: the
    same one gets the same answer. Raises AlreadyClaimedError, LeadNotOpenError,
    ClaimNotAllowedError.
    """
    request = pb.ClaimLeadRequest(
        lead=caller.name("leads", lead_id),
        member=caller.name("members", member_id),
        request_id=request_id or _new_id(),
        push_id=push_id,
        attribution_token=attribution_token,
    )
    return Call("ClaimLead", request, _claim_on(lead_id), caller.timeouts.write_seconds)


def release(caller: Caller, lead_id: str, member_id: str, *, request_id: str = "") -> Call[Claim]:
    """The member gives the lead back. Raises ClaimNotActiveError."""
    request = pb.ReleaseLeadRequest(
        lead=caller.name("leads", lead_id),
        member=caller.name("members", member_id),
        request_id=request_id or _new_id(),
    )
    return Call("ReleaseLead", request, _claim_on(lead_id), caller.timeouts.write_seconds)


def transfer(
    caller: Caller, lead_id: str, member_id: str, to_member_id: str, *, request_id: str = ""
) -> Call[Claim]:
    """The member hands the lead to another; the new holder's claim.

    Raises ClaimNotActiveError, ClaimExistsError, ClaimNotAllowedError.
    """
    request = pb.TransferLeadRequest(
        lead=caller.name("leads", lead_id),
        member=caller.name("members", member_id),
        to_member=caller.name("members", to_member_id),
        request_id=request_id or _new_id(),
    )
    return Call("TransferLead", request, _claim_on(lead_id), caller.timeouts.write_seconds)


def resolve(caller: Caller, lead_id: str, member_id: str, *, request_id: str = "") -> Call[Claim]:
    """The member has solved it; the lead is closed. Raises ClaimNotActiveError."""
    request = pb.ResolveLeadRequest(
        lead=caller.name("leads", lead_id),
        member=caller.name("members", member_id),
        request_id=request_id or _new_id(),
    )
    return Call("ResolveLead", request, _claim_on(lead_id), caller.timeouts.write_seconds)


def get_claim(caller: Caller, lead_id: str, member_id: str) -> Call[Claim]:
    """A member's claim on a lead, in whichever state. Raises UnknownClaimError."""
    name = f"{caller.name('leads', lead_id)}/claims/{member_id}"
    request = pb.GetClaimRequest(name=name)
    return Call("GetClaim", request, _claim_on(lead_id), caller.timeouts.read_seconds)


def list_claims(caller: Caller, lead_id: str) -> Pages[Claim]:
    """All claims there ever were on a lead, each in its last state."""
    request = pb.ListClaimsRequest(parent=caller.name("leads", lead_id), page_size=PAGE_SIZE)
    return Pages(
        "ListClaims",
        request,
        lambda reply: [_claim(lead_id, found) for found in reply.claims],
        caller.timeouts.read_seconds,
    )


def _new_id() -> str:
    """Made once for a call: its tries all carry the same."""
    return str(uuid.uuid4())


def _claim_on(lead_id: str) -> Callable[[Any], Claim]:
    return lambda reply: _claim(lead_id, reply.claim)


def _claim(lead_id: str, found: pb.Claim) -> Claim:
    state = enum_name(pb.ClaimState, found.state)
    return Claim(lead_id, id_of(found.member), state, time_us(found.update_time))

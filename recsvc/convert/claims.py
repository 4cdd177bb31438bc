"""Claims: requests -> what is asked, the store's answers -> messages and errors."""

from __future__ import annotations

from dataclasses import dataclass

from recsvc.convert import names, values
from recsvc.convert.events import MAX_TOKEN_LENGTH, platform_id
from recsvc.errors import (
    AlreadyClaimedError,
    ClaimExistsError,
    ClaimNotActiveError,
    InvalidNameError,
    MissingFieldError,
    RequestIdConflictError,
    ServiceError,
)
from recsvc.store.claims import REQUEST_ID_DAYS, ClaimAnswer, ClaimState, ClaimStatus, StoredClaim
from recsvc.v1 import claim_pb2 as pb

DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE = 50, 1_000

ClaimRequest = (
    pb.ClaimLeadRequest | pb.ReleaseLeadRequest | pb.TransferLeadRequest | pb.ResolveLeadRequest
)


@dataclass(frozen=True, slots=True)
class ClaimAsk:
    """What one request is about, in ids."""

    tenant: str
    lead_id: str
    member_id: str
    request_id: str
    to_member_id: str = ""
    push_id: str = ""
    attribution_token: str = ""

    @property
    def lead_name(self) -> str:
        """The lead's resource name."""
        return names.format_name(self.tenant, "leads", self.lead_id)


def ask_from_proto(request: ClaimRequest, tenant: str) -> ClaimAsk:
    """The ids of a request; raises the error of the first field that cannot be used."""
    lead_id = names.parse_name(request.lead, tenant, "leads", "lead")
    member_id = names.parse_name(request.member, tenant, "members", "member")
    to_member_id = push_id = token = ""
    if isinstance(request, pb.TransferLeadRequest):
        to_member_id = names.parse_name(request.to_member, tenant, "members", "to_member")
        if to_member_id == member_id:
            raise InvalidNameError(
                "to_member is the member who holds it: name another", field="to_member"
            )
    if not request.request_id:
        raise MissingFieldError("request_id is required, such as a new UUID", field="request_id")
    request_id = platform_id(request.request_id, "request_id")
    if isinstance(request, pb.ClaimLeadRequest):
        push_id = platform_id(request.push_id, "push_id")
        token = values.text(request.attribution_token, MAX_TOKEN_LENGTH, "attribution_token")
    return ClaimAsk(tenant, lead_id, member_id, request_id, to_member_id, push_id, token)


def claim_to_proto(ask: ClaimAsk, state: ClaimState, time_us: int) -> pb.Claim:
    """The claim after a step: the new holder's for a transfer."""
    member_id = ask.to_member_id or ask.member_id
    return pb.Claim(
        name=f"{ask.lead_name}/claims/{member_id}",
        member=names.format_name(ask.tenant, "members", member_id),
        state=pb.ClaimState.ValueType(int(state)),
        update_time=values.timestamp(time_us),
    )


def stored_to_proto(stored: StoredClaim, tenant: str) -> pb.Claim:
    """A claim as the store has it."""
    lead = names.format_name(tenant, "leads", stored.lead_id)
    return pb.Claim(
        name=f"{lead}/claims/{stored.member_id}",
        member=names.format_name(tenant, "members", stored.member_id),
        state=pb.ClaimState.ValueType(int(stored.state)),
        update_time=values.timestamp(stored.time_us),
    )


def refusal(ask: ClaimAsk, answer: ClaimAnswer) -> ServiceError | None:
    """The error of an answer; None when the step was done. Nobody else is named in it."""
    match answer.status:
        case ClaimStatus.FULL:
            return already_claimed(ask, answer.holders, answer.capacity)
        case ClaimStatus.NOT_HELD:
            return ClaimNotActiveError(
                f"the member does not hold {ask.lead_name}", field="member", resource=ask.lead_name
            )
        case ClaimStatus.HELD:
            return ClaimExistsError(
                f"the new holder holds {ask.lead_name} already: release it instead",
                field="to_member",
                resource=ask.lead_name,
            )
        case ClaimStatus.OTHER:
            return RequestIdConflictError(
                f"request_id was used for another request about {ask.lead_name} within "
                f"{REQUEST_ID_DAYS} days: give every request an id of its own",
                field="request_id",
            )
    return None


def already_claimed(
    ask: ClaimAsk, holders: int | None = None, capacity: int | None = None
) -> AlreadyClaimedError:
    """The lead is taken; by how many of how many, where that is what counted, but not by whom."""
    counts = {"claim_count": holders, "claim_capacity": capacity}
    return AlreadyClaimedError(
        f"{ask.lead_name} is taken: choose another lead, or try again after somebody released it",
        field="lead",
        resource=ask.lead_name,
        metadata={name: str(value) for name, value in counts.items() if value is not None},
    )

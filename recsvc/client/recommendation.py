"""The calls of RecommendationService."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from features.entities import Lead
from recsvc.client import replies
from recsvc.client.calls import Call, Caller, Streams, chunks
from recsvc.client.types import (
    Eligibility,
    Explanation,
    LeadList,
    MemberList,
    MemberOutcome,
    PairScore,
)
from recsvc.convert.values import latlng
from recsvc.errors import MissingFieldError
from recsvc.v1 import recommendation_pb2 as pb

MAX_BATCH = 1_000


def recommend(
    caller: Caller,
    member_id: str,
    *,
    count: int = 10,
    page_token: str = "",
    eligibility: Eligibility | None = None,
    diversity: float | None = None,
    full: bool = False,
    as_of_us: int | None = None,
) -> Call[LeadList]:
    """The best open leads for a member, best first.

    `full` brings the leads themselves and every score term; `page_token` is the last reply's
    `info.next_page_token`, everything else being the same; `as_of_us` (operators and auditors)
    answers as at that time. Raises UnknownMemberError, NoModelError, InvalidRequestError.
    """
    request = pb.RecommendLeadsRequest(member=caller.name("members", member_id))
    request.page_token = page_token
    _fill(caller, request, "leads", count, eligibility, diversity, full, as_of_us)
    return Call(
        "RecommendLeads",
        request,
        lambda reply: replies.lead_list(reply, caller.tenant),
        caller.timeouts.read_seconds,
    )


def recommend_many(
    caller: Caller,
    member_ids: Iterable[str],
    *,
    count: int = 10,
    eligibility: Eligibility | None = None,
    diversity: float | None = None,
    full: bool = False,
    as_of_us: int | None = None,
) -> Streams[MemberOutcome]:
    """The same for any number of members, in their order, a thousand a call.

    Yields an outcome a member: its leads, or the error of this one member.
    """

    def requests() -> Iterator[Message]:
        for chunk in chunks(member_ids, MAX_BATCH):
            request = pb.BatchRecommendLeadsRequest(
                parent=caller.parent, members=caller.names("members", chunk)
            )
            _fill(caller, request, "leads", count, eligibility, diversity, full, as_of_us)
            yield request

    return Streams(
        "BatchRecommendLeads",
        requests(),
        lambda reply: replies.outcomes(reply, caller.tenant),
        caller.timeouts.bulk_seconds,
    )


def match(
    caller: Caller,
    lead: str | Lead,
    *,
    count: int = 10,
    page_token: str = "",
    eligibility: Eligibility | None = None,
    diversity: float | None = None,
    full: bool = False,
    as_of_us: int | None = None,
) -> Call[MemberList]:
    """The best members for a lead, best first.

    `lead` is the id of a stored lead, or a draft: a Lead whose text, topics, place, urgency,
    organization and author count and that is not stored (its id is left out of account). Raises
    UnknownLeadError, NoModelError, InvalidRequestError.
    """
    request = pb.MatchMembersRequest(parent=caller.parent, page_token=page_token)
    if isinstance(lead, Lead):
        request.draft.CopyFrom(_draft(caller, lead))
    else:
        request.lead = caller.name("leads", lead)
    _fill(caller, request, "members", count, eligibility, diversity, full, as_of_us)
    return Call(
        "MatchMembers",
        request,
        lambda reply: replies.member_list(reply, caller.tenant),
        caller.timeouts.read_seconds,
    )


def score_pairs(
    caller: Caller, pairs: Sequence[tuple[str, str]], *, as_of_us: int | None = None
) -> Call[list[PairScore]]:
    """Score and probability of up to 5,000 (member id, lead id) pairs, in their order.

    Masked pairs have a score, too, and the filter that stands against them.
    """
    members = {member_id: i for i, member_id in enumerate(dict.fromkeys(m for m, _ in pairs))}
    leads = {lead_id: i for i, lead_id in enumerate(dict.fromkeys(lead for _, lead in pairs))}
    request = pb.ScorePairsRequest(
        parent=caller.parent,
        members=caller.names("members", members),
        leads=caller.names("leads", leads),
        member_indexes=[members[m] for m, _ in pairs],
        lead_indexes=[leads[lead] for _, lead in pairs],
        as_of_time=_time(as_of_us),
    )

    def convert(reply: pb.ScorePairsResponse) -> list[PairScore]:
        probabilities = reply.claim_probabilities or [math.nan] * len(reply.scores)
        rows = zip(pairs, reply.scores, probabilities, reply.filter_reasons, strict=True)
        return [
            PairScore(
                member_id,
                lead_id,
                score,
                None if math.isnan(probability) else probability,
                replies.filter_name(reason),
            )
            for (member_id, lead_id), score, probability, reason in rows
        ]

    return Call("ScorePairs", request, convert, caller.timeouts.read_seconds)


def explain(
    caller: Caller,
    member_id: str,
    lead_id: str,
    *,
    eligibility: Eligibility | None = None,
    as_of_us: int | None = None,
) -> Call[Explanation]:
    """Why a member is offered a lead now (or at `as_of_us`), or why not."""
    request = pb.ExplainRequest(
        parent=caller.parent,
        pair=_pair(caller, member_id, lead_id),
        eligibility=_eligibility(caller, eligibility, "leads"),
        as_of_time=_time(as_of_us),
    )
    return Call("Explain", request, replies.explanation, caller.timeouts.read_seconds)


def explain_reply(
    caller: Caller, attribution_token: str, member_id: str, lead_id: str
) -> Call[Explanation]:
    """Why a reply of the past held a lead, or why it did not. Raises NotReplayableError."""
    pair = _pair(caller, member_id, lead_id)
    attributed = pb.AttributedPair(attribution_token=attribution_token, pair=pair)
    request = pb.ExplainRequest(parent=caller.parent, attributed=attributed)
    return Call("Explain", request, replies.explanation, caller.timeouts.read_seconds)


def explain_push(caller: Caller, push_id: str) -> Call[Explanation]:
    """Why a push was made. Raises UnknownPushError."""
    request = pb.ExplainRequest(parent=caller.parent, push_id=push_id)
    return Call("Explain", request, replies.explanation, caller.timeouts.read_seconds)


def _fill(
    caller: Caller,
    request: Any,
    collection: str,
    count: int,
    eligibility: Eligibility | None,
    diversity: float | None,
    full: bool,
    as_of_us: int | None,
) -> None:
    """Sets what the three list requests have in common; `collection` is what the list holds."""
    request.page_size = count
    request.view = pb.VIEW_FULL if full else pb.VIEW_BASIC
    if diversity is not None:
        request.diversity = diversity
    if eligibility is not None:
        request.eligibility.CopyFrom(_eligibility(caller, eligibility, collection))
    if as_of_us is not None:
        request.as_of_time.FromMicroseconds(as_of_us)


def _eligibility(
    caller: Caller, wanted: Eligibility | None, collection: str
) -> pb.Eligibility | None:
    if wanted is None:
        return None
    if wanted.candidate_ids is not None and not wanted.candidate_ids:
        # On the wire an empty list means any: the opposite of what the caller says.
        raise MissingFieldError(
            "eligibility.candidate_ids is empty: nothing can be ranked; None stands for any",
            field="eligibility.candidates",
        )
    return pb.Eligibility(
        topics=wanted.topics,
        organizations=caller.names("organizations", wanted.organization_ids),
        region_code=wanted.region_code,
        max_distance_km=wanted.max_distance_km,
        candidates=caller.names(collection, wanted.candidate_ids or ()),
    )


def _draft(caller: Caller, lead: Lead) -> pb.DraftLead:
    return pb.DraftLead(
        title=lead.title,
        body=lead.body,
        topics=lead.topics,
        region_code=lead.region_code,
        location=latlng(lead.latitude, lead.longitude),
        urgency=lead.urgency,
        organization=caller.name("organizations", lead.organization_id),
        author_id=lead.author_id,
    )


def _pair(caller: Caller, member_id: str, lead_id: str) -> pb.Pair:
    return pb.Pair(member=caller.name("members", member_id), lead=caller.name("leads", lead_id))


def _time(microseconds: int | None) -> Timestamp | None:
    if microseconds is None:
        return None
    found = Timestamp()
    found.FromMicroseconds(microseconds)
    return found

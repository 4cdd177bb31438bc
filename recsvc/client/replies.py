"""Messages of the service as the client's types."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from recsvc.client.calls import id_of
from recsvc.client.types import (
    Blocked,
    Explanation,
    LeadList,
    MemberList,
    MemberOutcome,
    RankedLead,
    RankedMember,
    Reason,
    ReplyInfo,
    RowError,
    ScoreTerm,
)
from recsvc.convert.leads import lead_from_proto
from recsvc.convert.members import member_from_proto
from recsvc.v1 import errors_pb2, push_pb2, recommendation_pb2

FAR_FUTURE_US = 2**62
"""Given as "now" to conversions of replies, whose times are the service's own."""


def enum_name(enum: Any, value: int) -> str:
    """A value's name without the enum's prefix, "" for unspecified, the number for unknown ones."""
    if value == 0:
        return ""
    if value not in enum.values():
        return str(value)
    prefix = enum.Name(0).removesuffix("UNSPECIFIED")
    name: str = enum.Name(value)
    return name.removeprefix(prefix)


def time_us(value: Timestamp) -> int:
    """Microseconds since the epoch; 0 for a time that is not set."""
    return value.seconds * 1_000_000 + value.nanos // 1000


def optional(message: Any, field: str) -> Any:
    """A field's value, None when it is absent."""
    return getattr(message, field) if message.HasField(field) else None


def lead_list(reply: recommendation_pb2.RecommendLeadsResponse, tenant: str) -> LeadList:
    """A reply of RecommendLeads."""
    return LeadList(tuple(_ranked_lead(item, tenant) for item in reply.leads), _info(reply))


def _ranked_lead(item: recommendation_pb2.RecommendedLead, tenant: str) -> RankedLead:
    return RankedLead(
        lead_id=id_of(item.lead),
        position=item.position,
        score=item.score,
        claim_probability=optional(item, "claim_probability"),
        reasons=reasons(item.reasons),
        distance_km=optional(item, "distance_km"),
        diversity_adjustment=item.diversity_adjustment,
        lead=lead_from_proto(item.resource, tenant, FAR_FUTURE_US)
        if item.HasField("resource")
        else None,
        terms=terms(item.terms),
    )


def member_list(reply: recommendation_pb2.MatchMembersResponse, tenant: str) -> MemberList:
    """A reply of MatchMembers."""
    return MemberList(tuple(_ranked_member(item, tenant) for item in reply.members), _info(reply))


def _ranked_member(item: recommendation_pb2.MatchedMember, tenant: str) -> RankedMember:
    return RankedMember(
        member_id=id_of(item.member),
        position=item.position,
        score=item.score,
        claim_probability=optional(item, "claim_probability"),
        reasons=reasons(item.reasons),
        distance_km=optional(item, "distance_km"),
        diversity_adjustment=item.diversity_adjustment,
        member=member_from_proto(item.resource, tenant, FAR_FUTURE_US)
        if item.HasField("resource")
        else None,
        terms=terms(item.terms),
    )


def _info(
    reply: recommendation_pb2.RecommendLeadsResponse | recommendation_pb2.MatchMembersResponse,
) -> ReplyInfo:
    return ReplyInfo(
        attribution_token=reply.attribution_token,
        model_version=reply.model_version,
        revision=reply.revision,
        serving_mode=enum_name(recommendation_pb2.ServingMode, reply.serving_mode),
        baseline=reply.baseline,
        eligible_count=reply.eligible_count,
        removed={filter_name(entry.reason): entry.count for entry in reply.removed},
        next_page_token=reply.next_page_token,
    )


def outcomes(
    reply: recommendation_pb2.BatchRecommendLeadsResponse, tenant: str
) -> list[MemberOutcome]:
    """A message of BatchRecommendLeads."""
    return [
        MemberOutcome(id_of(result.member), None, row_error(result.error))
        if result.WhichOneof("outcome") == "error"
        else MemberOutcome(id_of(result.member), lead_list(result.reply, tenant))
        for result in reply.results
    ]


def explanation(reply: recommendation_pb2.ExplainResponse) -> Explanation:
    """A reply of Explain."""
    return Explanation(
        member_id=id_of(reply.member),
        lead_id=id_of(reply.lead),
        shown=reply.would_be_shown,
        blocked_by=tuple(Blocked(filter_name(b.reason), b.text) for b in reply.blocked_by),
        score=reply.score,
        claim_probability=optional(reply, "claim_probability"),
        baseline=reply.baseline,
        terms=terms(reply.terms),
        reasons=reasons(reply.reasons),
        rank=optional(reply, "rank"),
        eligible_count=reply.eligible_count,
        serving_mode=enum_name(recommendation_pb2.ServingMode, reply.serving_mode),
        model_version=reply.model_version,
        revision=reply.revision,
        decision_time_us=time_us(reply.decision_time),
        plan_reason=reply.push.plan_reason,
        push_state=enum_name(push_pb2.PushState, reply.push.state),
    )


def reasons(messages: Iterable[recommendation_pb2.Reason]) -> tuple[Reason, ...]:
    """Reasons in their order."""
    code = recommendation_pb2.ReasonCode
    return tuple(Reason(enum_name(code, m.code), m.weight, m.text) for m in messages)


def terms(messages: Iterable[recommendation_pb2.ScoreTerm]) -> tuple[ScoreTerm, ...]:
    """Score terms in their order."""
    code = recommendation_pb2.ReasonCode
    return tuple(ScoreTerm(enum_name(code, m.code), m.feature, m.value, m.weight) for m in messages)


def filter_name(value: int) -> str:
    """A filter's name, "" when nothing stands against a pair."""
    return enum_name(recommendation_pb2.FilterReason, value)


def row_error(message: errors_pb2.RowError, offset: int = 0) -> RowError:
    """A refused row; `offset` rows were sent before this request."""
    return RowError(
        row_index=offset + message.row_index,
        reason=enum_name(errors_pb2.ErrorReason, message.reason),
        field=message.field,
        message=message.message,
        row_id=message.row_id,
    )

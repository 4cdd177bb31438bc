"""Pushes, plans and pauses: the store's and the planner's types -> messages."""

from __future__ import annotations

from recsvc.convert import names, values
from recsvc.errors import MissingFieldError
from recsvc.push.types import Plan, PushFacts
from recsvc.store.pushes import Pause, Push, PushState, StoredPush
from recsvc.v1 import push_pb2 as pb

MAX_ACKS = 1_000
DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 1_000
MAX_REASON_LENGTH = 1_000
DEFAULT_LEASE_SECONDS = 60
MAX_LEASE_SECONDS = 3_600

_STATES = {
    PushState.WAITING: pb.PUSH_STATE_WAITING,
    PushState.DELIVERED: pb.PUSH_STATE_DELIVERED,
    PushState.DROPPED: pb.PUSH_STATE_DROPPED,
}


def push_to_proto(push: Push, tenant: str) -> pb.Push:
    """The push as a consumer gets it."""
    return pb.Push(
        name=names.format_name(tenant, "pushes", push.push_id),
        member=names.format_name(tenant, "members", push.member_id),
        lead=names.format_name(tenant, "leads", push.lead_id),
        wave=push.wave,
        claim_probability=push.claim_probability,
        propensity=push.propensity,
        model_version=push.model_version,
        release_time=values.timestamp(push.release_time_us),
        expire_time=values.timestamp(push.expire_time_us),
        reasons=push.reasons,
    )


def decision_to_proto(
    push: Push, tenant: str, value: float, facts: PushFacts, removed: dict[str, int]
) -> pb.PushDecision:
    """What decided a push, for its record."""
    return pb.PushDecision(
        push=push_to_proto(push, tenant),
        plan=push.plan_id,
        source=pb.PushSource.Value(f"PUSH_SOURCE_{facts.source.name}"),
        candidate_count=facts.candidates_count,
        candidate_rank=facts.rank + 1,
        value=value,
        lead_price=facts.lead_price,
        member_price=facts.member_price,
        plan_reason=plan_reason(facts),
        filtered_members=[
            pb.FilteredMembers(filter=_filter(name), count=count) for name, count in removed.items()
        ],
    )


def state_to_proto(decision: pb.PushDecision, stored: StoredPush) -> None:
    """Adds what became of a push to what decided it."""
    decision.state = _STATES[stored.state]
    when = values.timestamp(stored.state_time_us)
    if when is not None:
        decision.state_time.CopyFrom(when)
    if stored.why:
        decision.dropped_because = _filter(stored.why)
    decision.sent_count = stored.sent_count


def status_to_proto(stored: StoredPush, tenant: str) -> pb.PushStatus:
    """A push and what became of it."""
    return pb.PushStatus(
        push=push_to_proto(stored.push, tenant),
        plan=stored.push.plan_id,
        state=_STATES[stored.state],
        state_time=values.timestamp(stored.state_time_us),
        dropped_because=_filter(stored.why) if stored.why else pb.PUSH_FILTER_UNSPECIFIED,
        sent_count=stored.sent_count,
    )


def plan_reason(facts: PushFacts) -> str:
    """Why the plan chose this pair, in Chinese; nothing in it is about anybody else."""
    place = f"在{facts.candidates_count}位候选委员中，按预计领办概率排第{facts.rank + 1}位"
    match facts.source.name:
        case "REPAIR":
            how = "候选委员的推送名额均已用完，从其余符合条件的委员中补选"
        case "EXPLORED":
            how = "为检验推送效果随机选取"
        case "ARRIVAL":
            how = "紧急线索，收到后立即推送"
        case _:
            how = "全局方案选中"
    text = f"{how}；{place}"
    if facts.member_price > 0:
        text += f"；该委员的推送名额已用满，再多一个名额预计价值{facts.member_price:.3f}"
    if facts.lead_price > 0:
        text += f"；该线索再多推送一位委员预计价值{facts.lead_price:.3f}"
    return text


def _filter(name: str) -> pb.PushFilter.ValueType:
    return pb.PushFilter.Value(f"PUSH_FILTER_{name}")


def unserved_to_proto(plan: Plan, tenant: str) -> list[pb.UnservedLead]:
    """The leads that get nothing, and why."""
    return [
        pb.UnservedLead(
            lead=names.format_name(tenant, "leads", lead_id),
            reason=pb.UnservedReason.Value(f"UNSERVED_REASON_{unserved.reason.name}"),
            text=unserved.text,
        )
        for lead_id, unserved in plan.unserved.items()
    ]


def pause_to_proto(pause: Pause, tenant: str) -> pb.PushPause:
    """A pause in force."""
    return pb.PushPause(
        organization=names.format_name(tenant, "organizations", pause.organization_id),
        pause_time=values.timestamp(pause.time_us),
        actor=pause.actor,
        reason=pause.reason,
    )


def consumer_name(value: str, field: str) -> str:
    """The name of a group or consumer; raises MissingField-, InvalidNameError."""
    if not value:
        raise MissingFieldError(f"{field} is required", field=field)
    return names.check_id(value, field)


def lease_seconds(value: int) -> int:
    """How long a push may stay with a consumer; raises InvalidNumberError."""
    if value == 0:
        return DEFAULT_LEASE_SECONDS
    return values.number(value, 1, MAX_LEASE_SECONDS, "lease_seconds")

"""A plan's pushes as they go into the outbox, each with what Explain says of it a year later."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

from features.entities import Lead, Member
from recsvc.convert import names, replies, values
from recsvc.convert.pushes import decision_to_proto
from recsvc.matching.calendar import release_us
from recsvc.matching.pushing import Why, removed_members, why_pairs
from recsvc.model.snapshot import Snapshot
from recsvc.push.config import PushConfig
from recsvc.push.types import Plan, PlannedPush
from recsvc.serving.delivery import week_cap
from recsvc.store.codec import decode_entity
from recsvc.store.pushes import NewPush, Push, push_id_of
from recsvc.v1 import recommendation_pb2

_HOUR_US = 3_600_000_000


def new_pushes(
    tenant: str,
    snapshot: Snapshot,
    plan: Plan,
    plan_id: str,
    config: PushConfig,
    revision: str,
    holidays: Collection[date] = (),
) -> list[NewPush]:
    """The pushes of a plan made on `snapshot`; takes a millisecond a push or less."""
    pairs = [(p.member_id, p.lead_id) for p in plan.pushes]
    if not pairs:
        return []
    removed = {
        lead_id: removed_members(snapshot, lead_id, plan.now_us)
        for lead_id in dict.fromkeys(lead for _, lead in pairs)
    }
    found = []
    for planned, why in zip(plan.pushes, why_pairs(snapshot, pairs, plan.now_us), strict=True):
        member, lead = _entities(snapshot, planned)
        push = _push(tenant, snapshot, plan, plan_id, planned, why, member, lead, config, holidays)
        decision = decision_to_proto(
            push, tenant, planned.value, planned.facts, removed[planned.lead_id]
        )
        message = recommendation_pb2.ExplainResponse(
            member=names.format_name(tenant, "members", planned.member_id),
            lead=names.format_name(tenant, "leads", planned.lead_id),
            would_be_shown=True,
            score=why.score,
            claim_probability=why.claim_probability,
            baseline=why.baseline,
            terms=replies.terms_to_proto(why.terms),
            reasons=replies.reasons_to_proto(why.reasons),
            serving_mode=replies.MODES[why.mode],
            model_version=plan.model_id,
            revision=revision,
            decision_time=values.timestamp(plan.now_us),
            push=decision,
        )
        caps = week_cap(config, member), config.caps.day
        found.append(NewPush(push, message.SerializeToString(), *caps))
    return found


def _entities(snapshot: Snapshot, planned: PlannedPush) -> tuple[Member, Lead]:
    member = decode_entity(Member, snapshot.members.record(snapshot.members.row(planned.member_id)))
    lead = decode_entity(Lead, snapshot.leads.record(snapshot.leads.row(planned.lead_id)))
    assert isinstance(member, Member), "the plan is made of living rows"
    assert isinstance(lead, Lead), "the plan is made of living rows"
    return member, lead


def _push(
    tenant: str,
    snapshot: Snapshot,
    plan: Plan,
    plan_id: str,
    planned: PlannedPush,
    why: Why,
    member: Member,
    lead: Lead,
    config: PushConfig,
    holidays: Collection[date],
) -> Push:
    tree = snapshot.organizations
    organization = tree.get(tree.find(member.organization_id))
    free_us = release_us(organization, holidays, plan.now_us)
    hours = config.waves.deadline_hours[lead.urgency]
    return Push(
        push_id=push_id_of(tenant, planned.member_id, planned.lead_id, planned.wave),
        member_id=planned.member_id,
        lead_id=planned.lead_id,
        wave=planned.wave,
        plan_id=plan_id,
        release_time_us=free_us,
        expire_time_us=free_us + round(hours * _HOUR_US),
        claim_probability=planned.probability if why.claim_probability is not None else None,
        propensity=planned.propensity,
        model_version=plan.model_id,
        reasons=tuple(reason.text for reason in why.member_reasons),
    )

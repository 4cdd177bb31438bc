"""Explain: why a member is offered a lead, or why not, now or at a decision of the past."""

from __future__ import annotations

from dataclasses import dataclass

from recsvc.convert import names, queries, replies, values
from recsvc.convert.pushes import state_to_proto
from recsvc.errors import (
    InvalidAttributionTokenError,
    MissingFieldError,
    NotFoundError,
    UnknownPushError,
)
from recsvc.matching.explain import VERDICT_TEXTS
from recsvc.matching.queries import ListQuery, PairExplanation, Wanted
from recsvc.model.verdicts import Verdict
from recsvc.serving.attribution import Decision, subject_key
from recsvc.serving.interceptors import current_call
from recsvc.serving.servicers.shared import Context, Service, name_missing, pipeline_of
from recsvc.serving.view import View
from recsvc.serving.worker import TenantWorker
from recsvc.v1 import recommendation_pb2 as pb


@dataclass(frozen=True)
class _Question:
    """One pair at one view."""

    view: View
    member_id: str
    lead_id: str
    when_us: int
    wanted: Wanted


class Explanation:
    """Answers Explain."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def explain(self, request: pb.ExplainRequest, context: Context) -> pb.ExplainResponse:
        """See the contract."""
        worker = self._service.worker(request.parent, "parent")
        names.parse_tenant(request.parent, worker.tenant)
        match request.WhichOneof("target"):
            case "pair":
                question = await self._now(worker, request, context)
            case "attributed":
                question = await self._then(worker, request, context)
            case "push_id":
                return await self._pushed(worker, request.push_id)
            case _:
                raise MissingFieldError("set pair, push_id or attributed", field="target")
        current_call().notes |= {"member": question.member_id, "lead": question.lead_id}
        return _reply(question, worker.tenant)

    async def _pushed(self, worker: TenantWorker, push_id: str) -> pb.ExplainResponse:
        """What was recorded when the push was planned, and what became of it."""
        found = (await worker.store.pushes(worker.tenant, [push_id])).get(push_id)
        if found is None:
            raise UnknownPushError(
                f"there is no record of push {names.shown(push_id)}", field="push_id"
            )
        current_call().notes["push"] = push_id
        reply = pb.ExplainResponse.FromString(found.detail)
        state_to_proto(reply.push, found)
        return reply

    async def _now(
        self, worker: TenantWorker, request: pb.ExplainRequest, context: Context
    ) -> _Question:
        member_id, lead_id = _pair(request.pair, worker.tenant, "pair.")
        when_us = self._service.clock()
        if request.HasField("as_of_time"):
            self._service.caller.check_as_of()
            when_us = values.time_us(request.as_of_time, when_us, "as_of_time")
        with values.within("eligibility."):
            wanted = queries.wanted_from_proto(request.eligibility, worker.tenant, "leads")
        view = await self._service.view(worker, request.min_revision, context)
        return _Question(view, member_id, lead_id, when_us, wanted)

    async def _then(
        self, worker: TenantWorker, request: pb.ExplainRequest, context: Context
    ) -> _Question:
        attributed = request.attributed
        if not attributed.attribution_token:
            raise MissingFieldError(
                "attributed.attribution_token is required", field="attributed.attribution_token"
            )
        member_id, lead_id = _pair(attributed.pair, worker.tenant, "attributed.pair.")
        decision = self._service.attribution[worker.tenant].decode(
            attributed.attribution_token, "attributed.attribution_token"
        )
        if not decision.draft and decision.subject not in map(subject_key, (member_id, lead_id)):
            raise InvalidAttributionTokenError(
                "the token is of a reply about somebody else: send the token of that very reply",
                field="attributed.attribution_token",
            )
        live = await self._service.view(worker, request.min_revision, context)
        view = live if _is_same_state(live, decision) else await worker.replay.view(decision)
        return _Question(view, member_id, lead_id, decision.time_us, Wanted())


def _is_same_state(view: View, decision: Decision) -> bool:
    """Whether nothing has changed since the decision."""
    return (
        not decision.draft
        and decision.whole_revision
        and view.model_id == decision.model_version
        and view.applied == decision.revision
    )


def _pair(message: pb.Pair, tenant: str, prefix: str) -> tuple[str, str]:
    return (
        names.parse_name(message.member, tenant, "members", f"{prefix}member"),
        names.parse_name(message.lead, tenant, "leads", f"{prefix}lead"),
    )


def _reply(question: _Question, tenant: str) -> pb.ExplainResponse:
    view, pipeline = question.view, pipeline_of(question.view)
    member = names.format_name(tenant, "members", question.member_id)
    lead = names.format_name(tenant, "leads", question.lead_id)
    try:
        found = pipeline.explain(
            question.member_id, question.lead_id, question.when_us, question.wanted
        )
    except NotFoundError as error:
        name_missing(error, member, lead, "pair.")
        raise
    query = ListQuery(count=1, wanted=question.wanted, as_of_us=question.when_us)
    context = pipeline.recommend(question.member_id, query)
    blocked, rank = _standing(found)
    return pb.ExplainResponse(
        member=member,
        lead=lead,
        would_be_shown=not blocked,
        blocked_by=blocked,
        score=found.score,
        claim_probability=found.claim_probability,
        baseline=found.baseline,
        terms=replies.terms_to_proto(found.terms),
        reasons=replies.reasons_to_proto(found.reasons),
        rank=rank,
        eligible_count=context.eligible_count,
        serving_mode=replies.MODES[context.mode],
        model_version=view.model_id,
        revision=view.revision_text,
        decision_time=values.timestamp(question.when_us),
    )


def _standing(found: PairExplanation) -> tuple[list[pb.FilterVerdict], int | None]:
    """What stands against the pair, or else its 1-based rank."""
    if found.verdicts:
        return [_verdict(verdict) for verdict in found.verdicts], None
    if found.rank is None:
        text = replies.NOT_RETRIEVED_TEXT
        return [pb.FilterVerdict(reason=pb.FILTER_REASON_NOT_RETRIEVED, text=text)], None
    return [], found.rank + 1


def _verdict(verdict: Verdict) -> pb.FilterVerdict:
    return pb.FilterVerdict(reason=replies.filter_reason(verdict), text=VERDICT_TEXTS[verdict])

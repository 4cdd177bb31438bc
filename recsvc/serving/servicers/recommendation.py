"""RecommendationService: lists for members and leads, scores of pairs, explanations."""

# ruff: noqa: N802 - the contract names the methods

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator

from features.entities import Lead, Member
from recsvc.convert import names, queries, replies, values
from recsvc.convert.events import row_error
from recsvc.convert.leads import draft_from_proto
from recsvc.errors import (
    DeadlineExceededError,
    InvalidNameError,
    MissingFieldError,
    NotFoundError,
    ServiceError,
)
from recsvc.matching.pipeline import Pipeline
from recsvc.matching.queries import ListQuery
from recsvc.serving.interceptors import Written, current_call
from recsvc.serving.servicers.explanation import Explanation
from recsvc.serving.servicers.ranking import Ranking
from recsvc.serving.servicers.shared import Context, Service, name_missing, pipeline_of
from recsvc.serving.view import View
from recsvc.serving.worker import TenantWorker
from recsvc.v1 import recommendation_pb2 as pb
from recsvc.v1 import recommendation_pb2_grpc

_SLICE_BYTES = 256 << 10
_SLICE_SECONDS = 0.05
_TURN_SECONDS = 0.002
"""A batch works so long at a stretch: going round the event loop costs as much as a short list."""


class RecommendationServicer(recommendation_pb2_grpc.RecommendationServiceServicer):
    """Ranks, matches, scores and explains."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._ranking = Ranking(service)
        self._explanation = Explanation(service)

    async def RecommendLeads(  # type: ignore[override]  # written already
        self, request: pb.RecommendLeadsRequest, context: Context
    ) -> Written:
        """See the contract."""
        worker = self._service.worker(request.member, "member")
        view = await self._service.view(worker, request.min_revision, context)
        return await self._service.together.run(lambda: self._recommended(request, worker, view))

    async def BatchRecommendLeads(
        self, request: pb.BatchRecommendLeadsRequest, context: Context
    ) -> AsyncGenerator[pb.BatchRecommendLeadsResponse, None]:
        """See the contract."""
        worker = self._service.worker(request.parent, "parent")
        names.parse_tenant(request.parent, worker.tenant)
        if not request.members:
            raise MissingFieldError("members is required: name at least one", field="members")
        values.check_count(request.members, queries.MAX_BATCH, "members")
        for i, name in enumerate(request.members):
            _check_tenant(name, worker.tenant, f"members[{i}]")
        options = self._ranking.options(request, worker, "leads")
        view = await self._service.view(worker, request.min_revision, context)
        pipeline = pipeline_of(view)
        query = self._ranking.query(options)
        current_call().notes["members"] = len(request.members)
        reply, turn = pb.BatchRecommendLeadsResponse(), _Turn(options.full)
        for i, name in enumerate(request.members):
            result = reply.results.add(member=name[:1_000])
            self._fill_row(result, worker, view, pipeline, name, i, query, options.full)
            if turn.is_over():
                # Other calls get theirs.
                await asyncio.sleep(0)
                _check_deadline(context)
            if turn.is_full(reply):
                yield reply
                reply = pb.BatchRecommendLeadsResponse()
        if reply.results:
            yield reply

    async def MatchMembers(  # type: ignore[override]  # written already
        self, request: pb.MatchMembersRequest, context: Context
    ) -> Written:
        """See the contract."""
        worker = self._service.worker(request.parent, "parent")
        view = await self._service.view(worker, request.min_revision, context)
        return await self._service.together.run(lambda: self._matched(request, worker, view))

    async def ScorePairs(
        self, request: pb.ScorePairsRequest, context: Context
    ) -> pb.ScorePairsResponse:
        """See the contract."""
        worker = self._service.worker(request.parent, "parent")
        names.parse_tenant(request.parent, worker.tenant)
        pairs = queries.pairs(request, worker.tenant)
        as_of_us = None
        if request.HasField("as_of_time"):
            self._service.caller.check_as_of()
            as_of_us = values.time_us(request.as_of_time, self._service.clock(), "as_of_time")
        view = await self._service.view(worker, request.min_revision, context)
        found = pipeline_of(view).score_pairs(pairs, as_of_us)
        current_call().notes["pairs"] = len(pairs)
        return replies.scores_to_proto(found, view.model_id, view.revision_text)

    async def Explain(self, request: pb.ExplainRequest, context: Context) -> pb.ExplainResponse:
        """See the contract."""
        return await self._explanation.explain(request, context)

    def _recommended(
        self, request: pb.RecommendLeadsRequest, worker: TenantWorker, view: View
    ) -> Written:
        member_id = names.parse_name(request.member, worker.tenant, "members", "member")
        options = self._ranking.options(request, worker, "leads")
        pipeline = pipeline_of(view)
        query = self._ranking.page_query(options, request, view)
        try:
            ranked = pipeline.recommend(member_id, query)
        except NotFoundError as error:
            name_missing(error, member=request.member)
            raise
        reply = pb.RecommendLeadsResponse()
        full = options.full
        items = self._ranking.fill_leads(reply, worker, view, member_id, ranked, query, full)
        current_call().answered(member=member_id, reply=reply)
        reply.next_page_token = self._ranking.next_token(request, view, query, ranked)
        return Written(items + reply.SerializeToString())

    def _matched(
        self, request: pb.MatchMembersRequest, worker: TenantWorker, view: View
    ) -> Written:
        names.parse_tenant(request.parent, worker.tenant)
        subject = self._subject(request, worker)
        options = self._ranking.options(request, worker, "members")
        pipeline = pipeline_of(view)
        query = self._ranking.page_query(options, request, view)
        try:
            ranked = pipeline.match(subject, query)
        except NotFoundError as error:
            name_missing(error, lead=request.lead)
            raise
        lead_id = subject if isinstance(subject, str) else ""
        member = (lambda i: view.catalog.get(Member, i)) if options.full else None
        reply = pb.MatchMembersResponse()
        items = replies.fill_members(reply, ranked, worker.tenant, query.offset, member)
        self._ranking.fill_decision(reply, worker, view, lead_id, query)
        current_call().answered(lead=lead_id, reply=reply)
        reply.next_page_token = self._ranking.next_token(request, view, query, ranked)
        return Written(items + reply.SerializeToString())

    def _subject(self, request: pb.MatchMembersRequest, worker: TenantWorker) -> str | Lead:
        match request.WhichOneof("subject"):
            case "lead":
                return names.parse_name(request.lead, worker.tenant, "leads", "lead")
            case "draft":
                with values.within("draft."):
                    return draft_from_proto(request.draft, worker.tenant, self._service.clock())
            case _:
                raise MissingFieldError("set lead or draft", field="subject")

    def _fill_row(
        self,
        result: pb.MemberRecommendation,
        worker: TenantWorker,
        view: View,
        pipeline: Pipeline,
        name: str,
        index: int,
        query: ListQuery,
        full: bool,
    ) -> None:
        try:
            member_id = names.parse_name(name, worker.tenant, "members", "member")
            ranked = pipeline.recommend(member_id, query)
        except ServiceError as error:
            result.error.CopyFrom(row_error(error, index, name))
        else:
            reply = result.reply
            items = self._ranking.fill_leads(reply, worker, view, member_id, ranked, query, full)
            reply.MergeFromString(items)


class _Turn:
    """When a batch lets others have a turn, and when what it has so far is sent."""

    def __init__(self, full: bool) -> None:
        # The size of a message is found by writing it: rows with resources may be large, any
        # others are looked at now and then.
        self._every = 1 if full else 16
        self._rows = 0
        self._turn_begin = self._slice_begin = time.perf_counter()

    def is_over(self) -> bool:
        """Whether others have waited long enough; asked once a row."""
        now = time.perf_counter()
        over = now - self._turn_begin > _TURN_SECONDS
        if over:
            self._turn_begin = now
        return over

    def is_full(self, reply: pb.BatchRecommendLeadsResponse) -> bool:
        """Whether to send a slice; asked once a row."""
        self._rows += 1
        late = self._turn_begin - self._slice_begin > _SLICE_SECONDS
        if not late and (self._rows % self._every or reply.ByteSize() <= _SLICE_BYTES):
            return False
        self._rows, self._slice_begin = 0, time.perf_counter()
        return True


def _check_tenant(name: str, tenant: str, field: str) -> None:
    """Another tenant's name ends the whole call, an unreadable one is its row's error."""
    try:
        other = names.tenant_of(name, field)
    except (InvalidNameError, MissingFieldError):
        return
    if other != tenant:
        names.parse_name(name, tenant, "members", field)


def _check_deadline(context: Context) -> None:
    remaining = context.time_remaining()
    if remaining is not None and remaining <= 0:
        raise DeadlineExceededError("the deadline passed before the batch was done")

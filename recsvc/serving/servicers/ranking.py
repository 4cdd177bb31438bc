"""What all ranked lists share: their options, pages, tokens and replies."""

from __future__ import annotations

from copy import deepcopy
from typing import Literal

from features.entities import Lead
from recsvc.convert import queries, replies
from recsvc.matching.queries import ListQuery, RankedList
from recsvc.serving.attribution import Decision, subject_key
from recsvc.serving.servicers.shared import Service
from recsvc.serving.view import View
from recsvc.serving.worker import TenantWorker
from recsvc.v1 import recommendation_pb2 as pb

PagedRequest = pb.RecommendLeadsRequest | pb.MatchMembersRequest

_PER_PAGE: tuple[Literal["page_size", "page_token", "min_revision"], ...] = (
    "page_size",
    "page_token",
    "min_revision",
)
"""Fields that may differ from one page to the next."""


class Ranking:
    """From requests to queries, and from ranked lists to replies."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def options(
        self, request: queries.ListRequest, worker: TenantWorker, collection: str
    ) -> queries.ListOptions:
        """The checked options of a request; as_of_time is for some roles only."""
        if request.HasField("as_of_time"):
            self._service.caller.check_as_of()
        return queries.list_options(request, worker.tenant, collection, self._service.clock())

    def query(self, options: queries.ListOptions) -> ListQuery:
        """The query of a first page, or of a list without pages."""
        return self._query(options, 0, options.as_of_us)

    def page_query(
        self, options: queries.ListOptions, request: PagedRequest, view: View
    ) -> ListQuery:
        """The query of a page; later pages are ranked as at the time of the first."""
        if not request.page_token:
            return self.query(options)
        binding = page_binding(deepcopy(request), view)
        offset, when_us = self._service.page_tokens.decode(binding, request.page_token)
        return self._query(options, offset, when_us)

    def _query(self, options: queries.ListOptions, offset: int, when_us: int | None) -> ListQuery:
        diversity = options.diversity
        return ListQuery(
            count=min(options.count, queries.MAX_DEPTH - offset),
            offset=offset,
            wanted=options.wanted,
            diversity=self._service.default_diversity if diversity is None else diversity,
            with_terms=options.full,
            as_of_us=self._service.clock() if when_us is None else when_us,
        )

    def next_token(
        self, request: PagedRequest, view: View, query: ListQuery, ranked: RankedList
    ) -> str:
        """The token of the page after, "" on the last one; spends the request."""
        end = query.offset + len(ranked.items)
        if not ranked.more or end >= queries.MAX_DEPTH or query.as_of_us is None:
            return ""
        return self._service.page_tokens.encode(page_binding(request, view), end, query.as_of_us)

    def fill_leads(
        self,
        reply: pb.RecommendLeadsResponse,
        worker: TenantWorker,
        view: View,
        member_id: str,
        ranked: RankedList,
        query: ListQuery,
        full: bool,
    ) -> bytes:
        """The reply for one member, without the token of a next page; see `replies.fill_leads`."""
        lead = (lambda i: view.catalog.get(Lead, i)) if full else None
        self.fill_decision(reply, worker, view, member_id, query)
        return replies.fill_leads(reply, ranked, worker.tenant, query.offset, lead, view.holders)

    def fill_decision(
        self,
        reply: replies.ListReply,
        worker: TenantWorker,
        view: View,
        subject: str,
        query: ListQuery,
    ) -> None:
        """What a reply about `subject` (an id, "" for a draft) was based on."""
        reply.model_version = view.model_id
        reply.revision = view.revision_text
        decision = Decision(
            view.model_id,
            view.revision,
            query.as_of_us or 0,
            subject_key(subject),
            draft=not subject,
        )
        reply.attribution_token = self._service.attribution[worker.tenant].encode(decision)


def page_binding(request: PagedRequest, view: View) -> list[object]:
    """What a page token holds to: every field of the query, and the model. Spends the request."""
    for field in _PER_PAGE:
        request.ClearField(field)
    return [type(request).__name__, request.SerializeToString(deterministic=True), view.model_id]

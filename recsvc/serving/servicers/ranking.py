"""What all ranked lists share: their options, pages, tokens and replies."""

from __future__ import annotations

from google.protobuf.message import Message

from features.entities import Lead
from recsvc.convert import queries, replies
from recsvc.matching.queries import ListQuery, RankedList
from recsvc.serving.attribution import Decision, subject_key
from recsvc.serving.servicers.shared import Service
from recsvc.serving.view import View
from recsvc.serving.worker import TenantWorker
from recsvc.v1 import recommendation_pb2 as pb

_PER_PAGE = ("page_size", "page_token", "min_revision")
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

    def query(self, options: queries.ListOptions, binding: object, page_token: str) -> ListQuery:
        """The query of a page; later pages are ranked as at the time of the first."""
        offset, when_us = 0, options.as_of_us
        if page_token:
            offset, when_us = self._service.page_tokens.decode(binding, page_token)
        diversity = options.diversity
        return ListQuery(
            count=min(options.count, queries.MAX_DEPTH - offset),
            offset=offset,
            wanted=options.wanted,
            diversity=self._service.default_diversity if diversity is None else diversity,
            with_terms=options.full,
            as_of_us=self._service.clock() if when_us is None else when_us,
        )

    def next_token(self, binding: object, query: ListQuery, ranked: RankedList) -> str:
        """The token of the page after, "" on the last one."""
        end = query.offset + len(ranked.items)
        if not ranked.more or end >= queries.MAX_DEPTH or query.as_of_us is None:
            return ""
        return self._service.page_tokens.encode(binding, end, query.as_of_us)

    def decision_token(
        self, worker: TenantWorker, view: View, subject: str, query: ListQuery
    ) -> str:
        """The attribution token of a reply about `subject` (an id, "" for a draft)."""
        decision = Decision(
            view.model_id,
            view.revision,
            query.as_of_us or 0,
            subject_key(subject),
            draft=not subject,
        )
        return self._service.attribution[worker.tenant].encode(decision)

    def lead_reply(
        self,
        worker: TenantWorker,
        view: View,
        member_id: str,
        ranked: RankedList,
        query: ListQuery,
        full: bool,
    ) -> pb.RecommendLeadsResponse:
        """The reply for one member, without the token of a next page."""
        lead = (lambda i: view.catalog.get(Lead, i)) if full else None
        return pb.RecommendLeadsResponse(
            leads=replies.leads_to_proto(ranked, worker.tenant, query.offset, lead, view.holders),
            attribution_token=self.decision_token(worker, view, member_id, query),
            model_version=view.model_id,
            revision=view.revision_text,
            serving_mode=replies.MODES[ranked.mode],
            baseline=ranked.baseline,
            eligible_count=ranked.eligible_count,
            removed=replies.removed_to_proto(ranked),
        )


def page_binding(request: Message, view: View) -> list[object]:
    """What a page token holds to: every field of the query, and the model."""
    query = type(request)()
    query.CopyFrom(request)
    for field in _PER_PAGE:
        query.ClearField(field)
    return [type(request).__name__, query.SerializeToString(deterministic=True), view.model_id]

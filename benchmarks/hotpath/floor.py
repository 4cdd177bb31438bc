"""The floor: a worker that looks like ours and does nothing but build a reply and return it.

    python -m benchmarks.hotpath.floor REPLIES

The same gRPC server with the same options, event loop, frozen collector and thread settings; no
interceptor, no look at the request. Each reply is built anew out of plain values, field by field,
in the shape and size of one that the service gave: ten items with two reasons each. Nobody who
answers by gRPC from Python can be faster.
"""

# ruff: noqa: N802 - the contract names the methods

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from benchmarks.hotpath.child_server import Lists, serve
from recsvc.v1 import recommendation_pb2 as pb

REASONS = 2
_SLICE_BYTES = 256 << 10
_ROWS_A_LOOK = 16


class Samples(msgspec.Struct, frozen=True):
    """Replies of the service to imitate, as bytes."""

    leads: bytes
    members: bytes


class Plain(NamedTuple):
    """An item in plain values."""

    name: str
    position: int
    score: float
    claim_probability: float
    distance_km: float
    diversity_adjustment: float
    reasons: list[tuple[pb.ReasonCode.ValueType, float, str]]


class Head(NamedTuple):
    """Everything of a reply but its items."""

    next_page_token: str
    attribution_token: str
    model_version: str
    revision: str
    serving_mode: pb.ServingMode.ValueType
    baseline: float
    eligible_count: int
    removed: list[tuple[pb.FilterReason.ValueType, int]]


class FloorServicer(Lists):
    """Answers everything with the same lists."""

    def __init__(self, samples: Samples) -> None:
        leads = pb.RecommendLeadsResponse.FromString(samples.leads)
        members = pb.MatchMembersResponse.FromString(samples.members)
        self._leads = [imitated(item, item.lead) for item in leads.leads]
        self._members = [imitated(item, item.member) for item in members.members]
        self._lead_head, self._member_head = _head(leads), _head(members)

    async def RecommendLeads(self, request: Any, context: Any) -> pb.RecommendLeadsResponse:
        """Ten leads."""
        reply = pb.RecommendLeadsResponse()
        self._fill_leads(reply)
        return reply

    async def MatchMembers(self, request: Any, context: Any) -> pb.MatchMembersResponse:
        """Ten members."""
        reply = pb.MatchMembersResponse()
        add = reply.members.add
        for plain in self._members:
            message = add()
            message.member = plain.name
            _fill_item(message, plain)
        _fill_head(reply, self._member_head)
        return reply

    async def BatchRecommendLeads(
        self, request: Any, context: Any
    ) -> AsyncGenerator[pb.BatchRecommendLeadsResponse, None]:
        """Ten leads a member, in slices as large as the service's."""
        reply = pb.BatchRecommendLeadsResponse()
        for row, member in enumerate(request.members, 1):
            self._fill_leads(reply.results.add(member=member).reply)
            if row % _ROWS_A_LOOK == 0 and reply.ByteSize() > _SLICE_BYTES:
                yield reply
                reply = pb.BatchRecommendLeadsResponse()
        if reply.results:
            yield reply

    def _fill_leads(self, reply: pb.RecommendLeadsResponse) -> None:
        add = reply.leads.add
        for plain in self._leads:
            message = add()
            message.lead = plain.name
            _fill_item(message, plain)
        _fill_head(reply, self._lead_head)


def imitated(item: pb.RecommendedLead | pb.MatchedMember, name: str) -> Plain:
    """Plain values of a reply's item, with two reasons."""
    reasons = [(r.code, r.weight, r.text) for r in item.reasons]
    return Plain(
        name,
        item.position,
        item.score,
        item.claim_probability,
        item.distance_km,
        item.diversity_adjustment,
        (reasons * REASONS)[:REASONS],
    )


# Field by field: no other way to build these messages is as fast (constructors copy messages by
# writing and reading them).


def _fill_item(message: pb.RecommendedLead | pb.MatchedMember, plain: Plain) -> None:
    message.position = plain.position
    message.score = plain.score
    message.claim_probability = plain.claim_probability
    message.distance_km = plain.distance_km
    message.diversity_adjustment = plain.diversity_adjustment
    add = message.reasons.add
    for code, weight, text in plain.reasons:
        reason = add()
        reason.code = code
        reason.weight = weight
        reason.text = text


def _head(reply: pb.RecommendLeadsResponse | pb.MatchMembersResponse) -> Head:
    return Head(
        reply.next_page_token,
        reply.attribution_token,
        reply.model_version,
        reply.revision,
        reply.serving_mode,
        reply.baseline,
        reply.eligible_count,
        [(r.reason, r.count) for r in reply.removed],
    )


def _fill_head(reply: pb.RecommendLeadsResponse | pb.MatchMembersResponse, head: Head) -> None:
    reply.next_page_token = head.next_page_token
    reply.attribution_token = head.attribution_token
    reply.model_version = head.model_version
    reply.revision = head.revision
    reply.serving_mode = head.serving_mode
    reply.baseline = head.baseline
    reply.eligible_count = head.eligible_count
    add = reply.removed.add
    for code, count in head.removed:
        removed = add()
        removed.reason = code
        removed.count = count


if __name__ == "__main__":
    told = msgspec.msgpack.decode(Path(sys.argv[1]).read_bytes(), type=Samples)
    serve(FloorServicer(told))

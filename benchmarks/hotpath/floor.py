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
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from benchmarks.hotpath.child_server import Lists, serve
from recsvc.v1 import recommendation_pb2 as pb

REASONS = 2
_SLICE_BYTES = 256 << 10
Item = TypeVar("Item", pb.RecommendedLead, pb.MatchedMember)


class Samples(msgspec.Struct, frozen=True):
    """Replies of the service to imitate, as bytes."""

    leads: bytes
    members: bytes


def imitated(items: Any) -> list[dict[str, Any]]:
    """Plain values of a reply's items, each with two reasons."""
    found = []
    for item in items:
        values = {field.name: value for field, value in item.ListFields() if field.name != "terms"}
        reasons = [(r.code, r.weight, r.text) for r in item.reasons]
        values["reasons"] = (reasons * REASONS)[:REASONS]
        found.append(values)
    return found


class FloorServicer(Lists):
    """Answers everything with the same lists."""

    def __init__(self, samples: Samples) -> None:
        leads = pb.RecommendLeadsResponse.FromString(samples.leads)
        members = pb.MatchMembersResponse.FromString(samples.members)
        self._lead_items, self._member_items = imitated(leads.leads), imitated(members.members)
        self._lead_head = _head(leads, "leads")
        self._member_head = _head(members, "members")

    async def RecommendLeads(self, request: Any, context: Any) -> pb.RecommendLeadsResponse:
        """Ten leads."""
        return self._lead_reply()

    async def MatchMembers(self, request: Any, context: Any) -> pb.MatchMembersResponse:
        """Ten members."""
        items = [_item(pb.MatchedMember, values) for values in self._member_items]
        return pb.MatchMembersResponse(members=items, **self._member_head())

    async def BatchRecommendLeads(
        self, request: Any, context: Any
    ) -> AsyncGenerator[pb.BatchRecommendLeadsResponse, None]:
        """Ten leads a member, in slices as large as the service's."""
        reply, size = pb.BatchRecommendLeadsResponse(), 0
        for member in request.members:
            result = pb.MemberRecommendation(member=member, reply=self._lead_reply())
            reply.results.append(result)
            size += result.ByteSize()
            if size > _SLICE_BYTES:
                yield reply
                reply, size = pb.BatchRecommendLeadsResponse(), 0
        if reply.results:
            yield reply

    def _lead_reply(self) -> pb.RecommendLeadsResponse:
        items = [_item(pb.RecommendedLead, values) for values in self._lead_items]
        return pb.RecommendLeadsResponse(leads=items, **self._lead_head())


def _item(kind: Callable[..., Item], values: dict[str, Any]) -> Item:
    reasons = [pb.Reason(code=c, weight=w, text=t) for c, w, t in values["reasons"]]
    return kind(**(values | {"reasons": reasons}))


def _head(reply: Any, items: str) -> Callable[[], dict[str, Any]]:
    """Builds everything of a reply but its items."""
    plain = {
        field.name: value
        for field, value in reply.ListFields()
        if field.name not in (items, "removed")
    }
    removed = [(r.reason, r.count) for r in reply.removed]

    def build() -> dict[str, Any]:
        counts = [pb.RemovedCount(reason=reason, count=count) for reason, count in removed]
        return plain | {"removed": counts}

    return build


if __name__ == "__main__":
    told = msgspec.msgpack.decode(Path(sys.argv[1]).read_bytes(), type=Samples)
    serve(FloorServicer(told))

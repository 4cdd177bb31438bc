"""Calls that contestants answer: plain stubs, the same for all, with seeded questions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc
import numpy as np

from benchmarks.hotpath.rounds import Call
from benchmarks.hotpath.worlds import TENANT
from recsvc.client.options import channel_options
from recsvc.v1 import recommendation_pb2 as pb
from recsvc.v1.recommendation_pb2_grpc import RecommendationServiceStub

COUNT = 10
BATCH = 100
_TIMEOUT_SECONDS = 60.0
_PARENT = f"tenants/{TENANT}"


def member_name(member_id: str) -> str:
    """Its resource name."""
    return f"{_PARENT}/members/{member_id}"


def lead_name(lead_id: str) -> str:
    """Its resource name."""
    return f"{_PARENT}/leads/{lead_id}"


def sample(ids: Sequence[str], count: int, seed: int) -> list[str]:
    """So many of the ids, each at most once (fewer when there are fewer), in random order."""
    rng = np.random.default_rng(seed)
    return [ids[i] for i in rng.choice(len(ids), min(count, len(ids)), replace=False)]


class Asker:
    """Questions to one address, over a connection of its own. Close it."""

    def __init__(
        self,
        address: str,
        members: Sequence[str],
        leads: Sequence[str],
        timeout_seconds: float = _TIMEOUT_SECONDS,
    ) -> None:
        """`members` and `leads` are ids, asked about in turn."""
        self._timeout_seconds = timeout_seconds
        self._channel = grpc.aio.insecure_channel(address, options=channel_options(None))
        self._stub: Any = RecommendationServiceStub(self._channel)
        self._members = [member_name(m) for m in members]
        self._leads = [lead_name(lead) for lead in leads]
        self._turn = 0

    async def recommend_reply(self) -> pb.RecommendLeadsResponse:
        """Ten leads for the next member."""
        self._turn += 1
        name = self._members[self._turn % len(self._members)]
        request = pb.RecommendLeadsRequest(member=name, page_size=COUNT)
        reply: pb.RecommendLeadsResponse = await self._stub.RecommendLeads(
            request, timeout=self._timeout_seconds
        )
        return reply

    async def match_reply(self) -> pb.MatchMembersResponse:
        """Ten members for the next lead."""
        self._turn += 1
        name = self._leads[self._turn % len(self._leads)]
        request = pb.MatchMembersRequest(parent=_PARENT, lead=name, page_size=COUNT)
        reply: pb.MatchMembersResponse = await self._stub.MatchMembers(
            request, timeout=self._timeout_seconds
        )
        return reply

    async def recommend(self) -> int:
        """Counted."""
        await self.recommend_reply()
        return 1

    async def match(self) -> int:
        """Counted."""
        await self.match_reply()
        return 1

    async def batch(self) -> int:
        """Ten leads for each of the next hundred members; how many were answered."""
        start = self._turn % max(1, len(self._members) - BATCH)
        self._turn += BATCH
        request = pb.BatchRecommendLeadsRequest(
            parent=_PARENT, members=self._members[start : start + BATCH], page_size=COUNT
        )
        answered = 0
        async for part in self._stub.BatchRecommendLeads(request, timeout=self._timeout_seconds):
            answered += len(part.results)
        return answered

    async def lists_of(self, member_ids: Sequence[str]) -> dict[str, list[str]]:
        """The ten leads of each member, by id."""
        found = {}
        for member in member_ids:
            request = pb.RecommendLeadsRequest(member=member_name(member), page_size=COUNT)
            reply = await self._stub.RecommendLeads(request, timeout=self._timeout_seconds)
            found[member] = [_id(item.lead) for item in reply.leads]
        return found

    async def matches_of(self, lead_ids: Sequence[str]) -> dict[str, list[str]]:
        """The ten members of each lead, by id."""
        found = {}
        for lead in lead_ids:
            request = pb.MatchMembersRequest(parent=_PARENT, lead=lead_name(lead), page_size=COUNT)
            reply = await self._stub.MatchMembers(request, timeout=self._timeout_seconds)
            found[lead] = [_id(item.member) for item in reply.members]
        return found

    def calls(self) -> dict[str, Call]:
        """By the kind of question."""
        return {"recommend": self.recommend, "match": self.match, "batch": self.batch}

    async def close(self) -> None:
        """Ends the connection."""
        await self._channel.close(None)


def _id(name: str) -> str:
    return name.rpartition("/")[2]

"""Lists for all members over the wire, by BatchRecommendLeads."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.hotpath.children import service
from benchmarks.hotpath.worlds import TENANT
from benchmarks.musts import Figure
from recsvc.client import AsyncClient

LIST_LENGTH = 20
_LONGEST_SECONDS = 3_600.0


async def all_over_the_wire(models: Path, folder: Path, member_ids: Sequence[str]) -> list[Figure]:
    """Twenty leads for each member by the shipped client, one worker."""
    async with (
        service(folder / "wire", models) as (_, address),
        AsyncClient(address, tenant=TENANT) as client,
    ):
        await client.recommend(member_ids[0])
        begin = time.perf_counter()
        answered = 0
        patient = client.within(_LONGEST_SECONDS)
        async for outcome in patient.recommend_many(member_ids, count=LIST_LENGTH):
            answered += outcome.leads is not None
        seconds = time.perf_counter() - begin
    note = f"{seconds:.2f} s for {answered:,} of {len(member_ids):,} members"
    return [Figure("all_members_wire_per_second", answered / seconds, "members/s", note=note)]

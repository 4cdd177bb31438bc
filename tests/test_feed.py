"""A view's feed: what it does when the stream was cut under it, or a batch spoils it."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from features.entities import Lead
from recsvc.serving.feed import Feed
from recsvc.serving.log import build_logger
from recsvc.serving.metrics import Metrics
from recsvc.serving.view import View
from recsvc.store.embedded import EmbeddedValkey
from recsvc.store.protocol import ChangeBatch, RevisionTrimmedError
from recsvc.store.redis_store import RedisStore
from recsvc.store.revision import Revision


class Cut(RedisStore):
    """Its stream fails at first."""

    failure: Exception | None = None

    async def changes(self, tenant: str, after: Revision) -> AsyncGenerator[ChangeBatch, None]:
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        async for batch in super().changes(tenant, after):
            yield batch


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (RevisionTrimmedError("it begins later"), "change stream trimmed"),
        (KeyError("a fault"), "feed failed, beginning again"),
    ],
)
async def test_a_feed_whose_stream_fails_catches_up_all_the_same(
    tmp_path: Path, failure: Exception, said: str
) -> None:
    logs, moves = io.StringIO(), list[str]()
    log, metrics = build_logger("info", stream=logs), Metrics()

    async def moved() -> None:
        moves.append(view.revision_text)

    async with EmbeddedValkey(tmp_path, fsync="everysec") as valkey:
        store = Cut(valkey.url)
        async with store:
            await store.put_leads("t", [Lead("before", title="路灯")])
            early = await store.latest_revision("t")
            await store.put_leads("t", [Lead("trimmed", title="停车")])
            view = View("t", None, metrics, log, lambda: 0)
            view.move_to(early)  # as a bundle of that revision
            store.failure = failure
            feed = Feed(view, store, "t", metrics, log, moved, lambda: None)
            feed.start()
            try:
                async with asyncio.timeout(20):
                    await feed.caught_up.wait()
                assert view.catalog.get(Lead, "trimmed") is not None
                await store.put_leads("t", [Lead("after", title="绿化")])
                async with asyncio.timeout(20):
                    while view.catalog.get(Lead, "after") is None:
                        await asyncio.sleep(0.02)
            finally:
                await feed.stop()
    lines: list[dict[str, Any]] = [json.loads(line) for line in logs.getvalue().splitlines()]
    assert [line["event"] for line in lines] == [said]
    assert moves

"""Reading and trimming the change stream."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import numpy as np

from recsvc.store.redis_store import scripts
from recsvc.store.redis_store.base import TenantBase, parse_position, reached
from recsvc.store.redis_store.keys import BucketKeys
from recsvc.store.redis_store.scripts import Call
from recsvc.store.revision import START, Position, Revision
from recsvc.store.types import Change, ChangeBatch, ChangeKind, RevisionTrimmedError

_ENTRIES_PER_READ = 500
_CHECK_TRIM_SECONDS = 5.0
"""A reader that was stopped for longer may have been overtaken by trimming: it looks again."""

_KINDS = {str(kind).encode(): kind for kind in ChangeKind}


class Stream(TenantBase):
    """The change stream's part of the store."""

    async def changes(self, tenant: str, after: Revision) -> AsyncGenerator[ChangeBatch, None]:
        """See Store."""
        bucket_count = await self.open_tenant(tenant)
        groups = [range(bucket_count)]
        if self._gateway.is_cluster:
            groups = [range(b, b + 1) for b in range(bucket_count)]
        if len(groups) == 1:
            async for part in self._tail(tenant, groups[0], after):
                after = after.merge(part.revision)
                yield ChangeBatch(part.changes, after)
            return
        queue: asyncio.Queue[ChangeBatch | BaseException] = asyncio.Queue(maxsize=len(groups))
        tasks = [asyncio.create_task(self._pump(tenant, g, after, queue)) for g in groups]
        try:
            while True:
                item = await queue.get()
                if isinstance(item, BaseException):
                    raise item
                after = after.merge(item.revision)
                yield ChangeBatch(item.changes, after)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def latest_revision(self, tenant: str) -> Revision:
        """See Store."""
        calls = [
            Call(b, ("XREVRANGE", BucketKeys.of(tenant, b).changes, "+", "-", "COUNT", 1))
            for b in range(await self._known_buckets(tenant))
        ]
        answers = await self._gateway.read(calls)
        return reached(calls, (answer[0][0] if answer else b"0-0" for answer in answers))

    async def trim(self, tenant: str, revision: Revision) -> int:
        """See Store."""
        bucket_count = await self._known_buckets(tenant)
        calls = [
            Call.run(b, scripts.TRIM, (names.changes, names.trimmed), (str(position),))
            for b, position in revision.positions
            if b < bucket_count and (names := BucketKeys.of(tenant, b))
        ]
        return sum(await self._gateway.write(calls))

    async def _pump(
        self,
        tenant: str,
        buckets: range,
        after: Revision,
        queue: asyncio.Queue[ChangeBatch | BaseException],
    ) -> None:
        """One group's batches, and the error that ended them, into the queue."""
        try:
            async for part in self._tail(tenant, buckets, after):
                await queue.put(part)
        except Exception as error:  # noqa: BLE001 - raised again by the reader of the queue
            await queue.put(error)

    async def _tail(
        self, tenant: str, buckets: range, after: Revision
    ) -> AsyncGenerator[ChangeBatch, None]:
        """Batches of these buckets, each with the revision of these buckets alone."""
        at = {b: after.position(b) for b in buckets}
        names = {b: BucketKeys.of(tenant, b).changes for b in buckets}
        of_key = {key.encode(): b for b, key in names.items()}
        await self._check_trimmed(tenant, at)
        checked = time.monotonic()
        while True:
            answer = await self._gateway.read_stream(
                [(names[b], str(at[b])) for b in buckets], _ENTRIES_PER_READ
            )
            if time.monotonic() - checked > _CHECK_TRIM_SECONDS:
                await self._check_trimmed(tenant, at)
                checked = time.monotonic()
            if not answer:
                continue
            changes: list[Change] = []
            for key, entries in answer:
                bucket = of_key[key]
                changes += _read_entries(bucket, entries)
                at[bucket] = parse_position(entries[-1][0])
            yield ChangeBatch(tuple(changes), Revision.of(at))

    async def _check_trimmed(self, tenant: str, at: dict[int, Position]) -> None:
        """Raise RevisionTrimmedError when entries after a position may be gone."""
        calls = [Call(b, ("GET", BucketKeys.of(tenant, b).trimmed)) for b in at]
        for bucket, mark in zip(at, await self._gateway.read(calls), strict=True):
            point = parse_position(mark) if mark else START
            if at[bucket] < point:
                raise RevisionTrimmedError(
                    f"the change stream of tenant {tenant!r} begins at {point} in bucket {bucket}, "
                    f"after {at[bucket]}: load a newer bundle, or read the records afresh"
                )


def _read_entries(bucket: int, entries: Sequence[tuple[bytes, dict[bytes, Any]]]) -> list[Change]:
    """Stream entries as changes; kinds of a later version are left out."""
    changes = []
    for entry_id, fields in entries:
        kind = _KINDS.get(fields[b"k"])
        if kind is None:
            continue
        vector = fields.get(b"v")
        changes.append(
            Change(
                kind,
                fields[b"i"].decode(),
                fields[b"d"],
                bucket,
                parse_position(entry_id),
                None if vector is None else np.frombuffer(vector, "<f4").astype(np.float32),
                fields.get(b"m", b"").decode(),
                fields.get(b"e", b"").decode(),
            )
        )
    return changes

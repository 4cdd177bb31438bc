"""Reading the outbox, and the digests that were handed out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import TypeVar

import msgspec

from recsvc.store.pushes import (
    DIGEST_DAYS,
    Push,
    PushPlace,
    PushState,
    StoredPush,
    bucket_of_push,
)
from recsvc.store.redis_store.base import TenantBase
from recsvc.store.redis_store.keys import BucketKeys, bucket_of
from recsvc.store.redis_store.scripts import Call

_FIELDS = ("push", "state", "time", "why", "sent", "detail")
_PUSH = msgspec.json.Decoder(Push)
_SCAN_COUNT = 500
T = TypeVar("T")


class OutboxReads(TenantBase):
    """Pushes by id, the open ones, all of them; digests."""

    async def pushes(self, tenant: str, push_ids: Sequence[str]) -> dict[str, StoredPush]:
        """See Store."""
        asked = [(push_id, push_id) for push_id in dict.fromkeys(push_ids)]
        calls, ids = [], []
        for bucket, part in (await self.by_push(tenant, asked)).items():
            names = BucketKeys.of(tenant, bucket)
            for push_id, _ in part:
                calls.append(Call(bucket, ("HMGET", names.push(push_id), *_FIELDS)))
                ids.append(push_id)
        answers = await self._gateway.read(calls)
        return {i: _stored(a) for i, a in zip(ids, answers, strict=True) if a[0] is not None}

    async def members_pushes(
        self, tenant: str, member_ids: Sequence[str], since_us: int
    ) -> dict[str, list[tuple[str, int]]]:
        """See Store."""
        bucket_count = await self._known_buckets(tenant)
        if not bucket_count:
            return {}
        calls = []
        for member_id in member_ids:
            bucket = bucket_of(member_id, bucket_count)
            key = BucketKeys.of(tenant, bucket).planned_pushes(member_id)
            look = ("ZRANGEBYSCORE", key, since_us // 1000, "+inf", "WITHSCORES")
            calls.append(Call(bucket, look))
        found = {}
        for member_id, entries in zip(member_ids, await self._gateway.read(calls), strict=True):
            pairs = zip(entries[::2], entries[1::2], strict=True)
            if entries:
                found[member_id] = [(push_id.decode(), int(ms) * 1000) for push_id, ms in pairs]
        return found

    async def open_pushes(self, tenant: str) -> AsyncGenerator[list[StoredPush], None]:
        """See Store."""
        for bucket in range(await self._known_buckets(tenant)):
            key, cursor, begun = BucketKeys.of(tenant, bucket).open_pushes, 0, False
            while cursor or not begun:
                begun = True
                step = Call(bucket, ("ZSCAN", key, cursor, "COUNT", _SCAN_COUNT))
                [(cursor, entries)] = await self._gateway.read([step])
                found = await self.pushes(tenant, [push_id.decode() for push_id, _ in entries])
                if found:
                    yield list(found.values())

    async def list_pushes(
        self, tenant: str, after: PushPlace, most: int
    ) -> tuple[list[StoredPush], PushPlace | None]:
        """See Store."""
        bucket_count = await self._known_buckets(tenant)
        found: list[StoredPush] = []
        while after.bucket < bucket_count and len(found) < most:
            key, room = BucketKeys.of(tenant, after.bucket).push_log, most - len(found)
            limits = (key, after.time_ms, "+inf", "WITHSCORES", "LIMIT", after.seen, room)
            [entries] = await self._gateway.read([Call(after.bucket, ("ZRANGEBYSCORE", *limits))])
            pairs = zip(entries[::2], entries[1::2], strict=True)
            listed = [(push_id.decode(), int(time_ms)) for push_id, time_ms in pairs]
            stored = await self.pushes(tenant, [push_id for push_id, _ in listed])
            found += [stored[push_id] for push_id, _ in listed if push_id in stored]
            after = _next_place(after, [t for _, t in listed], whole=len(listed) < room)
        return found, after if after.bucket < bucket_count else None

    async def put_digest(self, tenant: str, digest_id: str, push_ids: Sequence[str]) -> None:
        """See Store."""
        for bucket in await self.by_push(tenant, [(digest_id, None)]):
            key = BucketKeys.of(tenant, bucket).digest(digest_id)
            data = msgspec.json.encode(push_ids)
            await self._gateway.write(
                [Call(bucket, ("SET", key, data, "EX", DIGEST_DAYS * 86_400))]
            )

    async def digests(self, tenant: str, digest_ids: Sequence[str]) -> dict[str, list[str]]:
        """See Store."""
        asked = [(digest_id, None) for digest_id in dict.fromkeys(digest_ids)]
        calls, ids = [], []
        for bucket, part in (await self.by_push(tenant, asked)).items():
            names = BucketKeys.of(tenant, bucket)
            calls += [Call(bucket, ("GET", names.digest(i))) for i, _ in part]
            ids += [i for i, _ in part]
        answers = await self._gateway.read(calls)
        return {
            i: msgspec.json.decode(a, type=list[str])
            for i, a in zip(ids, answers, strict=True)
            if a is not None
        }

    async def by_push(
        self, tenant: str, items: Iterable[tuple[str, T]]
    ) -> dict[int, list[tuple[str, T]]]:
        """(push or digest id, …) grouped by bucket; what is no such id is left out."""
        bucket_count = await self._known_buckets(tenant)
        groups: dict[int, list[tuple[str, T]]] = defaultdict(list)
        for identifier, item in items:
            bucket = bucket_of_push(identifier, bucket_count) if bucket_count else None
            if bucket is not None:
                groups[bucket].append((identifier, item))
        return groups


def _next_place(after: PushPlace, times_ms: Sequence[int], whole: bool) -> PushPlace:
    """Where the listing goes on; `whole` when nothing is left in the bucket."""
    if whole:
        return PushPlace(after.bucket + 1)
    last = times_ms[-1]
    seen = times_ms.count(last) + (after.seen if last == after.time_ms else 0)
    return PushPlace(after.bucket, last, seen)


def _stored(fields: Sequence[bytes | None]) -> StoredPush:
    push, state, time_ms, why, sent, detail = (field or b"" for field in fields)
    return StoredPush(
        _PUSH.decode(push),
        PushState(state.decode()),
        int(time_ms) * 1000,
        why.decode(),
        int(sent),
        detail,
    )

"""The outbox: a member's pushes, caps and their delivery live in the member's bucket.

Each group of consumers has two sorted sets a bucket: pushes that wait for their release, and pushes
that are leased. These are own sets and not the consumer groups of Redis streams, because a push has
a release time (schedules, quiet hours), a digest takes all of a member's at once, and one that must
not be delivered any more has to leave every group in the same step; a stream hands out what was
appended first, whatever has happened since. Leases end by the server's clock, releases come by the
caller's: a caller's clock that jumps makes pushes early or late, but never loses or doubles one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import TypeVar

import msgspec

from features.entities import Event
from recsvc.store import codec
from recsvc.store.pushes import (
    DIGEST_DAYS,
    KEEP_DAYS,
    AckStatus,
    FencedError,
    LeasedPush,
    NewPush,
    Push,
    PushPlace,
    PushState,
    PutStatus,
    StoredPush,
    bucket_of_push,
)
from recsvc.store.redis_store import scripts
from recsvc.store.redis_store.base import TenantBase, by_bucket, chunks, reached
from recsvc.store.redis_store.keys import BucketKeys
from recsvc.store.redis_store.scripts import Argument, Call
from recsvc.store.revision import NOTHING, Revision

_FIELDS = ("push", "state", "time", "why", "sent", "detail")
_KEEP_SECONDS = KEEP_DAYS * 86_400
_PUSH = msgspec.json.Decoder(Push)
_SCAN_COUNT = 500
T = TypeVar("T")


class Outbox(TenantBase):
    """The part of the store that holds pushes."""

    async def put_pushes(
        self, tenant: str, pushes: Sequence[NewPush], token: int, now_us: int
    ) -> list[PutStatus]:
        """See Store."""
        bucket_count = await self.open_tenant(tenant)
        numbered = [(p.push.member_id, (i, p)) for i, p in enumerate(pushes)]
        calls, parts = [], []
        for bucket, group in by_bucket(numbered, bucket_count).items():
            names = BucketKeys.of(tenant, bucket)
            for part in chunks(group, [len(p.detail) for _, p in group]):
                touched = (names.push_fence, names.open_pushes, names.push_groups, names.push_log)
                arguments: list[Argument] = [names.prefix, token, _KEEP_SECONDS, now_us // 1000]
                for _, p in part:
                    arguments += _put_arguments(p)
                calls.append(Call.run(bucket, scripts.PUT_PUSHES, touched, arguments))
                parts.append(part)
        statuses = [PutStatus.SAME] * len(pushes)
        for part, answer in zip(parts, await self._gateway.write(calls), strict=True):
            if answer == [b"fenced"]:
                raise FencedError("another process plans pushes now: its plan goes on")
            for (place, _), status in zip(part, answer, strict=True):
                statuses[place] = PutStatus(status.decode())
        return statuses

    async def join_group(self, tenant: str, group: str) -> None:
        """See Store."""
        calls = []
        for bucket in range(await self.open_tenant(tenant)):
            names = BucketKeys.of(tenant, bucket)
            touched = (names.push_groups, names.open_pushes, names.waiting_pushes(group))
            calls.append(Call.run(bucket, scripts.JOIN_GROUP, touched, (names.prefix, group)))
        await self._gateway.write(calls)

    async def take_pushes(
        self,
        tenant: str,
        group: str,
        now_us: int,
        lease_seconds: float,
        most: int,
        together: bool = False,
    ) -> list[LeasedPush]:
        """See Store."""
        calls = []
        for bucket in range(await self.open_tenant(tenant)):
            names = BucketKeys.of(tenant, bucket)
            both = (names.waiting_pushes(group), names.leased_pushes(group))
            lease_ms = round(lease_seconds * 1000)
            arguments = (names.prefix, now_us // 1000, lease_ms, most, int(together))
            calls.append(Call.run(bucket, scripts.TAKE_PUSHES, both, arguments))
        return [
            LeasedPush(_PUSH.decode(push), int(before), int(week), int(day))
            for answer in await self._gateway.write(calls)
            for _, push, before, week, day in answer
        ]

    async def return_pushes(self, tenant: str, group: str, due: Sequence[tuple[str, int]]) -> None:
        """See Store."""
        calls = []
        for bucket, part in (await self._by_push(tenant, due)).items():
            names = BucketKeys.of(tenant, bucket)
            both = (names.waiting_pushes(group), names.leased_pushes(group))
            arguments: list[Argument] = [names.prefix]
            for push_id, time_us in part:
                arguments += [push_id, time_us // 1000]
            calls.append(Call.run(bucket, scripts.RETURN_PUSHES, both, arguments))
        await self._gateway.write(calls)

    async def drop_pushes(self, tenant: str, ended: Sequence[tuple[str, str]], now_us: int) -> None:
        """See Store."""
        calls = []
        for bucket, part in (await self._by_push(tenant, ended)).items():
            names = BucketKeys.of(tenant, bucket)
            arguments: list[Argument] = [names.prefix, now_us // 1000]
            for push_id, why in part:
                arguments += [push_id, why]
            both = (names.open_pushes, names.push_groups)
            calls.append(Call.run(bucket, scripts.DROP_PUSHES, both, arguments))
        await self._gateway.write(calls)

    async def ack_pushes(
        self, tenant: str, group: str, events: Sequence[Event], now_us: int
    ) -> tuple[list[AckStatus], Revision]:
        """See Store."""
        numbered = [(e.push_id, (i, e)) for i, e in enumerate(events)]
        calls, parts = [], []
        for bucket, entries in (await self._by_push(tenant, numbered)).items():
            names = BucketKeys.of(tenant, bucket)
            for part in chunks(entries):
                arguments: list[Argument] = [names.prefix, now_us // 1000]
                for push_id, (_, event) in part:
                    arguments += [push_id, event.event_id, codec.encode_event(event)[0]]
                waiting, leased = names.waiting_pushes(group), names.leased_pushes(group)
                touched = (names.changes, names.open_pushes, waiting, leased)
                calls.append(Call.run(bucket, scripts.ACK_PUSHES, touched, arguments))
                parts.append(part)
        answers = await self._gateway.write(calls)
        statuses = [AckStatus.UNKNOWN] * len(events)
        for part, (_, *found) in zip(parts, answers, strict=True):
            for (_, (place, _)), status in zip(part, found, strict=True):
                statuses[place] = AckStatus(status.decode())
        revision = reached(calls, (answer[0] for answer in answers)) if calls else NOTHING
        return statuses, revision

    async def pushes(self, tenant: str, push_ids: Sequence[str]) -> dict[str, StoredPush]:
        """See Store."""
        asked = [(push_id, push_id) for push_id in dict.fromkeys(push_ids)]
        calls, ids = [], []
        for bucket, part in (await self._by_push(tenant, asked)).items():
            names = BucketKeys.of(tenant, bucket)
            for push_id, _ in part:
                calls.append(Call(bucket, ("HMGET", names.push(push_id), *_FIELDS)))
                ids.append(push_id)
        answers = await self._gateway.read(calls)
        return {i: _stored(a) for i, a in zip(ids, answers, strict=True) if a[0] is not None}

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
        for bucket in await self._by_push(tenant, [(digest_id, None)]):
            key = BucketKeys.of(tenant, bucket).digest(digest_id)
            data = msgspec.json.encode(push_ids)
            await self._gateway.write(
                [Call(bucket, ("SET", key, data, "EX", DIGEST_DAYS * 86_400))]
            )

    async def digests(self, tenant: str, digest_ids: Sequence[str]) -> dict[str, list[str]]:
        """See Store."""
        asked = [(digest_id, None) for digest_id in dict.fromkeys(digest_ids)]
        calls, ids = [], []
        for bucket, part in (await self._by_push(tenant, asked)).items():
            names = BucketKeys.of(tenant, bucket)
            calls += [Call(bucket, ("GET", names.digest(i))) for i, _ in part]
            ids += [i for i, _ in part]
        answers = await self._gateway.read(calls)
        return {
            i: msgspec.json.decode(a, type=list[str])
            for i, a in zip(ids, answers, strict=True)
            if a is not None
        }

    async def _by_push(
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


def _put_arguments(new: NewPush) -> tuple[Argument, ...]:
    push = new.push
    release_ms, expire_ms = push.release_time_us // 1000, push.expire_time_us // 1000
    head = (push.push_id, push.member_id, release_ms, expire_ms, new.week_cap, new.day_cap)
    return (*head, msgspec.json.encode(push), new.detail)


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

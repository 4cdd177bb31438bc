"""The outbox: a member's pushes, caps and their delivery live in the member's bucket.

Each group of consumers has two sorted sets a bucket: pushes that wait for their release, and pushes
that are leased. These are own sets and not the consumer groups of Redis streams, because a push has
a release time (schedules, quiet hours), a digest takes all of a member's at once, and one that must
not be delivered any more has to leave every group in the same step; a stream hands out what was
appended first, whatever has happened since. Leases end by the server's clock, releases come by the
caller's: a caller's clock that jumps makes pushes early or late, but never loses or doubles one.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from features.entities import Event
from recsvc.store import codec
from recsvc.store.pushes import (
    KEEP_DAYS,
    AckStatus,
    FencedError,
    LeasedPush,
    NewPush,
    Push,
    PutStatus,
)
from recsvc.store.redis_store import scripts
from recsvc.store.redis_store.base import by_bucket, chunks, reached
from recsvc.store.redis_store.keys import BucketKeys
from recsvc.store.redis_store.outbox_reads import OutboxReads
from recsvc.store.redis_store.scripts import Argument, Call
from recsvc.store.revision import NOTHING, Revision

_KEEP_SECONDS = KEEP_DAYS * 86_400
_PUSH = msgspec.json.Decoder(Push)


class Outbox(OutboxReads):
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
        for bucket, part in (await self.by_push(tenant, due)).items():
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
        for bucket, part in (await self.by_push(tenant, ended)).items():
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
        for bucket, entries in (await self.by_push(tenant, numbered)).items():
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


def _put_arguments(new: NewPush) -> tuple[Argument, ...]:
    push = new.push
    release_ms, expire_ms = push.release_time_us // 1000, push.expire_time_us // 1000
    head = (push.push_id, push.member_id, release_ms, expire_ms, new.week_cap, new.day_cap)
    return (*head, msgspec.json.encode(push), new.detail)

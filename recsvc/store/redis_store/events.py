"""Participation events: each id once within a week, whatever member it names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from features.entities import Event
from features.errors import DataError
from recsvc.store import codec
from recsvc.store.redis_store import scripts
from recsvc.store.redis_store.base import TenantBase, by_bucket, chunks, reached
from recsvc.store.redis_store.keys import BucketKeys, bucket_of
from recsvc.store.redis_store.scripts import Argument, Call
from recsvc.store.revision import Revision
from recsvc.store.types import EVENT_ID_DAYS, EventOutcome, EventStatus

_REMEMBER_SECONDS = EVENT_ID_DAYS * 86_400
_STATUS = {
    b"new": EventStatus.RECORDED,
    b"same": EventStatus.DUPLICATE,
    b"other": EventStatus.CONFLICT,
}


class _Row(NamedTuple):
    """An event on its way: its place in the request, the event, stored bytes, content hash."""

    place: int
    event: Event
    data: bytes
    fingerprint: str


class Events(TenantBase):
    """The participation log's part of the store.

    An event goes into its member's bucket, but its id must be unique among all members, so what the
    id stands for is noted in the bucket of the id. One server does both in one step. On a cluster
    these are two: first ids are tied to their content, then the events are appended, where repeats
    are recognised again. A crash in between leaves an id tied to content that was not recorded:
    sending the same event again records it.
    """

    async def record_events(
        self, tenant: str, events: Sequence[Event]
    ) -> tuple[list[EventOutcome], Revision]:
        """See Store. Raises DataError for an event without id or member."""
        rows = [_Row(i, event, *codec.encode_event(event)) for i, event in enumerate(events)]
        if any(not r.event.event_id or not r.event.member_id for r in rows):
            raise DataError("an event needs an event_id and a member_id")
        bucket_count = await self.open_tenant(tenant)
        statuses = [EventStatus.CONFLICT] * len(rows)
        first: dict[str, _Row] = {}
        for row in rows:
            first.setdefault(row.event.event_id, row)
        revision = await self._record(tenant, list(first.values()), bucket_count, statuses)
        unclear = _settle_repeats(rows, first, statuses)
        revision = revision.merge(await self._record(tenant, unclear, bucket_count, statuses))
        return [EventOutcome(r.event.event_id, statuses[r.place]) for r in rows], revision

    async def _record(
        self, tenant: str, rows: Sequence[_Row], bucket_count: int, statuses: list[EventStatus]
    ) -> Revision:
        """Record rows, note what became of each at its place in `statuses`."""
        if self._gateway.is_cluster:
            rows = await self._claim_ids(tenant, rows, bucket_count)
        return await self._append(tenant, rows, bucket_count, statuses)

    async def _claim_ids(self, tenant: str, rows: Sequence[_Row], bucket_count: int) -> list[_Row]:
        """Those rows whose id does not belong to other content."""
        calls, parts = [], []
        grouped = by_bucket(((r.event.event_id, r) for r in rows), bucket_count)
        for bucket, group in grouped.items():
            for part in chunks(group):
                claims = [_claim_key(tenant, r, bucket_count) for r in part]
                arguments: list[Argument] = [_REMEMBER_SECONDS, *(r.fingerprint for r in part)]
                calls.append(Call.run(bucket, scripts.CLAIM_EVENT_IDS, claims, arguments))
                parts.append(part)
        rightful = [
            row
            for part, answer in zip(parts, await self._gateway.write(calls), strict=True)
            for row, is_rightful in zip(part, answer, strict=True)
            if is_rightful
        ]
        return sorted(rightful, key=lambda r: r.place)

    async def _append(
        self, tenant: str, rows: Sequence[_Row], bucket_count: int, statuses: list[EventStatus]
    ) -> Revision:
        """Append rows, note what became of each at its place in `statuses`."""
        calls, parts = [], []
        grouped = by_bucket(((r.event.member_id, r) for r in rows), bucket_count)
        for bucket, group in grouped.items():
            names = BucketKeys.of(tenant, bucket)
            for part in chunks(group, [len(r.data) for r in group]):
                if self._gateway.is_cluster:
                    ids = [names.recorded(r.event.event_id) for r in part]
                else:
                    ids = [_claim_key(tenant, r, bucket_count) for r in part]
                arguments: list[Argument] = [_REMEMBER_SECONDS]
                for r in part:
                    arguments += (r.event.event_id, r.event.member_id, r.fingerprint, r.data)
                touched = (names.changes, *ids)
                calls.append(Call.run(bucket, scripts.RECORD_EVENTS, touched, arguments))
                parts.append(part)
        answers = await self._gateway.write(calls)
        for part, (_, *found) in zip(parts, answers, strict=True):
            for row, status in zip(part, found, strict=True):
                statuses[row.place] = _STATUS[status]
        return reached(calls, (answer[0] for answer in answers))


def _settle_repeats(
    rows: Sequence[_Row], first: Mapping[str, _Row], statuses: list[EventStatus]
) -> list[_Row]:
    """Settle rows whose id came before in the same request; those returned the store must judge.

    When the first was refused, a later one may still repeat what the id stands for.
    """
    unclear = []
    for row in rows:
        earlier = first[row.event.event_id]
        if row is earlier:
            continue
        refused = statuses[earlier.place] is EventStatus.CONFLICT
        same = row.fingerprint == earlier.fingerprint
        if same and not refused:
            statuses[row.place] = EventStatus.DUPLICATE
        elif refused and not same:
            unclear.append(row)
    return unclear


def _claim_key(tenant: str, row: _Row, bucket_count: int) -> str:
    event_id = row.event.event_id
    return BucketKeys.of(tenant, bucket_of(event_id, bucket_count)).event(event_id)

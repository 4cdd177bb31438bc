"""Members, leads, organizations and conflicts."""

from __future__ import annotations

import base64
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass

from features.entities import Conflict, Lead, Member, Organization
from recsvc.store import codec
from recsvc.store.codec import EncodedRecord, Entity, RecordKind
from recsvc.store.redis_store import scripts
from recsvc.store.redis_store.base import TenantBase, by_bucket, chunks, reached
from recsvc.store.redis_store.connection import Gateway
from recsvc.store.redis_store.keys import BucketKeys, bucket_of
from recsvc.store.redis_store.scripts import Argument, Call
from recsvc.store.revision import Revision
from recsvc.store.types import Page, PageTokenError, StaleWriteError, StoredRecord, Vectors

_SCAN_COUNT = 1000


@dataclass(frozen=True, slots=True)
class _Write:
    """A record on its way, with its vector (float32 bytes, empty when none)."""

    record: EncodedRecord
    vector: bytes

    @property
    def arguments(self) -> tuple[Argument, ...]:
        record = self.record
        return record.id, record.fingerprint, record.data, self.vector

    @property
    def size(self) -> int:
        return len(self.record.data) + len(self.vector)


class Records(TenantBase):
    """The catalog's part of the store. `clock_us` gives the time of deletions."""

    def __init__(self, gateway: Gateway, clock_us: Callable[[], int] | None = None) -> None:
        super().__init__(gateway)
        self._clock_us = clock_us or (lambda: time.time_ns() // 1000)

    async def put(
        self, tenant: str, entities: Sequence[Entity], vectors: Vectors | None = None
    ) -> Revision:
        """See Store."""
        bucket_count = await self.open_tenant(tenant)
        latest = {(w.record.kind, w.record.id): w for w in _encode(entities, vectors)}
        model = vectors.model_version if vectors else ""
        calls = []
        for kind in RecordKind:
            rows = [
                (codec.bucket_id(kind, w.record.id), w) for (k, _), w in latest.items() if k is kind
            ]
            for bucket, writes in by_bucket(rows, bucket_count).items():
                names = BucketKeys.of(tenant, bucket)
                for part in chunks(writes, [w.size for w in writes]):
                    arguments = [argument for w in part for argument in w.arguments]
                    both = (names.records(kind), names.changes)
                    calls.append(Call.run(bucket, scripts.PUT, both, (kind, model, *arguments)))
        return reached(calls, await self._gateway.write(calls))

    async def put_members(
        self, tenant: str, members: Sequence[Member], vectors: Vectors | None = None
    ) -> Revision:
        """See Store."""
        return await self.put(tenant, members, vectors)

    async def put_leads(
        self, tenant: str, leads: Sequence[Lead], vectors: Vectors | None = None
    ) -> Revision:
        """See Store."""
        return await self.put(tenant, leads, vectors)

    async def put_organizations(
        self, tenant: str, organizations: Sequence[Organization]
    ) -> Revision:
        """See Store."""
        return await self.put(tenant, organizations)

    async def put_conflicts(self, tenant: str, conflicts: Sequence[Conflict]) -> Revision:
        """See Store."""
        return await self.put(tenant, conflicts)

    async def replace(
        self, tenant: str, entity: Entity, expected: str, vectors: Vectors | None = None
    ) -> Revision:
        """See Store."""
        bucket_count = await self.open_tenant(tenant)
        [write] = _encode([entity], vectors)
        record, model = write.record, vectors.model_version if vectors else ""
        bucket = bucket_of(codec.bucket_id(record.kind, record.id), bucket_count)
        names = BucketKeys.of(tenant, bucket)
        call = Call.run(
            bucket,
            scripts.REPLACE,
            (names.records(record.kind), names.changes),
            (record.kind, model, record.id, expected, record.data, write.vector),
        )
        answers = await self._gateway.write([call])
        if not answers[0]:
            raise StaleWriteError(record.kind, record.id)
        return reached([call], answers)

    async def delete(self, tenant: str, kind: RecordKind, ids: Sequence[str]) -> Revision:
        """See Store."""
        bucket_count = await self.open_tenant(tenant)
        tombstone = codec.encode_tombstone(self._clock_us())
        rows = [(codec.bucket_id(kind, i), i) for i in dict.fromkeys(ids)]
        calls = []
        for bucket, group in by_bucket(rows, bucket_count).items():
            names = BucketKeys.of(tenant, bucket)
            conflicts = names.records(RecordKind.CONFLICT)
            touched = (names.records(kind), names.changes, conflicts)
            calls += [
                Call.run(bucket, scripts.DELETE, touched, (kind, tombstone, *part))
                for part in chunks(group)
            ]
        return reached(calls, await self._gateway.write(calls))

    async def get(self, tenant: str, kind: RecordKind, identifier: str) -> StoredRecord | None:
        """See Store."""
        return (await self.get_many(tenant, kind, [identifier])).get(identifier)

    async def get_many(
        self, tenant: str, kind: RecordKind, ids: Sequence[str]
    ) -> dict[str, StoredRecord]:
        """See Store."""
        bucket_count = await self._known_buckets(tenant)
        if not bucket_count:
            return {}
        rows = [(codec.bucket_id(kind, i), i) for i in dict.fromkeys(ids)]
        parts = [
            (bucket, part)
            for bucket, group in by_bucket(rows, bucket_count).items()
            for part in chunks(group)
        ]
        calls = [
            Call(bucket, ("HMGET", BucketKeys.of(tenant, bucket).records(kind), *part))
            for bucket, part in parts
        ]
        found: dict[str, StoredRecord] = {}
        for (_, part), answer in zip(parts, await self._gateway.read(calls), strict=True):
            for identifier, data in zip(part, answer, strict=True):
                if data is not None and not (r := _stored(kind, identifier, data)).deleted:
                    found[identifier] = r
        return found

    async def scan(self, tenant: str, kind: RecordKind) -> AsyncGenerator[list[StoredRecord], None]:
        """See Store."""
        for bucket in range(await self._known_buckets(tenant)):
            cursor, begun = 0, False
            while cursor or not begun:
                begun = True
                cursor, records = await self._scan_once(tenant, kind, bucket, cursor, _SCAN_COUNT)
                if records:
                    yield records

    async def page(
        self, tenant: str, kind: RecordKind, page_size: int, page_token: str = ""
    ) -> Page:
        """See Store.

        A scan step gives more records than asked for, so a token is the step (bucket and cursor)
        and the last id taken of it: the step is repeated and its sorted rest follows.
        """
        bucket, cursor, last_id = _parse_token(page_token)
        taken: list[StoredRecord] = []
        bucket_count = await self._known_buckets(tenant)
        while bucket < bucket_count:
            following, records = await self._scan_once(tenant, kind, bucket, cursor, page_size)
            rest = sorted(
                (r for r in records if not r.deleted and r.id > last_id), key=lambda r: r.id
            )
            room = page_size - len(taken)
            taken += rest[:room]
            if len(rest) > room:
                return Page(tuple(taken), _token(bucket, cursor, taken[-1].id))
            bucket, cursor, last_id = (bucket, following, "") if following else (bucket + 1, 0, "")
            if len(taken) == page_size and bucket < bucket_count:
                return Page(tuple(taken), _token(bucket, cursor, ""))
        return Page(tuple(taken), "")

    async def _scan_once(
        self, tenant: str, kind: RecordKind, bucket: int, cursor: int, count: int
    ) -> tuple[int, list[StoredRecord]]:
        key = BucketKeys.of(tenant, bucket).records(kind)
        step = Call(bucket, ("HSCAN", key, cursor, "COUNT", count))
        [(following, fields)] = await self._gateway.read([step])
        return following, [_stored(kind, i.decode(), data) for i, data in fields.items()]


def _encode(entities: Sequence[Entity], vectors: Vectors | None) -> list[_Write]:
    records = [codec.encode_entity(entity) for entity in entities]
    if vectors is None:
        return [_Write(record, b"") for record in records]
    rows = vectors.values.astype("<f4", copy=False)
    return [_Write(r, row.tobytes()) for r, row in zip(records, rows, strict=True)]


def _stored(kind: RecordKind, identifier: str, data: bytes) -> StoredRecord:
    return StoredRecord(kind, identifier, codec.stored_fingerprint(data), data)


def _token(bucket: int, cursor: int, last_id: str) -> str:
    text = f"{bucket}:{cursor}:{last_id}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _parse_token(token: str) -> tuple[int, int, str]:
    if not token:
        return 0, 0, ""
    try:
        padded = token.encode("ascii") + b"=" * (-len(token) % 4)
        text = base64.b64decode(padded, b"-_", validate=True).decode()
        bucket, cursor, last_id = text.split(":", 2)
        parsed = int(bucket), int(cursor), last_id
    except ValueError as error:
        raise PageTokenError(token) from error
    if not (parsed[0] >= 0 and 0 <= parsed[1] < 2**64) or _token(*parsed) != token:
        raise PageTokenError(token)
    return parsed

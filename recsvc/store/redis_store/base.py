"""Tenants and buckets: what the parts of the store share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TypeVar

from features.errors import DataError
from recsvc.store.redis_store import keys, scripts
from recsvc.store.redis_store.connection import Gateway
from recsvc.store.redis_store.keys import BucketKeys
from recsvc.store.redis_store.scripts import Call
from recsvc.store.revision import MAX_BUCKETS, Position, Revision
from recsvc.store.types import DEFAULT_BUCKETS, StoreError

LAYOUT_VERSION = 1
"""Of keys and stream entries; a store with a newer one is refused."""

MAX_ENTRIES = 500
"""Entries one script call takes at most: it blocks the server while it runs."""

MAX_CALL_BYTES = 4 << 20

T = TypeVar("T")


class TenantBase:
    """Knows each tenant's bucket count."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._bucket_counts: dict[str, int] = {}

    async def open_tenant(self, tenant: str, bucket_count: int = DEFAULT_BUCKETS) -> int:
        """See Store."""
        known = self._bucket_counts.get(tenant)
        if known is not None:
            return known
        keys.check_tenant(tenant)
        if not 1 <= bucket_count <= MAX_BUCKETS:
            raise DataError(f"a tenant has 1 to {MAX_BUCKETS} buckets, not {bucket_count}")
        arguments = (bucket_count, LAYOUT_VERSION)
        create = Call.run(keys.CONTROL_BUCKET, scripts.OPEN_TENANT, (keys.meta(tenant),), arguments)
        [[count, layout]] = await self._gateway.write([create])
        self._check_layout(tenant, int(layout))
        await self._gateway.write([Call(0, ("SADD", keys.TENANTS, tenant))])
        self._bucket_counts[tenant] = int(count)
        return int(count)

    async def tenants(self) -> list[str]:
        """See Store."""
        [names] = await self._gateway.read([Call(0, ("SMEMBERS", keys.TENANTS))])
        return sorted(name.decode() for name in names)

    async def _known_buckets(self, tenant: str) -> int:
        """The tenant's bucket count, 0 when there is no such tenant."""
        known = self._bucket_counts.get(tenant)
        if known is not None:
            return known
        keys.check_tenant(tenant)
        look = Call(keys.CONTROL_BUCKET, ("HMGET", keys.meta(tenant), "buckets", "layout"))
        [[count, layout]] = await self._gateway.read([look])
        if count is None:
            return 0
        self._check_layout(tenant, int(layout))
        self._bucket_counts[tenant] = int(count)
        return int(count)

    def _check_layout(self, tenant: str, layout: int) -> None:
        if layout > LAYOUT_VERSION:
            raise StoreError(
                f"tenant {tenant!r} is stored in layout {layout}, this version knows up to "
                f"{LAYOUT_VERSION}: upgrade recsvc"
            )


def control_keys(tenant: str) -> BucketKeys:
    """The keys of what belongs to the tenant as a whole."""
    return BucketKeys.of(tenant, keys.CONTROL_BUCKET)


def by_bucket(items: Iterable[tuple[str, T]], bucket_count: int) -> dict[int, list[T]]:
    """Items grouped by the bucket of the id given with each, in their order."""
    groups: dict[int, list[T]] = defaultdict(list)
    for identifier, item in items:
        groups[keys.bucket_of(identifier, bucket_count)].append(item)
    return groups


def chunks(items: Sequence[T], sizes: Sequence[int] | None = None) -> list[Sequence[T]]:
    """Items cut into pieces for one call each: at most MAX_ENTRIES, and MAX_CALL_BYTES if sized.

    An item bigger than that gets a call of its own.
    """
    cuts, total = [0], 0
    for i in range(len(items)):
        total += sizes[i] if sizes else 0
        if i > cuts[-1] and (i - cuts[-1] == MAX_ENTRIES or total > MAX_CALL_BYTES):
            cuts.append(i)
            total = sizes[i] if sizes else 0
    return [items[a:b] for a, b in zip(cuts, [*cuts[1:], len(items)], strict=True) if b > a]


def parse_position(entry_id: bytes) -> Position:
    """A stream entry's id."""
    milliseconds, _, sequence = entry_id.partition(b"-")
    return Position(int(milliseconds), int(sequence))


def reached(calls: Sequence[Call], entry_ids: Iterable[bytes]) -> Revision:
    """The revision of calls, each answered with its bucket's last entry id."""
    return Revision().merge(
        *(
            Revision.of({call.lane: parse_position(entry_id)})
            for call, entry_id in zip(calls, entry_ids, strict=True)
        )
    )

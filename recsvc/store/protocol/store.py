"""The seam, put together from its parts."""

from __future__ import annotations

from typing import Protocol

from recsvc.store.protocol.claims import Claims
from recsvc.store.protocol.control import Control
from recsvc.store.protocol.events import Events
from recsvc.store.protocol.outbox import Outbox
from recsvc.store.protocol.plans import Plans
from recsvc.store.protocol.records import Records
from recsvc.store.protocol.stream import Stream
from recsvc.store.types import DEFAULT_BUCKETS, Durability


class Store(Records, Events, Claims, Outbox, Plans, Stream, Control, Protocol):
    """The seam between the service and its store; every method may raise StoreUnavailable."""

    async def open_tenant(self, tenant: str, bucket_count: int = DEFAULT_BUCKETS) -> int:
        """Create the tenant unless it exists; its bucket count, fixed when it was created.

        Writes, leases and `changes` do this by themselves; reads of an unknown tenant are empty.
        """
        ...

    async def tenants(self) -> list[str]:
        """All tenants, sorted."""
        ...

    async def check_durability(self) -> Durability:
        """What the server promises about persistence (of a cluster: its weakest primary)."""
        ...

    async def ping(self) -> None:
        """Return when the store answers."""
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...

"""The store, put together from its parts."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from recsvc.store.redis_store.claims import Claims
from recsvc.store.redis_store.connection import Gateway
from recsvc.store.redis_store.control import Control
from recsvc.store.redis_store.durability import check_durability
from recsvc.store.redis_store.events import Events
from recsvc.store.redis_store.outbox import Outbox
from recsvc.store.redis_store.plans import Plans
from recsvc.store.redis_store.records import Records
from recsvc.store.redis_store.scripts import Call
from recsvc.store.redis_store.stream import Stream
from recsvc.store.types import Durability


class RedisStore(Records, Events, Claims, Outbox, Plans, Stream, Control):
    """A `recsvc.store.protocol.Store` on a Redis-protocol server.

    `url` is one of the forms in recsvc.store.redis_store.urls; a malformed one raises DataError. It
    connects when first used, so that a service can start while its store is away. Use it in one
    event loop, and close it (or use it as an async context manager).
    """

    def __init__(
        self,
        url: str,
        *,
        answer_seconds: float = 5.0,
        clock_us: Callable[[], int] | None = None,
    ) -> None:
        super().__init__(Gateway(url, answer_seconds), clock_us)

    async def check_durability(self) -> Durability:
        """See Store."""
        return await check_durability(self._gateway)

    async def ping(self) -> None:
        """See Store."""
        await self._gateway.write([Call(0, ("GET", "recsvc:ping"))])

    async def aclose(self) -> None:
        """See Store."""
        await self._gateway.aclose()

    async def __aenter__(self) -> RedisStore:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

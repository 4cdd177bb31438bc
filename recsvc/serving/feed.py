"""Keeps a view current: what the store holds first, then its change stream, without end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing

from structlog.typing import FilteringBoundLogger

from recsvc.serving.metrics import Metrics
from recsvc.serving.view import View
from recsvc.store.changes import follow
from recsvc.store.codec import RecordKind
from recsvc.store.protocol import (
    ChangeBatch,
    ChangeKind,
    RevisionTrimmedError,
    Store,
    StoreUnavailable,
)
from recsvc.store.revision import NOTHING, Revision

_RETRY_SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)


class Feed:
    """The task that moves one view forward.

    `caught_up` is set when the view has taken in what the store held when the feed began, `failed`
    while the store does not answer. `on_moved` is awaited after each batch, `on_activation` hears
    that a model was activated.
    """

    def __init__(
        self,
        view: View,
        store: Store,
        tenant: str,
        metrics: Metrics,
        log: FilteringBoundLogger,
        on_moved: Callable[[], Awaitable[None]],
        on_activation: Callable[[], None],
    ) -> None:
        self.view = view
        self.caught_up = asyncio.Event()
        self.failed = asyncio.Event()
        self._store = store
        self._tenant = tenant
        self._metrics = metrics
        self._log = log
        self._on_moved = on_moved
        self._on_activation = on_activation
        self._scanned: Revision = NOTHING
        self._target: Revision = NOTHING
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to follow."""
        self._task = asyncio.create_task(self._run(), name=f"feed {self.view.model_id}")

    async def stop(self) -> None:
        """Ends it; the view stays as it is."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        # A bundle that names its revision holds everything before it; any other knows nothing of
        # the store.
        scan = not self.view.applied
        while True:
            await self._begin(scan)
            try:
                await self._follow()
            except RevisionTrimmedError as error:
                self._log.error("change stream trimmed", problem=str(error))
                scan = True
                await self._begin(scan)
                self.view.move_to(self.view.applied.merge(self._scanned))
            except Exception:  # noqa: BLE001 - a feed that ends silently would freeze the view
                self._log.exception("feed failed, beginning again")
                await asyncio.sleep(_RETRY_SECONDS[-1])
            scan = False

    async def _begin(self, scan: bool) -> None:
        """Learns how far to go and, on demand, loads all records; for as long as it takes."""
        attempt = 0
        while True:
            try:
                # Read before the records: whatever is written while they are read comes again in
                # the stream, and taking it in twice does no harm.
                self._target = await self._store.latest_revision(self._tenant)
                await self._load_holders()
                if scan:
                    await self._load_records()
                    self._scanned = self._target
            except StoreUnavailable as error:
                self._fail(error)
                await asyncio.sleep(_RETRY_SECONDS[min(attempt, len(_RETRY_SECONDS) - 1)])
                attempt += 1
            else:
                await self._moved()
                return

    async def _load_holders(self) -> None:
        """Of claims only the present is known: no bundle holds them."""
        holders: dict[str, int] = {}
        async with aclosing(self._store.holders(self._tenant)) as batches:
            async for batch in batches:
                holders |= batch
        self.view.load_holders(holders)

    async def _load_records(self) -> None:
        for kind in RecordKind:
            async with aclosing(self._store.scan(self._tenant, kind)) as batches:
                async for batch in batches:
                    self.view.load(kind, batch)
                    await asyncio.sleep(0)

    async def _follow(self) -> None:
        changes = follow(self._store, self._tenant, self.view.applied, self._fail)
        async with aclosing(changes) as batches:
            async for batch in batches:
                await self.view.apply(self._unseen(batch))
                await self._moved()
                if any(c.kind is ChangeKind.ACTIVATION for c in batch.changes):
                    self._on_activation()

    def _unseen(self, batch: ChangeBatch) -> ChangeBatch:
        """Without records that the scan brought in a later state."""
        kept = tuple(
            c
            for c in batch.changes
            if c.kind in (ChangeKind.EVENT, ChangeKind.ACTIVATION, ChangeKind.CLAIM)
            or not self._scanned.includes(c.bucket, c.position)
        )
        return ChangeBatch(kept, batch.revision)

    def store_answers(self) -> None:
        """Somebody has heard from the store: it is not away any more."""
        if self.failed.is_set():
            self.failed.clear()
            self._log.info("store back", revision=self.view.revision_text)

    async def _moved(self) -> None:
        self.store_answers()
        if not self.caught_up.is_set() and self.view.applied.covers(self._target):
            self.caught_up.set()
        await self._on_moved()

    def _fail(self, error: StoreUnavailable) -> None:
        self._metrics.store_failed(self._tenant)
        if not self.failed.is_set():
            self.failed.set()
            self._log.warning("store away", problem=str(error))

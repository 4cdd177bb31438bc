"""Keeps participation events for training: from the change stream to Parquet.

The stream may be trimmed up to where the archive reaches (see `trim_stream`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from features.entities import Event
from features.errors import DataError
from recsvc.store.archive_folder import ArchiveFencedError, ArchiveFolder, ArchiveMark
from recsvc.store.changes import batches_between, follow
from recsvc.store.codec import decode_event
from recsvc.store.dataset_columns import batch_of, schema_of
from recsvc.store.protocol import ChangeBatch, ChangeKind, Store, StoreUnavailable
from recsvc.store.revision import Revision

__all__ = [
    "ArchiveFencedError",
    "ArchiveFolder",
    "ArchiveMark",
    "Archiver",
    "trim_point",
    "trim_stream",
]

LEASE = "archive"


@dataclass
class _Waiting:
    """Events taken in under one lease but not written yet, and the revision they reach."""

    token: int
    reached: Revision
    written: Revision
    payloads: list[bytes] = field(default_factory=list)

    def take(self, batch: ChangeBatch) -> None:
        self.payloads += [c.payload for c in batch.changes if c.kind is ChangeKind.EVENT]
        self.reached = self.reached.merge(batch.revision)


class Archiver:
    """Appends a tenant's events to an archive folder. One at a time does, by a lease.

    A part is written when `flush_rows` events wait, and every `flush_seconds` when any do.
    `owner` names this process among all that may hold the lease.
    """

    def __init__(
        self,
        store: Store,
        tenant: str,
        folder: Path,
        *,
        owner: str,
        flush_rows: int = 50_000,
        flush_seconds: float = 60.0,
        lease_seconds: float = 30.0,
    ) -> None:
        self.archive = ArchiveFolder(folder)
        self._store = store
        self._tenant = tenant
        self._owner = owner
        self._flush_rows = flush_rows
        self._flush_seconds = flush_seconds
        self._lease_seconds = lease_seconds
        # Arrow looks for pandas with its first array: calls would wait a third of a second.
        batch_of(Event, [])

    async def run(self) -> None:
        """Archive until cancelled; then what waits is written and the lease given back.

        Waits while another archiver holds the lease or the store is away. Raises
        RevisionTrimmedError when events were trimmed before they were archived, and OSError when
        the folder cannot be written.
        """
        while True:
            # What was taken in but not written is read again from the mark.
            with suppress(StoreUnavailable, ArchiveFencedError):
                waiting = await self._begin()
                if waiting:
                    await self._archive(waiting)
            await asyncio.sleep(self._lease_seconds / 3)

    async def catch_up(self) -> Revision:
        """Archive everything there is now; how far the archive reaches then.

        Raises DataError when another archiver holds the lease, StoreUnavailable,
        RevisionTrimmedError.
        """
        waiting = await self._begin()
        if waiting is None:
            raise DataError(f"another archiver works for tenant {self._tenant!r}: wait or stop it")
        try:
            until = await self._store.latest_revision(self._tenant)
            found = batches_between(self._store, self._tenant, waiting.reached, until)
            async with aclosing(found) as batches:
                async for batch in batches:
                    waiting.take(batch)
                    if len(waiting.payloads) >= self._flush_rows:
                        await self._flush(waiting)
            await self._flush(waiting)
        finally:
            await self._store.release_lease(self._tenant, LEASE, waiting.token)
        return waiting.written

    async def _begin(self) -> _Waiting | None:
        """Take the lease and read the mark; None when another holds the lease."""
        token = await self._store.acquire_lease(
            self._tenant, LEASE, self._owner, self._lease_seconds
        )
        if token is None:
            return None
        mark = self.archive.take_over(token)
        revision = Revision.parse(mark.revision)
        return _Waiting(token, revision, revision)

    async def _archive(self, waiting: _Waiting) -> None:
        """Archive until cancelled or the lease is lost (ArchiveFencedError)."""
        queue: asyncio.Queue[ChangeBatch | Exception] = asyncio.Queue(maxsize=4)
        pump = asyncio.create_task(self._pump(queue, waiting.reached))
        try:
            await self._collect(waiting, queue)
        except asyncio.CancelledError:
            with suppress(StoreUnavailable, ArchiveFencedError):
                await self._flush(waiting)
                await self._store.release_lease(self._tenant, LEASE, waiting.token)
            raise
        finally:
            pump.cancel()
            await asyncio.gather(pump, return_exceptions=True)

    async def _collect(
        self, waiting: _Waiting, queue: asyncio.Queue[ChangeBatch | Exception]
    ) -> None:
        """Take in batches, write parts and renew the lease when it is time."""
        flush_at = monotonic() + self._flush_seconds
        renew_at = monotonic() + self._lease_seconds / 3
        while True:
            pause_seconds = max(0.0, min(flush_at, renew_at) - monotonic())
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_seconds):
                    item = await queue.get()
                    if isinstance(item, Exception):
                        raise item
                    waiting.take(item)
            if monotonic() >= renew_at:
                await self._renew(waiting)
                renew_at = monotonic() + self._lease_seconds / 3
            if monotonic() >= flush_at or len(waiting.payloads) >= self._flush_rows:
                await self._flush(waiting)
                flush_at = monotonic() + self._flush_seconds

    async def _pump(self, queue: asyncio.Queue[ChangeBatch | Exception], after: Revision) -> None:
        """The tenant's changes, or the error that ends them, into the queue."""
        try:
            async with aclosing(follow(self._store, self._tenant, after)) as batches:
                async for batch in batches:
                    await queue.put(batch)
        except Exception as error:  # noqa: BLE001 - raised again by the reader of the queue
            await queue.put(error)

    async def _renew(self, waiting: _Waiting) -> None:
        held = await self._store.renew_lease(
            self._tenant, LEASE, waiting.token, self._lease_seconds
        )
        if not held:
            raise ArchiveFencedError(f"the archive's lease for tenant {self._tenant!r} was lost")

    async def _flush(self, waiting: _Waiting) -> None:
        """Write what waits as a part and move the mark."""
        if waiting.reached == waiting.written:
            return
        await self._renew(waiting)
        payloads, waiting.payloads, waiting.written = waiting.payloads, [], waiting.reached
        write = asyncio.create_task(
            asyncio.to_thread(self._write, waiting.token, payloads, waiting.reached)
        )
        try:
            await asyncio.shield(write)
        finally:
            # A thread does not stop when its task is cancelled: see the part through.
            await asyncio.wait([write])

    def _write(self, token: int, payloads: list[bytes], reached: Revision) -> None:
        batch = batch_of(Event, [decode_event(payload) for payload in payloads])
        self.archive.append(token, schema_of(Event), [batch], reached)


def trim_point(
    archived: Revision, workers: Iterable[Revision], bundles: Iterable[Revision]
) -> Revision:
    """Up to where nobody needs the stream: the archive, the slowest worker, the oldest bundle."""
    return archived.floor(*workers, *bundles)


async def trim_stream(
    store: Store, tenant: str, archive: ArchiveFolder, bundles: Iterable[Revision]
) -> int:
    """Trim a tenant's stream to `trim_point`; how many changes went.

    `bundles` are the revisions of all bundles kept. Raises StoreUnavailable.
    """
    workers = [Revision.parse(w.revision) for w in await store.workers(tenant)]
    return await store.trim(tenant, trim_point(archive.revision(), workers, bundles))

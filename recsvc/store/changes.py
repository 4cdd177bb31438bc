"""Ways to read a tenant's change stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from recsvc.store.protocol import Change, ChangeBatch, Store, StoreUnavailable
from recsvc.store.revision import Revision


async def follow(
    store: Store,
    tenant: str,
    after: Revision,
    on_error: Callable[[StoreUnavailable], None] = lambda error: None,
    max_wait_seconds: float = 2.0,
) -> AsyncGenerator[ChangeBatch, None]:
    """`store.changes` that connects again, with growing pauses, for as long as it takes.

    `on_error` hears of each failure. Raises RevisionTrimmedError.
    """
    wait_seconds = 0.05
    while True:
        try:
            async with aclosing(store.changes(tenant, after)) as batches:
                async for batch in batches:
                    yield batch
                    after, wait_seconds = batch.revision, 0.05
        except StoreUnavailable as error:
            on_error(error)
        await asyncio.sleep(wait_seconds)
        wait_seconds = min(2 * wait_seconds, max_wait_seconds)


async def batches_between(
    store: Store, tenant: str, after: Revision, until: Revision
) -> AsyncGenerator[ChangeBatch, None]:
    """The changes after one revision up to another (or to the last there is), then it ends.

    A batch's revision reaches as far as its changes, never past `until`. Raises what `changes`
    raises.
    """
    until = until.floor(await store.latest_revision(tenant))
    if after.covers(until):
        return
    async with aclosing(store.changes(tenant, after)) as batches:
        async for batch in batches:
            due = tuple(c for c in batch.changes if until.includes(c.bucket, c.position))
            yield ChangeBatch(due, batch.revision.floor(until))
            if batch.revision.covers(until):
                return


async def changes_between(
    store: Store, tenant: str, after: Revision, until: Revision
) -> AsyncGenerator[list[Change], None]:
    """As `batches_between`, the changes alone."""
    async with aclosing(batches_between(store, tenant, after, until)) as batches:
        async for batch in batches:
            yield list(batch.changes)

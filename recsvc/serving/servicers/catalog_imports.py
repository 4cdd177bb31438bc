"""Bulk writes: client streams of rows, checked row by row, written a chunk at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

from features.entities import Conflict, Lead, Member, Organization
from recsvc.convert import names, values
from recsvc.convert.events import row_error
from recsvc.errors import InvalidNameError, MissingFieldError, ServiceError, UnknownMemberError
from recsvc.serving.arrivals import Arrivals
from recsvc.serving.interceptors import current_call
from recsvc.serving.servicers.checks import check_tree, kept_vectors, member_of, read_new
from recsvc.serving.servicers.kinds import Kind
from recsvc.serving.servicers.shared import Service, known_ids, live_view
from recsvc.serving.worker import TenantWorker
from recsvc.store.codec import Entity, RecordKind, Tombstone, entity_id
from recsvc.store.protocol import Vectors
from recsvc.store.revision import NOTHING, Revision
from recsvc.v1 import catalog_pb2, errors_pb2

E = TypeVar("E", Member, Lead, Organization, Conflict)
M = TypeVar("M", bound=Message)

MAX_ROWS_PER_MESSAGE = 1_000
MAX_ERRORS = 1_000
CHUNK_ROWS = 500
_ROWS_AT_A_TIME = 100
"""Rows that are checked before waiting calls get their turn."""


@dataclass
class ImportResult:
    """What became of a stream."""

    summary: catalog_pb2.ImportSummary
    errors: list[errors_pb2.RowError]
    revision: str


@dataclass
class _Import(Generic[E, M]):
    """One stream on its way."""

    kind: Kind[E, M]
    worker: TenantWorker
    clock: Callable[[], int]
    row_count: int = 0
    rejected_count: int = 0
    errors: list[errors_pb2.RowError] = field(default_factory=list)
    revision: Revision = NOTHING
    chunk: list[tuple[int, str, E]] = field(default_factory=list)
    parents: dict[str, str] | None = None
    arrivals: Arrivals | None = None
    landing: asyncio.Task[None] | None = None

    async def add(self, rows: Sequence[M]) -> None:
        """Checks rows and writes each chunk that is full."""
        for message in rows:
            index, self.row_count = self.row_count, self.row_count + 1
            name = str(getattr(message, "name", ""))
            try:
                self.chunk.append((index, name, self._entity(message)))
            except ServiceError as error:
                self.reject(error, index, name)
            if len(self.chunk) == CHUNK_ROWS:
                await self.write()
            elif self.row_count % _ROWS_AT_A_TIME == 0:
                await asyncio.sleep(0)

    def reject(self, error: ServiceError, index: int, name: str) -> None:
        """Counts a row that cannot be used."""
        self.rejected_count += 1
        if len(self.errors) < MAX_ERRORS:
            self.errors.append(row_error(error, index, name))

    async def write(self) -> None:
        """Begins to write the chunk, when the one before is written; raises StoreUnavailable."""
        rows, self.chunk = self.chunk, []
        if self.kind.record is RecordKind.CONFLICT:
            rows = await self._with_members(rows)
        entities = await self._completed([entity for _, _, entity in rows])
        if not entities:
            return
        arrived = await self._note_arrivals(entities)
        view = live_view(self.worker)
        reading = await asyncio.to_thread(read_new, view, entities)
        vectors = kept_vectors(view, entities, reading)
        await self.landed()
        # The store writes these rows while the next ones are read and looked at.
        self.landing = asyncio.create_task(self._put(entities, vectors, arrived))

    async def landed(self) -> None:
        """Waits until the chunk that is being written is; raises StoreUnavailable."""
        if self.landing is not None:
            landing, self.landing = self.landing, None
            await landing

    async def aclose(self) -> None:
        """Gives up a chunk that is being written, if any: its stream has failed."""
        if self.landing is not None:
            self.landing.cancel()
            await asyncio.gather(self.landing, return_exceptions=True)

    async def _put(
        self, entities: Sequence[Entity], vectors: Vectors | None, arrived: bool
    ) -> None:
        put = self.worker.store.put(self.worker.tenant, entities, vectors)
        self.revision = self.revision.merge(await put)
        if arrived and self.arrivals is not None:
            self.arrivals.wake()

    async def _note_arrivals(self, entities: Sequence[Entity]) -> bool:
        """Whether urgent leads are among the rows, which are noted then."""
        leads: list[Lead] = [e for e in entities if isinstance(e, Lead)]
        if self.arrivals is None or not leads:
            return False
        catalog = live_view(self.worker).catalog
        return await self.arrivals.note((e, catalog.get(Lead, e.lead_id)) for e in leads)

    def _entity(self, message: M) -> E:
        now_us = self.clock()
        entity = self.kind.from_proto(message, self.worker.tenant, now_us)
        catalog = live_view(self.worker).catalog
        if isinstance(entity, Organization):
            if self.parents is None:
                self.parents = {o.organization_id: o.parent_id for o in catalog.organizations()}
            check_tree(entity, self.parents)
            self.parents[entity.organization_id] = entity.parent_id
        return entity

    async def _completed(self, entities: list[E]) -> list[E]:
        """Rows with what their callers left out, kept from what is there already.

        Where memory knows nothing yet, the store may: another worker has just written the same.
        """
        kind, catalog = self.kind, live_view(self.worker).catalog
        old = {i: catalog.get(kind.entity_type, i) for e in entities if (i := entity_id(e))}
        unsure = [entity_id(e) for e in entities if kind.is_partial(e) and not old[entity_id(e)]]
        if unsure:
            await self.landed()  # it may hold the same rows
            found = await self.worker.store.get_many(self.worker.tenant, kind.record, unsure)
            for identifier, record in found.items():
                stored = record.decode(kind.entity_type)
                old[identifier] = None if isinstance(stored, Tombstone) else stored
        return [kind.complete(e, old[entity_id(e)], self.clock()) for e in entities]

    async def _with_members(self, rows: list[tuple[int, str, E]]) -> list[tuple[int, str, E]]:
        """Those rows whose member exists."""
        wanted = {member_of(entity) for _, _, entity in rows}
        known = await known_ids(self.worker, RecordKind.MEMBER, wanted)
        good = []
        for index, name, entity in rows:
            member_id = member_of(entity)
            if member_id in known:
                good.append((index, name, entity))
            else:
                text = f"there is no member {member_id!r}: import it first"
                self.reject(UnknownMemberError(text, field="name"), index, name)
        return good


async def import_rows(
    service: Service,
    kind: Kind[E, M],
    requests: AsyncIterable[Any],
    rows_of: Callable[[Any], Sequence[M]],
) -> ImportResult:
    """Takes a whole stream; raises what stops it (a bad parent, the store), not what is in rows."""
    async with AsyncExitStack() as stack:
        running = await _read(service, kind, requests, rows_of, stack)
    running.errors.sort(key=lambda e: e.row_index)
    current_call().notes |= {"rows": running.row_count, "rejected": running.rejected_count}
    summary = catalog_pb2.ImportSummary(
        row_count=running.row_count,
        imported_count=running.row_count - running.rejected_count,
        rejected_count=running.rejected_count,
    )
    return ImportResult(summary, running.errors, str(running.revision))


async def _read(
    service: Service,
    kind: Kind[E, M],
    requests: AsyncIterable[Any],
    rows_of: Callable[[Any], Sequence[M]],
    stack: AsyncExitStack,
) -> _Import[E, M]:
    """The stream, written; `stack` gives up what is not when it fails."""
    running: _Import[E, M] | None = None
    async for request in requests:
        if running is None:
            worker = service.worker(request.parent, "parent")
            names.parse_tenant(request.parent, worker.tenant)
            arrivals = service.arrivals.get(worker.tenant)
            running = _Import(kind, worker, service.clock, arrivals=arrivals)
            stack.push_async_callback(running.aclose)
        elif request.parent and request.parent != names.tenant_name(running.worker.tenant):
            service.worker(request.parent, "parent")
            raise InvalidNameError(
                "parent changed within the stream: send one stream for each tenant", field="parent"
            )
        rows = rows_of(request)
        values.check_count(rows, MAX_ROWS_PER_MESSAGE, kind.collection)
        await running.add(rows)
    if running is None:
        raise MissingFieldError(
            "the stream is empty: its first message needs a parent", field="parent"
        )
    await running.write()
    await running.landed()
    return running

"""Writes what the store and the archive hold as a data set, for training."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from features.entities import Conflict, Event, Lead, Member, Organization
from features.errors import DataError
from recsvc.store.archive_folder import ArchiveFolder, ArchiveMark
from recsvc.store.changes import batches_between
from recsvc.store.codec import ENTITY_TYPES, E, RecordKind, Tombstone, decode_event
from recsvc.store.dataset_columns import Row, batch_of, schema_of
from recsvc.store.protocol import ChangeKind, Store
from recsvc.store.revision import Revision


@dataclass(frozen=True, slots=True)
class ExportSummary:
    """Rows of each table; `left_out` events and conflicts name what is deleted or unknown."""

    revision: str
    members: int
    leads: int
    organizations: int
    conflicts: int
    events: int
    left_out: int


async def export_dataset(
    store: Store, tenant: str, folder: Path, archive: ArchiveFolder | None = None
) -> ExportSummary:
    """Write all live records, and all events up to a revision, into a new folder.

    `revision.json` holds the summary with that revision: who trains on the export follows the
    change stream from there. Records may be a little newer. The folder appears whole or not at all.
    Raises DataError when it exists, StoreUnavailable, and RevisionTrimmedError when events were
    trimmed that are not in the archive.
    """
    if folder.exists():
        raise DataError(f"{folder} exists already: name a new folder for the export")
    draft = folder.with_name(f".{folder.name}.writing")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        summary = await _Export(store, tenant, draft).write(archive)
        (draft / "revision.json").write_bytes(msgspec.json.encode(summary))
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return summary


class _Export:
    """One export on its way, in a folder of its own.

    It leaves no reference to what is deleted, because readers of a data set reject such rows.
    """

    def __init__(self, store: Store, tenant: str, folder: Path) -> None:
        self._store = store
        self._tenant = tenant
        self._folder = folder
        self._ids: dict[RecordKind, set[str]] = {kind: set() for kind in RecordKind}
        self._left_out = 0

    async def write(self, archive: ArchiveFolder | None) -> ExportSummary:
        """Write all tables. Raises what `export_dataset` raises."""
        # The stream's events come first: it may be trimmed while the records are read.
        mark = archive.mark() if archive else ArchiveMark()
        parts = archive.parts(mark) if archive else []
        after = Revision.parse(mark.revision)
        until = after.merge(await self._store.latest_revision(self._tenant))
        recent = self._folder / ".recent.parquet"
        await self._write(recent, Event, self._events(after, until))
        counts = {}
        for table, entity_type, rows in (
            ("organizations", Organization, self._organizations()),
            ("members", Member, self._records(Member)),
            ("leads", Lead, self._records(Lead)),
            ("conflicts", Conflict, self._conflicts()),
        ):
            path = self._folder / f"{table}.parquet"
            counts[table] = await self._write(path, entity_type, rows)
        events = await asyncio.to_thread(self._write_known_events, [*parts, recent])
        recent.unlink()
        return ExportSummary(str(until), **counts, events=events, left_out=self._left_out)

    async def _events(self, after: Revision, until: Revision) -> AsyncIterator[Sequence[Row]]:
        found = batches_between(self._store, self._tenant, after, until)
        async with aclosing(found) as batches:
            async for batch in batches:
                due = (c for c in batch.changes if c.kind is ChangeKind.EVENT)
                yield [decode_event(change.payload) for change in due]

    async def _live(self, entity_type: type[E]) -> AsyncIterator[list[E]]:
        """Live records, each once; their ids are noted."""
        kind = next(kind for kind, known in ENTITY_TYPES.items() if known is entity_type)
        ids = self._ids[kind]
        async with aclosing(self._store.scan(self._tenant, kind)) as parts:
            async for records in parts:
                fresh = {r.id: r for r in records if not r.deleted and r.id not in ids}
                ids.update(fresh)
                found = (record.decode(entity_type) for record in fresh.values())
                yield [one for one in found if not isinstance(one, Tombstone)]

    async def _organizations(self) -> AsyncIterator[Sequence[Row]]:
        organizations = [one async for part in self._live(Organization) for one in part]
        known = self._ids[RecordKind.ORGANIZATION] | {""}
        yield [
            one if one.parent_id in known else replace(one, parent_id="") for one in organizations
        ]

    async def _records(
        self, entity_type: type[Member] | type[Lead]
    ) -> AsyncIterator[Sequence[Row]]:
        """Members or leads; without a table of organizations their references stay as they are."""
        known = self._ids[RecordKind.ORGANIZATION]
        async for part in self._live(entity_type):
            yield [
                one
                if not known or one.organization_id in known
                else replace(one, organization_id="")
                for one in part
            ]

    async def _conflicts(self) -> AsyncIterator[Sequence[Row]]:
        members, leads = self._ids[RecordKind.MEMBER], self._ids[RecordKind.LEAD] | {""}
        organizations = self._ids[RecordKind.ORGANIZATION]
        async for part in self._live(Conflict):
            kept = [
                one
                for one in part
                if one.member_id in members
                and one.lead_id in leads
                and (not organizations or one.organization_id in organizations | {""})
            ]
            self._left_out += len(part) - len(kept)
            yield kept

    def _write_known_events(self, parts: Sequence[Path]) -> int:
        """Copy those events whose member and lead are exported; how many these are."""
        target = self._folder / "events"
        target.mkdir()
        members = pa.array(self._ids[RecordKind.MEMBER], pa.string())
        leads = pa.array(self._ids[RecordKind.LEAD], pa.string())
        count = 0
        for number, part in enumerate(parts, start=1):
            table = parquet.read_table(part, schema=schema_of(Event))
            about_known = pc.or_kleene(
                pc.is_null(table["lead_id"]), pc.is_in(table["lead_id"], value_set=leads)
            )
            of_known = pc.is_in(table["member_id"], value_set=members)
            kept = table.filter(pc.and_(of_known, about_known))
            parquet.write_table(kept, target / f"part-{number:08d}.parquet", compression="zstd")
            count += kept.num_rows
            self._left_out += table.num_rows - kept.num_rows
        return count

    async def _write(
        self, path: Path, entity_type: type[Row], parts: AsyncIterator[Sequence[Row]]
    ) -> int:
        """Write one table; how many rows it has."""
        count = 0
        with parquet.ParquetWriter(path, schema_of(entity_type), compression="zstd") as writer:
            async for rows in parts:
                await asyncio.to_thread(writer.write_batch, batch_of(entity_type, rows))
                count += len(rows)
        return count

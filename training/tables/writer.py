"""Writes a data set in the layout that `training.logs` reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from features.entities import Conflict, Event, Lead, Member, Organization
from features.errors import DataError
from recsvc.store.dataset_columns import Row, batch_of, schema_of
from training.tables.batch import BATCH_ROWS
from training.tables.files import find_files
from training.tables.schema import (
    CONFLICTS,
    EVENTS,
    LEADS,
    MEMBERS,
    ORGANIZATIONS,
    Table,
)


def write_dataset(
    folder: Path,
    *,
    members: Iterable[Member] = (),
    leads: Iterable[Lead] = (),
    organizations: Iterable[Organization] = (),
    conflicts: Iterable[Conflict] = (),
    events: Iterable[Event] = (),
) -> None:
    """Writes the five tables as `<table>.parquet`, replacing those of an earlier export.

    The rows may come from generators: no table is held in memory. Each file appears whole or not
    at all. Raises DataError when the folder holds a table in another form, which would leave
    the set with two of it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tables: tuple[tuple[Table, Iterable[Row]], ...] = (
        (ORGANIZATIONS, organizations),
        (MEMBERS, members),
        (LEADS, leads),
        (CONFLICTS, conflicts),
        (EVENTS, events),
    )
    targets = [folder / f"{table.name}.parquet" for table, _ in tables]
    for (table, _), target in zip(tables, targets, strict=True):
        other = [path for path in find_files(folder, table) if path != target]
        if other:
            raise DataError(f"{folder} already has {other[0].name}: write into an empty folder")
    for (table, rows), target in zip(tables, targets, strict=True):
        _write(target, table, rows)


def _write(target: Path, table: Table, rows: Iterable[Row]) -> None:
    passing = target.with_name(f".{target.name}.writing")
    try:
        with parquet.ParquetWriter(passing, schema_of(table.entity), compression="zstd") as writer:
            for batch in _batches(table, rows):
                writer.write_batch(batch)
        passing.replace(target)
    finally:
        passing.unlink(missing_ok=True)


def _batches(table: Table, rows: Iterable[Row]) -> Iterator[pa.RecordBatch]:
    source = iter(rows)
    while chunk := list(islice(source, BATCH_ROWS)):
        yield batch_of(table.entity, chunk)

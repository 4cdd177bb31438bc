"""`recsvc import`: the tables of a data set into a running service."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from features.entities import Conflict
from features.errors import DataError
from recsvc.client import Client, ImportReport
from recsvc.commands import show
from recsvc.commands.connection import connected
from training.logs import (
    EntityStream,
    ReadOptions,
    TableSummary,
    iter_conflicts,
    iter_leads,
    iter_members,
    iter_organizations,
)

_SHOWN_ERRORS = 10


@dataclass(frozen=True, slots=True)
class TableImport:
    """What became of one table: in the files, and in the service."""

    read: TableSummary
    sent: ImportReport


@connected
def import_dataset(
    client: Client,
    data: Annotated[Path, typer.Option(help="Folder with the tables.")],
    rejects: Annotated[
        Path | None, typer.Option(help="Folder for the rows that could not be read.")
    ] = None,
    max_reject_share: Annotated[
        float, typer.Option(min=0, max=1, help="Give up above this share of bad rows of a table.")
    ] = 0.01,
    json: Annotated[bool, typer.Option("--json", help="JSON for programs.")] = False,
) -> None:
    """Write the members, leads, organizations and conflicts of a data set into a running service.

    Each row replaces what the service has under its id; doing it twice is the same as once. The
    events of a data set are for training: the service takes those of the last seven days, by
    RecordEvents.

    Example: recsvc import --data ./data
    """
    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn()
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as bar:
        tasks: dict[str, Any] = {}

        def progress(table: str, rows: int, share: float) -> None:
            if table not in tasks:
                tasks[table] = bar.add_task(table, total=1.0)
            bar.update(tasks[table], completed=share, description=f"{table} {rows:,}")

        options = ReadOptions(max_reject_share, rejects, progress)
        done = import_folder(client, data, options)
    if json:
        show.print_json({one.read.table: one for one in done})
    else:
        Console().print(_table(done))
    _check(done, max_reject_share, console)


def import_folder(client: Client, folder: Path, options: ReadOptions) -> list[TableImport]:
    """Streams every table that the set has into the service; raises DataError, ServiceError."""
    tables: list[tuple[EntityStream[Any], Callable[[Iterable[Any]], ImportReport]]] = [
        (iter_organizations(folder, options), client.import_organizations),
        (iter_members(folder, options), client.import_members),
        (iter_leads(folder, options), client.import_leads),
        (iter_conflicts(folder, options), client.import_conflicts),
    ]
    found = [(stream, send) for stream, send in tables if stream.found]
    if not found:
        raise DataError(f"{folder} has no members, leads, organizations or conflicts to import")
    done = []
    for stream, send in found:
        report = send(_rows(stream))
        assert stream.summary is not None  # the stream was read to its end
        done.append(TableImport(stream.summary, report))
    return done


def _rows(stream: EntityStream[Any]) -> Iterator[Any]:
    for rows in stream:
        for row in rows:
            if isinstance(row, Conflict):
                yield from single_targets(row)
            else:
                yield row


def single_targets(conflict: Conflict) -> list[Conflict]:
    """A row of the conflicts table may name several things; the service takes one a conflict."""
    bare = replace(conflict, lead_id="", author_id="", organization_id="")
    fields = ("lead_id", "author_id", "organization_id")
    return [replace(bare, **{name: value}) for name in fields if (value := getattr(conflict, name))]


def _table(done: list[TableImport]) -> Table:
    table = Table("table", "rows", "unreadable", "imported", "refused", "seconds")
    for one in done:
        table.add_row(
            one.read.table,
            f"{one.read.rows_read:,}",
            f"{one.read.rows_rejected:,}",
            f"{one.sent.imported_count:,}",
            f"{one.sent.rejected_count:,}",
            f"{one.read.seconds:.1f}",
        )
    return table


def _check(done: list[TableImport], max_reject_share: float, console: Console) -> None:
    """Shows what the service refused; raises DataError when it is too much."""
    for one in done:
        for error in one.sent.errors[:_SHOWN_ERRORS]:
            place = f"{one.read.table} {error.row_id or error.row_index}"
            console.print(Text(f"{place}: {error.reason} {error.message}", "yellow"))
        if one.sent.rejected_count > max_reject_share * max(one.sent.row_count, 1):
            raise DataError(
                f"the service refused {one.sent.rejected_count:,} of {one.sent.row_count:,} rows "
                f"of {one.read.table}, more than {max_reject_share:.1%}; the others were written"
            )

"""A table as a stream of checked batches; what is wrong is put aside and counted on the way."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Protocol

import polars as pl

from features.errors import DataError
from training.tables.batch import RawBatch, ahead
from training.tables.files import find_files, missing_table
from training.tables.formats import format_of
from training.tables.parse import REASON, parse
from training.tables.rejects import RejectLog
from training.tables.schema import Table
from training.tables.summary import TableSummary

FILE = "_file"
RECORD = "_record"
log = logging.getLogger(__name__)


class Progress(Protocol):
    """Told after each batch how far a table is; `share` is 0–1 of its bytes."""

    def __call__(self, table: str, rows: int, share: float) -> None: ...


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What holds for all tables of a data set."""

    max_reject_share: float = 0.01
    rejects_folder: Path | None = None
    progress: Progress | None = None


READ_OPTIONS = ReadOptions()


class TableStream:
    """The good rows of one table, batch by batch; iterate once, then call `finish`.

    Batches are as `parse` gives them, without the rows that have a reason, plus `_file` and
    `_record` so that `reject` can still put a row aside. Raises DataError when the table is not
    there and `required`, and for every file that cannot be read.
    """

    def __init__(
        self,
        folder: Path,
        table: Table,
        options: ReadOptions,
        *,
        known: Mapping[str, pl.Enum] | None = None,
        required: bool = False,
    ) -> None:
        self.table = table
        self.files = find_files(folder, table)
        if required and not self.files:
            raise missing_table(folder, table)
        self._required = required
        self._folder = folder
        self._options = options
        self._known = known or {}
        self._rejects = RejectLog(table, options.rejects_folder)
        self._unknown: set[str] = set()
        self._rows_read = 0
        self._started = perf_counter()

    def __iter__(self) -> Iterator[pl.DataFrame]:
        sizes = [path.stat().st_size for path in self.files]
        for number, path in enumerate(self.files):
            before = sum(sizes[:number])
            for batch in ahead(format_of(path).scan(path, self.table)):
                yield self._checked(number, path, batch)
                self._tell((before + batch.bytes_read) / max(sum(sizes), 1))

    def reject(self, rows: pl.DataFrame, reason: str) -> None:
        """Puts rows aside that an earlier batch held to be good."""
        for number, record in rows.select(FILE, RECORD).iter_rows():
            self._rejects.add(self.files[number], [record], [reason])

    def finish(self, duplicates: int = 0) -> TableSummary:
        """Writes the rejects and sums up; raises DataError when too many rows were rejected."""
        rejects_file = self._rejects.close()
        summary = TableSummary(
            table=self.table.name,
            files=tuple(str(path.relative_to(self._folder)) for path in self.files),
            rows_read=self._rows_read,
            rows_kept=self._rows_read - self._rejects.total - duplicates,
            duplicates=duplicates,
            rejected=dict(self._rejects.counts.most_common()),
            unknown_columns=tuple(sorted(self._unknown)),
            rejects_file=str(rejects_file) if rejects_file else None,
            seconds=perf_counter() - self._started,
        )
        if summary.reject_share > self._options.max_reject_share:
            raise self._rejects.too_many(self._rows_read, self._options.max_reject_share)
        if self._required and not summary.rows_kept:
            raise DataError(f"{self._folder}: the table {self.table.name} has no usable row")
        return summary

    def _checked(self, number: int, path: Path, batch: RawBatch) -> pl.DataFrame:
        """The good rows of a raw batch; the others are noted as rejects."""
        self._warn_about(path, batch.unknown)
        self._rows_read += len(batch.frame) + len(batch.broken)
        self._rejects.add(path, [b.record for b in batch.broken], [b.reason for b in batch.broken])
        try:
            parsed = parse(batch.frame, self.table, self._known)
        except (DataError, pl.exceptions.PolarsError) as error:
            raise DataError(f"{path}: {error}") from error
        parsed = parsed.with_columns(
            pl.lit(number, pl.Int32).alias(FILE), pl.Series(RECORD, batch.records)
        )
        if parsed[REASON].null_count() < len(parsed):
            bad = parsed.filter(pl.col(REASON).is_not_null())
            self._rejects.add(path, bad[RECORD].to_list(), bad[REASON].to_list())
            parsed = parsed.filter(pl.col(REASON).is_null())
        return parsed.drop(REASON)

    def _warn_about(self, path: Path, unknown: frozenset[str]) -> None:
        for name in sorted(unknown - self._unknown):
            log.warning("%s: the column %r is unknown and left out", path, name)
        self._unknown |= unknown

    def _tell(self, share: float) -> None:
        if self._options.progress:
            self._options.progress(self.table.name, self._rows_read, min(share, 1.0))

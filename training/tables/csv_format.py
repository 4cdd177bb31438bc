"""CSV: streamed and split by Arrow; where a rejected row was is found in a second, slower pass."""

from __future__ import annotations

import csv
import io
import re
from bisect import bisect_left
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv as arrow_csv

from features.errors import DataError
from training.tables.batch import BLOCK_BYTES, Broken, Located, RawBatch, pick
from training.tables.csv_records import (
    count_lines,
    longest_record,
    split_records,
    text_lines,
    unclosed_quote,
)
from training.tables.files import check_header, errors_named
from training.tables.schema import Table

_LINE_BREAK = re.compile(r"[\r\n]")


@dataclass(slots=True)
class _Ragged:
    """The rows Arrow refused, by number among the records below the header."""

    lines_skipped: int
    numbers: list[int] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    last_text: str = ""

    def __call__(self, row: Any) -> str:
        self.numbers.append(row.number - self.lines_skipped - 1)
        self.reasons.append(f"{row.actual_columns} columns instead of {row.expected_columns}")
        self.last_text = row.text
        return "skip"

    def between(self, start: int, rows: int) -> tuple[NDArray[np.int64], list[Broken]]:
        """Numbers of the `rows` good rows that follow record `start`, and the refused among them.

        Arrow tells refused rows apart from good ones: what lies between is worked out here.
        """
        low, high = bisect_left(self.numbers, start), bisect_left(self.numbers, start + rows)
        while (more := bisect_left(self.numbers, start + rows + high - low)) != high:
            high = more
        refused = self.numbers[low:high]
        everything = np.arange(start, start + rows + len(refused), dtype=np.int64)
        good = np.delete(everything, np.array(refused, np.int64) - start)
        return good, [Broken(*pair) for pair in zip(refused, self.reasons[low:high], strict=True)]

    def after(self, start: int) -> list[Broken]:
        """The refused rows from record `start` to the end of the file."""
        low = bisect_left(self.numbers, start)
        return [Broken(*p) for p in zip(self.numbers[low:], self.reasons[low:], strict=True)]


def scan(path: Path, table: Table) -> Iterator[RawBatch]:
    """Streams a CSV file, every column as text."""
    with errors_named(path):
        names, lines_skipped = _header(path, table)
        ragged = _Ragged(lines_skipped)
        raw = pa.OSFile(str(path))
        with raw, _decompressed(path, raw) as stream:
            try:
                last = yield from _batches(stream, raw, table, names, ragged)
            except pa.ArrowInvalid as error:
                raise _unsplittable(path, error) from error
        # Only a last row with a line break inside can have swallowed others.
        if _LINE_BREAK.search(last.decode(errors="replace") + ragged.last_text):
            _check_end(path)


def locate(path: Path, table: Table, records: Sequence[int]) -> Iterator[Located]:
    """Finds records by counting them again, quoted line breaks and blank lines considered."""
    with errors_named(path), text_lines(path) as lines:
        yield from pick(split_records(lines), records, first=-1)


def _header(path: Path, table: Table) -> tuple[list[str], int]:
    """Column names, and how many lines to skip to get below them."""
    with text_lines(path) as lines:
        start, text = next(split_records(lines), (0, ""))
    if not text:
        raise DataError(f"{path} is empty: expected a header line with {', '.join(table.names)}")
    try:
        names = [name.strip() for name in next(csv.reader(io.StringIO(text, newline="")))]
    except csv.Error as error:
        raise DataError(f"{path}: line {start} is no CSV header ({error})") from error
    check_header(path, table, names)
    return names, start - 1 + count_lines(text)


def _batches(
    stream: Any, raw: Any, table: Table, names: list[str], ragged: _Ragged
) -> Generator[RawBatch, None, bytes]:
    """Gives batches, and in the end what the last good row has in its last column."""
    # Column names must differ for Arrow; those that are not read may be called anything.
    unique = [n if n in table.names else f"{place}:{n}" for place, n in enumerate(names)]
    wanted = [name for name in unique if name in table.names]
    reader = arrow_csv.open_csv(
        stream,
        # With threads Arrow does not tell which row it refused.
        arrow_csv.ReadOptions(
            use_threads=False,
            block_size=BLOCK_BYTES,
            column_names=unique,
            skip_rows=ragged.lines_skipped,
        ),
        arrow_csv.ParseOptions(newlines_in_values=True, invalid_row_handler=ragged),
        # Bytes, because one row that is not UTF-8 must not cost the whole block.
        arrow_csv.ConvertOptions(
            column_types={name: pa.binary() for name in unique},
            include_columns=list(dict.fromkeys([*wanted, unique[-1]])),
        ),
    )
    unknown, record, last = table.unknown(names), 0, b""
    for batch in reader:
        records, broken = ragged.between(record, batch.num_rows)
        record += batch.num_rows + len(broken)
        if batch.num_rows:
            last = batch.column(unique[-1])[-1].as_py()
        frame, records, undecodable = _decode(batch.select(wanted), records)
        yield RawBatch(frame, records, raw.tell(), [*broken, *undecodable], unknown)
    nothing = pl.DataFrame(schema=dict.fromkeys(wanted, pl.String))
    yield RawBatch(nothing, np.zeros(0, np.int64), raw.tell(), ragged.after(record), unknown)
    return last


def _decode(
    batch: Any, records: NDArray[np.int64]
) -> tuple[pl.DataFrame, NDArray[np.int64], list[Broken]]:
    """The batch as text, without the rows that are not UTF-8."""
    try:
        text = [column.cast(pa.string()) for column in batch.columns]
    except pa.ArrowInvalid:
        good = np.ones(batch.num_rows, np.bool_)
        for column in batch.columns:
            good &= np.array([_is_utf8(value) for value in column.to_pylist()], np.bool_)
        mask = pa.array(good)
        text = [column.filter(mask).cast(pa.string()) for column in batch.columns]
        broken = [Broken(int(record), "not UTF-8 text") for record in records[~good]]
        return _frame(text, batch.schema.names), records[good], broken
    return _frame(text, batch.schema.names), records, []


def _frame(columns: list[Any], names: list[str]) -> pl.DataFrame:
    frame = pl.from_arrow(pa.table(columns, names=names))
    assert isinstance(frame, pl.DataFrame)
    return frame


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _decompressed(path: Path, raw: Any) -> Any:
    return pa.CompressedInputStream(raw, "gzip") if path.name.endswith(".gz") else raw


def _unsplittable(path: Path, error: Exception) -> DataError:
    """The error when Arrow gives up on a file: nearly always a quote that nobody closes."""
    with text_lines(path) as lines:
        line, characters = longest_record(lines)
    return DataError(
        f"{path} cannot be split into rows: is a quote not closed in the row that starts at line "
        f"{line} ({characters:,} characters)? ({error})"
    )


def _check_end(path: Path) -> None:
    """Raises DataError when the file ends inside a quote: its row would swallow all that follow."""
    with text_lines(path) as lines:
        line = unclosed_quote(lines)
    if line is not None:
        raise DataError(
            f"{path}: a quote in the row that starts at line {line} is not closed before the end "
            "of the file: close it, or write a quote inside a text twice"
        )

"""JSON lines: one object a line, values of any JSON type that suits the column."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from pathlib import Path
from typing import IO, Any

import msgspec
import numpy as np
import polars as pl

from training.tables.batch import BLOCK_BYTES, Broken, Located, RawBatch, pick
from training.tables.files import check_header, errors_named, open_bytes
from training.tables.schema import Column, ColumnType, Table

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_DECODER = msgspec.json.Decoder(dict[str, Any])
_Row = dict[str, Any]
_NONE = type(None)


def scan(path: Path, table: Table) -> Iterator[RawBatch]:
    """Streams a JSON lines file; a record's number is its line counted from 0."""
    line, keys = 0, set[str]()
    with errors_named(path), open_bytes(path) as (stream, raw):
        for lines in _blocks(stream):
            numbers, rows, broken = _decode(lines, line)
            if rows and not keys:
                keys.update(*rows)
                check_header(path, table, sorted(keys))
            line += len(lines)
            yield _batch(table, numbers, rows, broken, raw.tell())


def locate(path: Path, table: Table, records: Sequence[int]) -> Iterator[Located]:
    """Finds lines by number."""
    with errors_named(path), open_bytes(path) as (stream, _):
        text = (line.decode(errors="replace") for line in stream)
        yield from pick(enumerate(text, 1), records)


def _blocks(stream: IO[bytes]) -> Iterator[list[bytes]]:
    """All lines, in lists of about BLOCK_BYTES."""
    first = True
    while block := stream.read(BLOCK_BYTES):
        block += stream.readline()
        if first:
            block, first = block.removeprefix(_BYTE_ORDER_MARK), False
        yield block.removesuffix(b"\n").split(b"\n")


def _decode(lines: list[bytes], start: int) -> tuple[list[int], list[_Row], list[Broken]]:
    """Objects and their line numbers, and the lines that are none; blank lines are neither."""
    numbers: list[int] = []
    rows: list[_Row] = []
    broken: list[Broken] = []
    decode = _DECODER.decode
    for number, line in enumerate(lines, start):
        try:
            rows.append(decode(line))
            numbers.append(number)
        except UnicodeDecodeError:
            broken.append(Broken(number, "not UTF-8 text"))
        except msgspec.ValidationError:
            broken.append(Broken(number, "not a JSON object"))
        except msgspec.DecodeError:
            if line.strip():
                broken.append(Broken(number, "broken JSON"))
    return numbers, rows, broken


def _batch(
    table: Table, numbers: list[int], rows: list[_Row], broken: list[Broken], bytes_read: int
) -> RawBatch:
    """Rows as columns; rows with a value of a kind the column cannot have go to `broken`."""
    wrong: dict[int, str] = {}
    columns = [
        _series(column, list(map(dict.get, rows, repeat(column.name))), wrong)
        for column in table.columns
    ]
    frame = pl.DataFrame(columns)
    records = np.array(numbers, np.int64)
    if wrong:
        keep = np.ones(len(rows), np.bool_)
        keep[list(wrong)] = False
        broken = [*broken, *(Broken(numbers[row], why) for row, why in wrong.items())]
        frame, records = frame.filter(keep), records[keep]
    unknown = table.unknown(list(set[str]().union(*rows)))
    return RawBatch(frame, records, bytes_read, broken, unknown)


def _series(column: Column, values: list[Any], wrong: dict[int, str]) -> pl.Series:
    """One column as text (topics as lists); adds rows whose value has a wrong type to `wrong`."""
    if column.kind is ColumnType.TOPICS:
        return pl.Series(column.name, _topics(column, values, wrong), pl.List(pl.String))
    types = set(map(type, values))
    if types & {list, dict}:
        values = _nested(column, values, wrong)
    if types - {str, list, dict, _NONE}:
        values = [v if v is None or type(v) is str else str(v) for v in values]
    return pl.Series(column.name, values, pl.String)


def _nested(column: Column, values: list[Any], wrong: dict[int, str]) -> list[Any]:
    """Lists and objects as JSON text where the column may have them; elsewhere they are wrong."""
    for row, value in enumerate(values):
        if isinstance(value, list | dict):
            values[row] = msgspec.json.encode(value).decode()
            if column.kind is not ColumnType.PLACES:
                wrong.setdefault(row, f"bad {column.name}")
    return values


def _topics(column: Column, values: Iterable[Any], wrong: dict[int, str]) -> list[list[str] | None]:
    """Topics as lists, whether they come as a list or as `;`-separated text."""
    topics: list[list[str] | None] = []
    for row, value in enumerate(values):
        if isinstance(value, str):
            topics.append(value.split(";"))
        elif value is None or (isinstance(value, list) and all(isinstance(t, str) for t in value)):
            topics.append(value)
        else:
            wrong.setdefault(row, f"bad {column.name}")
            topics.append(None)
    return topics

"""What every file format gives: raw batches of rows, and the place of a row in its file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from training.tables.schema import Table

T = TypeVar("T")
BATCH_ROWS = 65_536
BLOCK_BYTES = 8 << 20
RAW_CHARACTERS = 500


class Broken(NamedTuple):
    """A row that could not even be split into columns."""

    record: int
    reason: str


class Located(NamedTuple):
    """Where a record is: `line` counts from 1 (for Parquet it is the row), `raw` is shortened."""

    record: int
    line: int
    raw: str


@dataclass(frozen=True, slots=True)
class RawBatch:
    """Some rows of one file, columns as text or as the file's own types.

    `records` (int64[n]) numbers the rows inside their file, broken ones included; what a number
    means is the format's own business, `Format.locate` turns it into a line.
    """

    frame: pl.DataFrame
    records: NDArray[np.int64]
    bytes_read: int
    broken: Sequence[Broken] = ()
    unknown: frozenset[str] = field(default_factory=frozenset)


class Format(NamedTuple):
    """How one file format is read: `scan` streams it, `locate` finds records in a second pass.

    `locate` takes record numbers in rising order. Both raise DataError for unreadable files.
    """

    scan: Callable[[Path, Table], Iterator[RawBatch]]
    locate: Callable[[Path, Table, Sequence[int]], Iterator[Located]]


def pick(
    records: Iterable[tuple[int, str]], wanted: Sequence[int], *, first: int = 0
) -> Iterator[Located]:
    """Those of `records` (line, raw) whose number, counted from `first`, is in `wanted`."""
    rest = iter(wanted)
    target = next(rest, None)
    for number, (line, raw) in enumerate(records, first):
        if target is None:
            return
        if number == target:
            yield Located(number, line, raw.rstrip("\r\n")[:RAW_CHARACTERS])
            target = next(rest, None)


def ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items, the next one made in a thread while this one is worked on."""
    end = object()
    with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as pool:
        future = pool.submit(next, items, end)
        while (item := future.result()) is not end:
            future = pool.submit(next, items, end)
            yield item  # type: ignore[misc]

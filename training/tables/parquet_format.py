"""Parquet: row groups streamed by Arrow, columns with whatever types the file has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pyarrow as pa
from pyarrow import parquet

from training.tables.batch import BATCH_ROWS, RAW_CHARACTERS, Located, RawBatch
from training.tables.files import check_header, errors_named
from training.tables.schema import Table


def scan(path: Path, table: Table) -> Iterator[RawBatch]:
    """Streams a Parquet file; a record's number is its row counted from 0."""
    row, bytes_total = 0, path.stat().st_size
    with errors_named(path), parquet.ParquetFile(path) as file:
        unknown = table.unknown(file.schema_arrow.names)
        for frame in _frames(path, file, table):
            records = np.arange(row, row + len(frame), dtype=np.int64)
            row += len(frame)
            share = row / max(file.metadata.num_rows, 1)
            yield RawBatch(frame, records, int(bytes_total * share), unknown=unknown)


def locate(path: Path, table: Table, records: Sequence[int]) -> Iterator[Located]:
    """Finds rows by number; the raw row is the columns that were read, as JSON."""
    start = 0
    with errors_named(path), parquet.ParquetFile(path) as file:
        for frame in _frames(path, file, table):
            here = [record for record in records if start <= record < start + len(frame)]
            rows = frame[[record - start for record in here]].to_dicts()
            for record, row in zip(here, rows, strict=True):
                raw = msgspec.json.encode(row, enc_hook=str).decode()
                yield Located(record, record + 1, raw[:RAW_CHARACTERS])
            start += len(frame)


def _frames(path: Path, file: Any, table: Table) -> Iterator[pl.DataFrame]:
    names = file.schema_arrow.names
    check_header(path, table, names)
    wanted = [name for name in table.names if name in names]
    for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=wanted):
        # Arrow trusts the text of a file, polars trusts Arrow: this is where UTF-8 is proven.
        batch.validate(full=True)
        frame = pl.from_arrow(pa.Table.from_batches([batch]))
        assert isinstance(frame, pl.DataFrame)
        yield frame

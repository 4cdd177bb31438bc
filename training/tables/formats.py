"""Which format reads which file name."""

from __future__ import annotations

from pathlib import Path

from training.tables import csv_format, jsonl_format, parquet_format
from training.tables.batch import Format
from training.tables.files import suffix_of

_CSV = Format(csv_format.scan, csv_format.locate)
_JSONL = Format(jsonl_format.scan, jsonl_format.locate)
_BY_SUFFIX = {
    ".parquet": Format(parquet_format.scan, parquet_format.locate),
    ".csv": _CSV,
    ".csv.gz": _CSV,
    ".jsonl": _JSONL,
    ".jsonl.gz": _JSONL,
}


def format_of(path: Path) -> Format:
    """The format of a file that `find_files` found."""
    return _BY_SUFFIX[suffix_of(path) or ""]

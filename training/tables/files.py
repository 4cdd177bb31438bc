"""Where the files of a table are, and how their bytes are opened."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

import pyarrow as pa

from features.errors import DataError
from training.tables.schema import Table

SUFFIXES = (".parquet", ".csv", ".csv.gz", ".jsonl", ".jsonl.gz")


def suffix_of(path: Path) -> str | None:
    """Which of SUFFIXES a file has, None when it is none of them."""
    return next((s for s in SUFFIXES if path.name.endswith(s) and path.name != s), None)


def find_files(folder: Path, table: Table) -> list[Path]:
    """The files of a table in the order they are read; empty when the set has no such table.

    Raises DataError when the table is there twice, or is a folder without any readable file.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder: give the folder that holds the tables")
    candidates = [folder / f"{table.name}{suffix}" for suffix in SUFFIXES]
    found = [path for path in (*candidates, folder / table.name) if path.exists()]
    if len(found) > 1:
        names = " and ".join(path.name for path in found)
        raise DataError(f"{folder} has the table {table.name} twice ({names}): keep one of them")
    if not found or not found[0].is_dir():
        return found
    return _files_below(found[0], table)


def _files_below(folder: Path, table: Table) -> list[Path]:
    """The files of a table that is a folder. Hidden ones and `_SUCCESS` marks are no data."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    data = [
        path
        for path in files
        if not any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)
    ]
    strange = [path.name for path in data if suffix_of(path) is None]
    if strange:
        raise DataError(
            f"{folder} holds {strange[0]}, which is none of {', '.join(SUFFIXES)}: "
            "convert it or take it out of the folder"
        )
    if not data:
        raise DataError(f"{folder} is empty: expected files of {describe(table)}")
    return data


def missing_table(folder: Path, table: Table) -> DataError:
    """The error for a required table that is not there; it says what was looked for."""
    there = ", ".join(sorted(path.name for path in folder.iterdir())[:12]) or "nothing"
    names = ", ".join(f"{table.name}{suffix}" for suffix in SUFFIXES)
    return DataError(
        f"{folder} has no table {table.name}: expected one of {names}, or a folder "
        f"{table.name}/ of such files, with {describe(table)}; found: {there}"
    )


def check_header(path: Path, table: Table, names: list[str]) -> None:
    """Raises DataError when a required column is missing or a name comes twice."""
    missing = [name for name in table.required if name not in names]
    if missing:
        raise DataError(
            f"{path} has no column {' and no '.join(missing)}: expected {describe(table)}; "
            f"found: {', '.join(names[:20]) or 'nothing'}"
        )
    twice = [name for name in table.names if names.count(name) > 1]
    if twice:
        raise DataError(f"{path} has the column {twice[0]} twice: keep one of them")


def describe(table: Table) -> str:
    """The columns of a table, for an error message."""
    required = table.required
    optional = [name for name in table.names if name not in required]
    return f"the columns {', '.join(required)} (and, if known, {', '.join(optional)})"


@contextmanager
def errors_named(path: Path) -> Iterator[None]:
    """Turns what libraries raise about a file's bytes into a DataError with its path."""
    try:
        yield
    except (OSError, EOFError, zlib.error, pa.ArrowException) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path} cannot be read: {reason}") from error


@contextmanager
def open_bytes(path: Path) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """The decompressed bytes of a file, and the file below them (whose `tell` is the progress)."""
    with path.open("rb") as raw:
        if path.name.endswith(".gz"):
            with gzip.open(raw, "rb") as stream:
                yield cast(IO[bytes], stream), raw
        else:
            yield raw, raw

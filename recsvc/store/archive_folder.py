"""The archive of a tenant's events on disk: Parquet parts, and a mark of how far they reach.

    <folder>/events/part-00000007-<token>.parquet    rows in the data-set layout
    <folder>/mark.json                               what the parts up to its number cover

A part is written before the mark moves. After a crash in between, the next archiver writes the part
of that number again, so nothing is lost or kept twice. The token is the archiver's lease: should
two ever write at once, they do not overwrite each other's part, and the older cannot move the mark.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pyarrow as pa
from pyarrow import parquet

from features.errors import DataError, RecsvcError
from recsvc.store.revision import Revision

_PART = re.compile(r"part-(\d{8})-(\d+)\.parquet")
_MARK = "mark.json"


class ArchiveFencedError(RecsvcError):
    """Another archiver took over; this one must not write any more."""


class ArchiveMark(msgspec.Struct, frozen=True):
    """How far the archive reaches: parts up to `part` hold all events up to `revision`."""

    revision: str = ""
    part: int = 0
    token: int = 0


class ArchiveFolder:
    """The archive of one tenant; made when first written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._events = folder / "events"

    def mark(self) -> ArchiveMark:
        """How far the archive reaches; nothing yet when there is none. Raises DataError."""
        try:
            data = (self.folder / _MARK).read_bytes()
        except FileNotFoundError:
            return ArchiveMark()
        try:
            mark = msgspec.json.decode(data, type=ArchiveMark)
            Revision.parse(mark.revision)
        except (msgspec.MsgspecError, DataError) as error:
            raise DataError(
                f"{self.folder / _MARK} cannot be read ({error}): put back a copy of it"
            ) from error
        return mark

    def revision(self) -> Revision:
        """The revision up to which all events are archived."""
        return Revision.parse(self.mark().revision)

    def parts(self, mark: ArchiveMark) -> list[Path]:
        """The files that a mark covers, in order."""
        return [path for number, _, path in self._files() if number <= mark.part]

    def take_over(self, token: int) -> ArchiveMark:
        """Begin to write with a lease: removes what an earlier one wrote beyond the mark.

        Raises ArchiveFencedError when a later lease was here.
        """
        mark = self._checked(token)
        for number, older, path in self._files():
            if number > mark.part and older < token:
                path.unlink(missing_ok=True)
        return mark

    def append(
        self, token: int, schema: pa.Schema, batches: Sequence[pa.RecordBatch], revision: Revision
    ) -> ArchiveMark:
        """Write a part (none when there are no rows) and move the mark; both reach the disk.

        Raises ArchiveFencedError.
        """
        part = self._checked(token).part
        if any(batch.num_rows for batch in batches):
            part += 1
            self._events.mkdir(parents=True, exist_ok=True)
            path = self._events / f"part-{part:08d}-{token}.parquet"
            draft = path.with_name(f".{path.name}")
            parquet.write_table(pa.Table.from_batches(batches, schema), draft, compression="zstd")
            _into_place(draft, path)
        mark = ArchiveMark(str(revision), part, token)
        self._checked(token)
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = self.folder / f".{_MARK}.{token}"
        draft.write_bytes(msgspec.json.encode(mark))
        _into_place(draft, self.folder / _MARK)
        return mark

    def _checked(self, token: int) -> ArchiveMark:
        mark = self.mark()
        if mark.token > token:
            raise ArchiveFencedError(f"another archiver has taken over {self.folder}")
        return mark

    def _files(self) -> list[tuple[int, int, Path]]:
        """(number, token, path) of all parts, in order."""
        if not self._events.is_dir():
            return []
        found = ((_PART.fullmatch(path.name), path) for path in self._events.iterdir())
        return sorted((int(m[1]), int(m[2]), path) for m, path in found if m)


def _into_place(draft: Path, path: Path) -> None:
    """Rename a finished file, so that it appears whole, and have both on disk."""
    _flush(draft)
    draft.replace(path)
    _flush(path.parent)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

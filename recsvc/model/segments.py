"""A table in two segments: the bundle's rows, never moved, and a tail that grows.

A bundle's columns are memory-mapped copy-on-write: workers share them, and a counter changed in
place costs one private page. A row whose *vectors* change moves to the tail, because the index over
the base was built from the old vectors; the base row is then dead. A row number is global: below
`base_count` it is a base row, above it a tail row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Generic, cast

import numpy as np
from numpy.typing import NDArray

from features.vocabulary import Vocabulary, pack_strings
from recsvc.model.arrays import Columns, LeadColumns, MemberColumns


def _arrays(columns: MemberColumns | LeadColumns) -> tuple[NDArray[Any], ...]:
    return cast("tuple[NDArray[Any], ...]", columns)


class Table(Generic[Columns]):
    """Rows of members or leads, found by id, with the records they were made from."""

    def __init__(
        self,
        base: Columns,
        ids: Vocabulary,
        record: Callable[[int], bytes],
        grow: Callable[[int], Columns],
    ) -> None:
        """`record(row)` gives a base row's JSON; `grow(n)` makes n empty rows for the tail."""
        self.base: Columns = base
        self._ids = ids
        self.base_count = len(ids)
        """How many rows the bundle brought."""
        self._record = record
        self._grow: Callable[[int], Columns] = grow
        self._storage: Columns = grow(0)
        self.tail_count = 0
        self._tail: Columns = self._view()
        self._tail_ids: list[str] = []
        self._tail_records: list[bytes] = []
        self._tail_rows: dict[str, int] = {}
        self._new_records: dict[int, bytes] = {}
        self._touched: set[int] = set()
        self.version = 0  # moves with every change of a row

    @property
    def tail(self) -> Columns:
        """The rows that came since; the same arrays until the next one comes."""
        if len(self._tail.alive) != self.tail_count:
            self._tail = self._view()
        return self._tail

    def __len__(self) -> int:
        return self.base_count + self.tail_count

    def row(self, identifier: str) -> int:
        """The global row of a living id, -1 when there is none."""
        local = self._tail_rows.get(identifier, -1)
        if local >= 0:
            return self.base_count + local if self._storage.alive[local] else -1
        row = self._ids.get(identifier)
        return row if row >= 0 and self.base.alive[row] else -1

    def last_row(self, identifier: str) -> int:
        """The global row of an id, living or deleted; -1 for one that was never here."""
        tail = self._tail_rows.get(identifier, -1)
        return self.base_count + tail if tail >= 0 else self._ids.get(identifier)

    def current(self, base_row: int) -> int:
        """Where a base row's id has its row now, living or deleted."""
        return base_row if self.base.alive[base_row] else self.last_row(self._ids.ids[base_row])

    def identifier(self, row: int) -> str:
        """The id of a global row."""
        if row < self.base_count:
            return self._ids.ids[row]
        return self._tail_ids[row - self.base_count]

    def identifiers_of(self, rows: list[int]) -> list[str]:
        """The ids of global rows."""
        ids, tail, count = self._ids.ids, self._tail_ids, self.base_count
        return [ids[row] if row < count else tail[row - count] for row in rows]

    def packed_ids(
        self, rows: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
        """The ids of global rows (int64[n]) for compiled code: the UTF-8 bytes of ids (uint8[b]),
        where each begins (int64[k + 1]), and which of them the rows have (int64[n]).
        """
        if not self.tail_count or len(rows) == 0 or rows.max() < self.base_count:
            return *self._ids.to_arrays(), rows
        return *pack_strings(self.identifiers_of(rows.tolist())), np.arange(len(rows))

    def record(self, row: int) -> bytes:
        """The JSON record of a global row."""
        if row < self.base_count:
            return self._new_records.get(row) or self._record(row)
        return self._tail_records[row - self.base_count]

    def replace_record(self, row: int, record: bytes) -> None:
        """Another record for a global row that stays where it is."""
        if row < self.base_count:
            self._new_records[row] = record
        else:
            self._tail_records[row - self.base_count] = record

    def touch(self, row: int) -> None:
        """Says that something in a row's columns was changed in place."""
        self.version += 1
        if row < self.base_count:
            self._touched.add(row)

    def take_touched(self) -> tuple[int, ...]:
        """Base rows that were changed, moved or deleted since this was last asked."""
        if not self._touched:
            return ()
        touched = tuple(self._touched)
        self._touched.clear()
        return touched

    def segments(self) -> Iterator[tuple[int, Columns]]:
        """(first global row, columns) of each segment that has rows."""
        if self.base_count:
            yield 0, self.base
        if self.tail_count:
            yield self.base_count, self.tail

    def located(
        self, rows: NDArray[np.int64]
    ) -> Iterator[tuple[NDArray[np.int64], Columns, NDArray[np.int32]]]:
        """(positions, columns, local rows) of the global rows int64[n] in each segment with any."""
        start = self.base_count
        if len(rows) == 0 or int(rows.max()) < start:
            yield np.arange(len(rows)), self.base, rows.astype(np.int32)
            return
        in_base, in_tail = np.flatnonzero(rows < start), np.flatnonzero(rows >= start)
        if len(in_base):
            yield in_base, self.base, rows[in_base].astype(np.int32)
        yield in_tail, self.tail, (rows[in_tail] - start).astype(np.int32)

    def locate(self, row: int) -> tuple[Columns, int]:
        """The segment that holds a global row, and the row within it."""
        if row < self.base_count:
            return self.base, row
        return self.tail, row - self.base_count

    def identifiers(self) -> Iterator[str]:
        """Ids of all living rows."""
        for start, columns in self.segments():
            for local in np.flatnonzero(columns.alive):
                yield self.identifier(start + int(local))

    def move_to_tail(self, identifier: str, record: bytes | None = None) -> int:
        """A living tail row for `identifier`, holding what its last row held; its global row.

        `record` replaces the stored one; an id that was never here starts empty and brings one.
        A deleted one comes back with its vectors and counters: its log is not deleted with it.
        """
        self.version += 1
        row = self.last_row(identifier)
        if row < self.base_count:
            local = self._append(identifier, self.record(row) if row >= 0 else b"")
            if row >= 0:  # what never was here starts as rows are when they are made
                for column, values in zip(_arrays(self._storage), _arrays(self.base), strict=True):
                    column[local] = values[row]
                self.base.alive[row] = 0
                self._touched.add(row)
            row = self.base_count + local
        local = row - self.base_count
        if record is not None:
            self._tail_records[local] = record
        self._storage.alive[local] = 1
        return row

    def delete(self, identifier: str) -> None:
        """Makes the id unknown; nothing happens when it already is."""
        row = self.row(identifier)
        if row >= 0:
            columns, local = self.locate(row)
            columns.alive[local] = 0
            self.touch(row)

    def _append(self, identifier: str, record: bytes) -> int:
        if self.tail_count == len(self._storage.alive):
            larger = self._grow(max(64, 2 * self.tail_count))
            for column, source in zip(_arrays(larger), _arrays(self._storage), strict=True):
                column[: self.tail_count] = source
            self._storage = larger
        local = self.tail_count
        self._tail_ids.append(identifier)
        self._tail_records.append(record)
        self._tail_rows[identifier] = local
        self.tail_count += 1
        return local

    def _view(self) -> Columns:
        columns = cast(Any, type(self._storage))
        return cast(Columns, columns(*(column[: self.tail_count] for column in self._storage)))

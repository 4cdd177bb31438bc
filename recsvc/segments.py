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

from features.vocabulary import Vocabulary
from recsvc.arrays import Columns, LeadColumns, MemberColumns


def _arrays(columns: MemberColumns | LeadColumns) -> tuple[NDArray[Any], ...]:
    return cast(tuple[NDArray[Any], ...], columns)


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
        self._record = record
        self._grow: Callable[[int], Columns] = grow
        self._storage: Columns = grow(0)
        self.tail_count = 0
        self.tail: Columns = self._view()
        self._tail_ids: list[str] = []
        self._tail_records: list[bytes] = []
        self._tail_rows: dict[str, int] = {}
        self._new_records: dict[int, bytes] = {}

    @property
    def base_count(self) -> int:
        """How many rows the bundle brought."""
        return len(self._ids)

    def __len__(self) -> int:
        return self.base_count + self.tail_count

    def row(self, identifier: str) -> int:
        """The global row of a living id, -1 when there is none."""
        tail = self._tail_rows.get(identifier, -1)
        if tail >= 0:
            return self.base_count + tail if self.tail.alive[tail] else -1
        row = self._ids.get(identifier)
        return row if row >= 0 and self.base.alive[row] else -1

    def current(self, base_row: int) -> int:
        """Where a base row lives now: itself, its row in the tail, or -1 when deleted."""
        return base_row if self.base.alive[base_row] else self.row(self._ids.ids[base_row])

    def identifier(self, row: int) -> str:
        """The id of a global row."""
        if row < self.base_count:
            return self._ids.ids[row]
        return self._tail_ids[row - self.base_count]

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

    def segments(self) -> Iterator[tuple[int, Columns]]:
        """(first global row, columns) of each segment that has rows."""
        if self.base_count:
            yield 0, self.base
        if self.tail_count:
            yield self.base_count, self.tail

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
        """A tail row for `identifier`, holding what its living row held; returns its global row.

        `record` replaces the stored one; an id without a living row starts empty and brings one.
        """
        known = self._tail_rows.get(identifier, -1)
        local = known if known >= 0 else self._append(identifier)
        if known >= 0 and self.tail.alive[known]:
            if record is not None:
                self._tail_records[known] = record
            return self.base_count + known
        base_row = self._ids.get(identifier)
        moved = base_row >= 0 and bool(self.base.alive[base_row])
        source, source_row = (self.base, base_row) if moved else (self._grow(1), 0)
        for column, values in zip(_arrays(self.tail), _arrays(source), strict=True):
            column[local] = values[source_row]
        if moved:
            self.base.alive[base_row] = 0
        self._tail_records[local] = self.record(base_row) if record is None else record
        return self.base_count + local

    def delete(self, identifier: str) -> None:
        """Makes the id unknown; nothing happens when it already is."""
        row = self.row(identifier)
        if row >= 0:
            columns, local = self.locate(row)
            columns.alive[local] = 0

    def _append(self, identifier: str) -> int:
        if self.tail_count == len(self._storage.alive):
            larger = self._grow(max(64, 2 * self.tail_count))
            for column, source in zip(_arrays(larger), _arrays(self._storage), strict=True):
                column[: self.tail_count] = source
            self._storage = larger
        local = self.tail_count
        self._tail_ids.append(identifier)
        self._tail_records.append(b"")
        self._tail_rows[identifier] = local
        self.tail_count += 1
        self.tail = self._view()
        return local

    def _view(self) -> Columns:
        columns = cast(Any, type(self._storage))
        return cast(Columns, columns(*(column[: self.tail_count] for column in self._storage)))

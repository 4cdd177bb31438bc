"""Tables that serving works out of a bundle, written beside it when it is published.

What a search reads (blocks, lists, runs …) follows from the columns alone. Worked out once and
written, it is memory-mapped: a worker starts without working it out, and all workers share it. A
bundle without tables, or with those of another version, is served just the same: they are built.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

TABLES_VERSION = 2
"""To be raised with every change of what a table holds: tables of other versions are not read."""

Arrays = dict[str, NDArray[Any]]
Table = TypeVar("Table", bound=tuple[Any, ...])


class Tables:
    """Named tuples of arrays and numbers, by name.

    A kind with `to_arrays` and `from_arrays` says itself what is written of it.
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]] | None = None) -> None:
        """`arrays`: by `table.field`."""
        self.arrays: Arrays = dict(arrays or {})
        self._remembers = False

    def remember(self) -> None:
        """What is built from now on is kept, to be written."""
        self._remembers = True

    def get(self, name: str, kind: type[Table], build: Callable[[], Table]) -> Table:
        """The table that was written under a name, or else what `build` makes."""
        table = self.find(name, kind)
        if table is None:
            table = build()
            if self._remembers:
                self.put(name, table)
        return table

    def find(self, name: str, kind: type[Table]) -> Table | None:
        """The table that was written under a name, None when there is none of this kind."""
        begin = f"{name}."
        found = {k[len(begin) :]: v for k, v in self.arrays.items() if k.startswith(begin)}
        return _table(kind, found) if found else None

    def put(self, name: str, table: tuple[Any, ...]) -> None:
        """Keeps a table under a name, to be written."""
        to_arrays = getattr(table, "to_arrays", None)
        fields = table._asdict() if to_arrays is None else to_arrays()  # type: ignore[attr-defined]
        self.arrays |= {f"{name}.{k}": np.asarray(v) for k, v in fields.items()}


def _table(kind: type[Table], arrays: Arrays) -> Table | None:
    """None when the arrays are those of another kind."""
    from_arrays: Callable[[Arrays], Table] | None = getattr(kind, "from_arrays", None)
    if from_arrays is not None:
        return from_arrays(arrays)
    fields: tuple[str, ...] = kind._fields  # type: ignore[attr-defined]
    if set(fields) != set(arrays):
        return None
    return kind(*(arrays[f] if arrays[f].ndim else arrays[f].item() for f in fields))

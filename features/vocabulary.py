"""One type for "id ↔ row", used by every array in the project."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from features.errors import DataError, UnknownIdError


class Vocabulary:
    """A frozen, ordered set of ids; an id's row is its place in that order.

    Raises DataError when an id comes twice.
    """

    __slots__ = ("_ids", "_packed", "_rows")

    def __init__(self, ids: Iterable[str]) -> None:
        self._ids: tuple[str, ...] = tuple(ids)
        self._rows = {identifier: row for row, identifier in enumerate(self._ids)}
        self._packed: tuple[NDArray[np.uint8], NDArray[np.int64]] | None = None
        if len(self._rows) != len(self._ids):
            seen: set[str] = set()
            twice = next(i for i in self._ids if i in seen or seen.add(i))  # type: ignore[func-returns-value]
            raise DataError(f"id {twice!r} comes twice: ids must be unique")

    @property
    def ids(self) -> tuple[str, ...]:
        """All ids in row order."""
        return self._ids

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __contains__(self, identifier: object) -> bool:
        return identifier in self._rows

    def row(self, identifier: str) -> int:
        """The row of one id; raises UnknownIdError."""
        try:
            return self._rows[identifier]
        except KeyError:
            raise UnknownIdError(identifier) from None

    def get(self, identifier: str) -> int:
        """The row of one id, -1 when unknown."""
        return self._rows.get(identifier, -1)

    def rows(
        self, identifiers: Sequence[str], missing: Literal["error", "minus_one"]
    ) -> NDArray[np.int32]:
        """Rows (int32[n]) of `identifiers`; an unknown id raises UnknownIdError or gives -1."""
        if missing == "error":
            return np.fromiter((self.row(i) for i in identifiers), np.int32, len(identifiers))
        return np.fromiter((self.get(i) for i in identifiers), np.int32, len(identifiers))

    def to_arrays(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """UTF-8 bytes of all ids joined (uint8[b]), and where each begins (int64[n + 1])."""
        if self._packed is None:
            self._packed = pack_strings(self._ids)
        return self._packed

    @classmethod
    def from_arrays(cls, data: NDArray[np.uint8], offsets: NDArray[np.int64]) -> Vocabulary:
        """The inverse of `to_arrays`; the arrays are kept."""
        made = cls(unpack_strings(data, offsets))
        made._packed = data, offsets
        return made


def pack_strings(strings: Iterable[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Strings as one UTF-8 byte array (uint8[b]) and offsets (int64[n + 1])."""
    return pack_bytes([s.encode() for s in strings])


def unpack_strings(data: NDArray[np.uint8], offsets: NDArray[np.int64]) -> list[str]:
    """The inverse of `pack_strings`."""
    raw, ends = data.tobytes(), offsets.tolist()
    return [raw[a:b].decode() for a, b in pairwise(ends)]


def pack_bytes(blobs: Sequence[bytes]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Byte strings as one array (uint8[b]) and offsets (int64[n + 1])."""
    offsets = np.zeros(len(blobs) + 1, np.int64)
    np.cumsum([len(b) for b in blobs], out=offsets[1:])
    return np.frombuffer(bytearray().join(blobs), np.uint8), offsets

"""A place in a tenant's change stream, which is cut into buckets: one position a bucket.

A write answers with the revision it reached, a read may ask for at least that revision, a worker
knows the revision it has applied. Callers treat the text form as opaque; it is URL-safe.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from features.errors import DataError

MAX_BUCKETS = 1024
"""No tenant may have more; keeps a revision from a caller small."""

_LIMIT = 2**64
_ITEM = re.compile(r"(0|[1-9]\d{0,3})\.(0|[1-9]\d{0,19})-(0|[1-9]\d{0,19})", re.ASCII)
_MAX_SHOWN = 80


class RevisionError(DataError):
    """A text that is no revision."""

    def __init__(self, text: str) -> None:
        shown = text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "..."
        super().__init__(
            f"malformed revision {shown!r}: pass the text of an earlier reply unchanged, or leave "
            "it empty"
        )


class Position(NamedTuple):
    """A stream entry's id: server time in milliseconds, and a number within it."""

    milliseconds: int
    sequence: int

    def __str__(self) -> str:
        return f"{self.milliseconds}-{self.sequence}"


START = Position(0, 0)
"""Before the first entry of every bucket."""


@dataclass(frozen=True, slots=True)
class Revision:
    """The last position known of each bucket, ascending by bucket; buckets at START are left out.

    Build it with `of`, `parse` or from other revisions: these keep the form canonical, so that
    equal revisions have equal texts.
    """

    positions: tuple[tuple[int, Position], ...] = ()

    @classmethod
    def of(cls, positions: Mapping[int, Position] | Iterable[tuple[int, Position]]) -> Revision:
        """The revision of these (bucket, position) pairs; a bucket may come once."""
        pairs = dict(positions)
        return cls(tuple(sorted((b, Position(*p)) for b, p in pairs.items() if p > START)))

    @classmethod
    def parse(cls, text: str) -> Revision:
        """The inverse of `str`; raises RevisionError."""
        if not text:
            return NOTHING
        items = [_ITEM.fullmatch(item) for item in text.split("_", MAX_BUCKETS)]
        pairs = [
            (int(m[1]), Position(int(m[2]), int(m[3]))) if m else (MAX_BUCKETS, START)
            for m in items
        ]
        buckets = [bucket for bucket, _ in pairs]
        if buckets[-1] >= MAX_BUCKETS or buckets != sorted(set(buckets)):
            raise RevisionError(text)
        if any(p == START or max(p) >= _LIMIT for _, p in pairs):
            raise RevisionError(text)
        return cls(tuple(pairs))

    def __str__(self) -> str:
        return "_".join(f"{b}.{p.milliseconds}-{p.sequence}" for b, p in self.positions)

    def __bool__(self) -> bool:
        return bool(self.positions)

    def position(self, bucket: int) -> Position:
        """The last position known of one bucket, START when none."""
        return dict(self.positions).get(bucket, START)

    def covers(self, other: Revision) -> bool:
        """Whether everything up to `other` is included in this revision."""
        if not other.positions or self.positions == other.positions:
            return True
        mine = dict(self.positions)
        return all(mine.get(bucket, START) >= p for bucket, p in other.positions)

    def includes(self, bucket: int, position: Position) -> bool:
        """Whether one entry of one bucket lies at or before this revision."""
        return position <= self.position(bucket)

    def merge(self, *others: Revision) -> Revision:
        """The later position of each bucket: covers this revision and all others."""
        latest = dict(self.positions)
        for other in others:
            for bucket, position in other.positions:
                if position > latest.get(bucket, START):
                    latest[bucket] = position
        return Revision.of(latest)

    def floor(self, *others: Revision) -> Revision:
        """The earlier position of each bucket: covered by this revision and by all others."""
        earliest = dict(self.positions)
        for other in others:
            theirs = dict(other.positions)
            earliest = {b: min(p, theirs.get(b, START)) for b, p in earliest.items()}
        return Revision.of(earliest)


NOTHING = Revision()
"""The revision before the first write; its text is empty."""

"""Rows that cannot be used: counted by reason, and listed in a file with their place."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import msgspec

from features.errors import DataError
from training.tables.formats import format_of
from training.tables.schema import Table

MOST_LISTED = 100_000
"""Rows listed per table; a file that is broken from end to end must not fill the disk."""


class Reject(NamedTuple):
    """One line of a rejects file."""

    table: str
    file: str
    line: int
    reason: str
    raw: str


@dataclass(slots=True)
class RejectLog:
    """Collects the rejects of one table; `close` finds their lines and writes them.

    Only record numbers are kept while reading, so a good file is never read twice.
    """

    table: Table
    folder: Path | None
    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, Reject] = field(default_factory=dict)
    _records: defaultdict[Path, dict[int, str]] = field(default_factory=lambda: defaultdict(dict))

    @property
    def path(self) -> Path | None:
        """The rejects file of this table, there only when something was rejected."""
        return self.folder / f"{self.table.name}.rejects.jsonl" if self.folder else None

    @property
    def total(self) -> int:
        """Rejected rows so far."""
        return self.counts.total()

    def add(self, file: Path, records: Sequence[int], reasons: Sequence[str]) -> None:
        """Notes rejected rows of a file by their record numbers."""
        room = max(0, MOST_LISTED - self.total)
        self.counts.update(reasons)
        pairs = zip(records[:room], reasons[:room], strict=True)
        self._records[file].update((int(record), reason) for record, reason in pairs)

    def close(self) -> Path | None:
        """Finds where the rejects were and writes the rejects file; returns its path, if any.

        A stale rejects file of an earlier run goes away.
        """
        path = self.path
        if path and not self.total:
            path.unlink(missing_ok=True)
        if not self.total:
            return None
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
        encode = msgspec.json.Encoder().encode
        with path.open("wb") if path else nullcontext() as stream:
            for reject in self._located():
                self.examples.setdefault(reject.reason, reject)
                if stream:
                    stream.write(encode(reject._asdict()) + b"\n")
        return path

    def too_many(self, rows_read: int, most_share: float) -> DataError:
        """The error that stops a job; names the worst reasons and where to look."""
        worst = "; ".join(self._described(reason) for reason, _ in self.counts.most_common(3))
        listed = "All" if self.total <= MOST_LISTED else f"The first {MOST_LISTED:,}"
        where = f"{listed} are listed in {self.path}. " if self.path else ""
        return DataError(
            f"{self.total:,} of {rows_read:,} rows of {self.table.name} cannot be used "
            f"({self.total / rows_read:.1%}, at most {most_share:.1%} are allowed): {worst}. "
            f"{where}Correct them, or allow a larger share of rejected rows"
        )

    def _described(self, reason: str) -> str:
        example = self.examples.get(reason)
        place = f" (first in {example.file} line {example.line})" if example else ""
        return f"{self.counts[reason]:,} × {reason}{place}"

    def _located(self) -> Iterator[Reject]:
        for file, reasons in self._records.items():
            for record, line, raw in format_of(file).locate(file, self.table, sorted(reasons)):
                yield Reject(self.table.name, str(file), line, reasons[record], raw)

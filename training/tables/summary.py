"""What reading a data set came to, for the table at the end of a job and its JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

SUMMARY_HEADER = (
    "table", "files", "rows", "kept", "rejected", "duplicates", "seconds", "notes"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TableSummary:
    """One table: rows_read = rows_kept + the rejected + duplicates."""

    table: str
    files: tuple[str, ...]
    rows_read: int
    rows_kept: int
    duplicates: int
    rejected: Mapping[str, int]
    """Reason → rows, the most frequent first."""
    unknown_columns: tuple[str, ...]
    rejects_file: str | None
    """Where the rejected rows are listed, None when there are none or no folder was given."""
    seconds: float

    @property
    def rows_rejected(self) -> int:
        """Rows that were put aside, all reasons together."""
        return sum(self.rejected.values())

    @property
    def reject_share(self) -> float:
        """Rejected rows / rows read, 0 for an empty table."""
        return self.rows_rejected / self.rows_read if self.rows_read else 0.0

    def row(self) -> tuple[str, ...]:
        """The cells under SUMMARY_HEADER."""
        notes = [f"{count:,} × {reason}" for reason, count in list(self.rejected.items())[:3]]
        if self.unknown_columns:
            notes.append(f"left out: {', '.join(self.unknown_columns)}")
        counts = (self.rows_read, self.rows_kept, self.rows_rejected, self.duplicates)
        cells = (f"{count:,}" for count in (len(self.files), *counts))
        return (self.table, *cells, f"{self.seconds:.2f}", "; ".join(notes))


@dataclass(frozen=True, slots=True)
class ReadSummary:
    """All tables of a data set, in the order they were read."""

    folder: str
    tables: tuple[TableSummary, ...]
    seconds: float

    def table(self, name: str) -> TableSummary | None:
        """One table's figures, None when the set does not have it."""
        return next((table for table in self.tables if table.table == name), None)

    def rows(self) -> list[tuple[str, ...]]:
        """The summary table's body; its header is SUMMARY_HEADER."""
        return [table.row() for table in self.tables]

    def to_json(self) -> dict[str, Any]:
        """The same as plain JSON values."""
        return asdict(self)

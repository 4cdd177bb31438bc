"""The events table as an EventLog, never as one object an event."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.events import COLUMN_TYPES, EventLog
from training.tables.parse import ROW_SUFFIX
from training.tables.schema import EVENTS
from training.tables.stream import TableStream

# The other columns are for the platform; training never looks at them.
TRAINING_EVENTS = EVENTS.without("attribution_token", "push_id", "model_version", "topic")

# Column of the log → column of a parsed batch, and what stands for "not given".
_SOURCES: dict[str, tuple[str, float]] = {
    "member": ("member_id" + ROW_SUFFIX, -1),
    "lead": ("lead_id" + ROW_SUFFIX, -1),
    "kind": ("kind", 0),
    "time_us": ("time", 0),
    "position": ("position", -1),
    "propensity": ("propensity", float("nan")),
    "rating": ("rating", float("nan")),
    "reason": ("reason", 0),
    "wave": ("wave", 0),
}


def read_event_log(stream: TableStream) -> tuple[EventLog, pl.Series | None, int]:
    """(log, event ids in the log's order or None when no event has one, duplicates left out).

    `stream` reads TRAINING_EVENTS and knows members and leads. Of events with one event_id the
    first in the files counts; events without an id are all different.
    """
    logs: list[dict[str, NDArray[Any]]] = [EventLog.empty().to_arrays()]
    id_parts = [pl.Series("event_id", [], pl.String)]
    for batch in stream:
        logs.append(_log_columns(batch))
        id_parts.append(batch["event_id"])
    columns = {name: np.concatenate([part[name] for part in logs]) for name in COLUMN_TYPES}
    ids = pl.concat(id_parts)
    rows = np.flatnonzero((ids.is_null() | ids.is_first_distinct()).to_numpy())
    rows = rows[np.argsort(columns["time_us"][rows], kind="stable")]
    log = EventLog(**{name: column[rows] for name, column in columns.items()})
    kept_ids = ids.gather(rows) if ids.null_count() < len(ids) else None
    return log, kept_ids, len(ids) - len(rows)


def _log_columns(batch: pl.DataFrame) -> dict[str, NDArray[Any]]:
    """One parsed batch as columns of the log, in their final types to keep memory small."""
    return {
        name: batch[source].fill_null(missing).to_numpy().astype(COLUMN_TYPES[name])
        for name, (source, missing) in _SOURCES.items()
    }

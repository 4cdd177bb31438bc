"""The participation log in memory: one array a column, rows of vocabularies instead of ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.entities import EventKind
from features.errors import DataError

COLUMN_TYPES: dict[str, type[np.generic]] = {
    "member": np.int32,
    "lead": np.int32,
    "kind": np.uint8,
    "time_us": np.int64,
    "position": np.int16,
    "propensity": np.float32,
    "rating": np.float32,
    "reason": np.uint8,
    "wave": np.int16,
}


@dataclass(frozen=True, slots=True, eq=False)
class EventLog:
    """n events in order of time; events of one instant keep the order they were logged in.

    The constructor takes columns that are in order already (`from_columns` sorts) and raises
    DataError when a dtype, a length or the order is not as stated here.
    """

    member: NDArray[np.int32]
    """Row of the member vocabulary, int32[n]."""
    lead: NDArray[np.int32]
    """Row of the lead vocabulary, -1 when the event is about no lead, int32[n]."""
    kind: NDArray[np.uint8]
    """EventKind, uint8[n]."""
    time_us: NDArray[np.int64]
    """Microseconds since the Unix epoch, UTC, int64[n], never falling."""
    position: NDArray[np.int16]
    """0-based place in the list that was shown, -1 unknown, int16[n]."""
    propensity: NDArray[np.float32]
    """Chance with which the policy of that day chose this lead, NaN unknown, float32[n]."""
    rating: NDArray[np.float32]
    """What a RATED event gave, NaN otherwise, float32[n]."""
    reason: NDArray[np.uint8]
    """DismissReason, 0 when none was given, uint8[n]."""
    wave: NDArray[np.int16]
    """Which widening of a push it was, 0 for the first, int16[n]."""

    def __post_init__(self) -> None:
        shape = self.member.shape
        for name, dtype in COLUMN_TYPES.items():
            column = getattr(self, name)
            if column.dtype != dtype or column.ndim != 1 or column.shape != shape:
                raise DataError(
                    f"event log column {name} is {column.dtype}{list(column.shape)}: "
                    f"expected {np.dtype(dtype)}{list(shape)}"
                )
        if len(self) and bool((self.time_us[1:] < self.time_us[:-1]).any()):
            raise DataError("event log is not in order of time: build it with from_columns")

    def __len__(self) -> int:
        return len(self.member)

    @classmethod
    def from_columns(cls, columns: Mapping[str, NDArray[Any]]) -> EventLog:
        """Events in any order (each column castable to its dtype), sorted stably by time."""
        order = np.argsort(columns["time_us"], kind="stable")
        return cls(**{n: np.asarray(columns[n])[order].astype(t) for n, t in COLUMN_TYPES.items()})

    @classmethod
    def empty(cls) -> EventLog:
        """A log without events."""
        return cls(**{n: np.zeros(0, t) for n, t in COLUMN_TYPES.items()})

    @classmethod
    def concat(cls, logs: Iterable[EventLog]) -> EventLog:
        """All events of `logs` over the same vocabularies; at one instant earlier logs go first."""
        parts = [cls.empty(), *logs]
        return cls.from_columns(
            {n: np.concatenate([getattr(part, n) for part in parts]) for n in COLUMN_TYPES}
        )

    @property
    def has_times(self) -> bool:
        """False when all instants are equal: such a set has no times, so nothing may decay."""
        return len(self) > 0 and bool(self.time_us[0] != self.time_us[-1])

    def select(self, mask: NDArray[np.bool_]) -> EventLog:
        """The events where `mask` (bool[n]) is true."""
        if mask.dtype != np.bool_ or mask.shape != (len(self),):
            raise DataError(f"mask is {mask.dtype}{list(mask.shape)}: expected bool[{len(self)}]")
        return EventLog(**{n: getattr(self, n)[mask] for n in COLUMN_TYPES})

    def of_kind(self, *kinds: EventKind) -> EventLog:
        """The events of any of `kinds`."""
        return self.select(np.isin(self.kind, np.array(kinds, np.uint8)))

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """The columns by name, as `from_columns` takes them (the arrays are not copied)."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def equals(self, other: EventLog) -> bool:
        """Whether both hold the same events in the same order (NaN equals NaN)."""
        mine, others = self.to_arrays(), other.to_arrays()
        return all(
            np.array_equal(mine[n], others[n], equal_nan=t is np.float32)
            for n, t in COLUMN_TYPES.items()
        )

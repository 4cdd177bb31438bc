"""What a service has acknowledged, and therefore must hold whatever happens to it.

A write that was begun but not acknowledged may have happened or not: until the record is read
again, both states are right; from then on only the one that was read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from features.entities import Event, Lead, Member

Record: TypeAlias = Member | Lead
Key: TypeAlias = tuple[type[Record], str]


class Fault(StrEnum):
    """What can be wrong with a record or event that is read again."""

    LOST = "lost"
    STALE = "back to an older state"
    RETURNED = "deleted, and back"
    DUPLICATED = "recorded twice"


@dataclass
class Ledger:
    """Records and events of one run."""

    rounds: dict[Key, int] = field(default_factory=dict)
    """The round in which a record was last written."""
    acknowledged: Counter[str] = field(default_factory=Counter)
    """Acknowledged writes by what they were: members, leads, events, changes, deletions."""
    settled: Counter[bool] = field(default_factory=Counter)
    """Writes in doubt that turned out to have happened, or not."""
    faults: list[tuple[Fault, str]] = field(default_factory=list)
    events: dict[str, Event] = field(default_factory=dict)
    event_rounds: dict[str, int] = field(default_factory=dict)
    doubtful_events: dict[str, Event] = field(default_factory=dict)
    _possible: dict[Key, tuple[Record | None, ...]] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """All acknowledged writes so far."""
        return self.acknowledged.total()

    def begin(self, round_number: int, key: Key, new: Record | None) -> None:
        """A record is about to be written, or deleted (None)."""
        self._possible[key] = (*self._possible.get(key, (None,)), new)
        self.rounds[key] = round_number

    def acknowledge(self, what: str, writes: Iterable[tuple[Key, Record | None]]) -> None:
        """Writes that were begun have been answered."""
        for key, new in writes:
            self._possible[key] = (new,)
            self.acknowledged[what] += 1

    def begin_events(self, round_number: int, events: Iterable[Event]) -> None:
        """Events are about to be recorded."""
        for event in events:
            self.doubtful_events[event.event_id] = event
            self.event_rounds[event.event_id] = round_number

    def acknowledge_events(self, events: Sequence[Event]) -> None:
        """Events were recorded."""
        for event in events:
            self.events[event.event_id] = self.doubtful_events.pop(event.event_id)
        self.acknowledged["events"] += len(events)

    def settle_events(self, events: Sequence[Event], repeated_count: int) -> None:
        """Events in doubt were sent again: now all are recorded, some were before."""
        for event in events:
            self.events[event.event_id] = self.doubtful_events.pop(event.event_id)
        self.settled[True] += repeated_count
        self.settled[False] += len(events) - repeated_count

    def observe(self, key: Key, found: Record | None) -> None:
        """Compares a record that was read with what it must be, and settles what was in doubt."""
        possible = self._possible[key]
        if found in possible:
            if len(possible) > 1:
                self.settled[found == possible[-1]] += 1
            self._possible[key] = (found,)
            return
        self._possible[key] = (found,)  # one fault is told once
        if found is None:
            fault = Fault.LOST
        elif possible == (None,):
            fault = Fault.RETURNED
        else:
            fault = Fault.STALE
        self.faults.append((fault, f"{key[0].__name__} {key[1]} of round {self.rounds[key]}"))

    def present(self, kind: type[Record]) -> list[Record]:
        """Records of a kind that are known to be there."""
        return [
            states[0]
            for (of, _), states in self._possible.items()
            if of is kind and len(states) == 1 and states[0] is not None
        ]

    def keys(self, round_number: int | None = None) -> list[Key]:
        """The records that were ever written, or last in that round."""
        return [k for k, n in self.rounds.items() if round_number in (None, n)]

    def events_of(self, round_number: int | None = None) -> list[Event]:
        """Acknowledged events, of all rounds or one."""
        return [e for i, e in self.events.items() if round_number in (None, self.event_rounds[i])]

    def count(self, *faults: Fault) -> int:
        """How many of these were found."""
        return sum(fault in faults for fault, _ in self.faults)


def key_of(record: Record) -> Key:
    """What a record is found by."""
    return type(record), record.member_id if isinstance(record, Member) else record.lead_id

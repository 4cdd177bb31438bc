"""One table as lists of entities, for whoever passes them on, such as an import."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Generic

from features.entities import Conflict, Event, Lead, Member, Organization
from training.tables.records import E, entities
from training.tables.schema import CONFLICTS, EVENTS, LEADS, MEMBERS, ORGANIZATIONS, Table
from training.tables.stream import READ_OPTIONS, ReadOptions, TableStream
from training.tables.summary import TableSummary


class EntityStream(Generic[E]):
    """Iterates once over lists of entities, tens of thousands at a time, in the files' order.

    Each row is checked by itself: ids of other tables are not looked up and nothing is
    deduplicated, since whoever receives the entities does both. A table the set does not have
    gives nothing. Too many rejects raise DataError, but only after the last list: what came before
    may have been passed on.
    """

    def __init__(self, folder: Path, table: Table, entity: type[E], options: ReadOptions) -> None:
        self._stream = TableStream(folder, table, options)
        self._table = table
        self._entity: type[E] = entity
        self.summary: TableSummary | None = None
        """What was read; None until the iteration is over."""

    @property
    def found(self) -> bool:
        """Whether the set has this table."""
        return bool(self._stream.files)

    def __iter__(self) -> Iterator[list[E]]:
        for batch in self._stream:
            if len(batch):
                yield entities(batch, self._table, self._entity)
        self.summary = self._stream.finish()


def iter_members(folder: Path, options: ReadOptions = READ_OPTIONS) -> EntityStream[Member]:
    """Members of a data set in chunks."""
    return EntityStream(folder, MEMBERS, Member, options)


def iter_leads(folder: Path, options: ReadOptions = READ_OPTIONS) -> EntityStream[Lead]:
    """Leads of a data set in chunks."""
    return EntityStream(folder, LEADS, Lead, options)


def iter_organizations(
    folder: Path, options: ReadOptions = READ_OPTIONS
) -> EntityStream[Organization]:
    """Organizations of a data set in chunks; children may come before their parents."""
    return EntityStream(folder, ORGANIZATIONS, Organization, options)


def iter_conflicts(folder: Path, options: ReadOptions = READ_OPTIONS) -> EntityStream[Conflict]:
    """Conflicts of a data set in chunks."""
    return EntityStream(folder, CONFLICTS, Conflict, options)


def iter_events(folder: Path, options: ReadOptions = READ_OPTIONS) -> EntityStream[Event]:
    """Events of a data set in chunks, with all columns, in the order of the files."""
    return EntityStream(folder, EVENTS, Event, options)

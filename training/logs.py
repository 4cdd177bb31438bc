"""Reads a data set: members, leads, organizations, conflicts, events.

`read_dataset` gives all of it for training; `iter_members` and its siblings stream one table for
an import; `write_dataset` writes the same layout.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import polars as pl

from features.entities import Conflict, Lead, Member, Organization
from features.events import EventLog
from features.vocabulary import Vocabulary
from training.tables.entity_stream import (
    EntityStream,
    iter_conflicts,
    iter_events,
    iter_leads,
    iter_members,
    iter_organizations,
)
from training.tables.event_log import TRAINING_EVENTS, read_event_log
from training.tables.records import E, entities
from training.tables.schema import CONFLICTS, EVENTS, LEADS, MEMBERS, ORGANIZATIONS, Table
from training.tables.stream import Progress, ReadOptions, TableStream
from training.tables.summary import SUMMARY_HEADER, ReadSummary, TableSummary
from training.tables.writer import write_dataset

__all__ = [
    "SUMMARY_HEADER",
    "DataSet",
    "EntityStream",
    "Progress",
    "ReadOptions",
    "ReadSummary",
    "TableSummary",
    "iter_conflicts",
    "iter_events",
    "iter_leads",
    "iter_members",
    "iter_organizations",
    "read_dataset",
    "write_dataset",
]


@dataclass(frozen=True, slots=True)
class DataSet:
    """A data set in memory; row i of `member_ids` is `members[i]`, and so for leads."""

    members: list[Member]
    leads: list[Lead]
    organizations: list[Organization]
    conflicts: list[Conflict]
    member_ids: Vocabulary
    lead_ids: Vocabulary
    events: EventLog
    event_ids: pl.Series | None
    """Event ids (text[n], null where not given) in the order of `events`; None without any."""
    summary: ReadSummary


def read_dataset(
    folder: Path,
    *,
    max_reject_share: float = 0.01,
    rejects_folder: Path | None = None,
    progress: Progress | None = None,
    require: Collection[str] = ("members", "leads", "events"),
) -> DataSet:
    """Reads all tables of a data set.

    Rows that cannot be used are counted in the summary and, given a `rejects_folder`, listed in
    `<table>.rejects.jsonl` there (table, file, line, reason, raw). Of members, leads and
    organizations with the same id the last counts, of events with the same event_id the first.
    Raises DataError when a table in `require` is missing or without a usable row, a file cannot
    be read, or more than `max_reject_share` of a table's rows is rejected.
    """
    options = ReadOptions(max_reject_share, rejects_folder, progress)
    return _Reader(folder, options, require).read()


class _Reader:
    """Reads table after table; what the later ones refer to is in `known`."""

    def __init__(self, folder: Path, options: ReadOptions, require: Collection[str]) -> None:
        self._folder = folder
        self._options = options
        self._require = require
        self._known: dict[str, pl.Enum] = {}
        self._summaries: list[TableSummary] = []

    def read(self) -> DataSet:
        started = perf_counter()
        for table in (MEMBERS, LEADS, EVENTS, ORGANIZATIONS, CONFLICTS):
            self._open(table)  # a missing table is told before minutes of reading
        organizations = self._organizations()
        members = self._unique(MEMBERS, Member, lambda member: member.member_id)
        leads = self._unique(LEADS, Lead, lambda lead: lead.lead_id)
        member_ids = Vocabulary(member.member_id for member in members)
        lead_ids = Vocabulary(lead.lead_id for lead in leads)
        self._known |= {"members": pl.Enum(member_ids.ids), "leads": pl.Enum(lead_ids.ids)}
        conflicts = self._unique(CONFLICTS, Conflict, lambda conflict: conflict)
        events, event_ids = self._events()
        summary = ReadSummary(str(self._folder), tuple(self._summaries), perf_counter() - started)
        return DataSet(
            members,
            leads,
            organizations,
            conflicts,
            member_ids,
            lead_ids,
            events,
            event_ids,
            summary,
        )

    def _open(self, table: Table) -> TableStream:
        required = table.name in self._require
        return TableStream(self._folder, table, self._options, known=self._known, required=required)

    def _close(self, stream: TableStream, duplicates: int) -> None:
        if stream.files:
            self._summaries.append(stream.finish(duplicates))

    def _unique(self, table: Table, entity: type[E], key: Callable[[E], Hashable]) -> list[E]:
        """The entities of a table; of equal keys the last one, at the place of the first."""
        stream, rows = self._open(table), 0
        found: dict[Hashable, E] = {}
        for batch in stream:
            rows += len(batch)
            found.update((key(one), one) for one in entities(batch, table, entity))
        self._close(stream, rows - len(found))
        return list(found.values())

    def _organizations(self) -> list[Organization]:
        """The organizations whose parent, if they name one, is an organization too."""
        stream = self._open(ORGANIZATIONS)
        batches = list(stream)
        if not batches:
            self._close(stream, 0)
            return []
        rows = pl.concat(batches)
        kept = rows.unique("organization_id", keep="last", maintain_order=True)
        duplicates = len(rows) - len(kept)
        parent = pl.col("parent_id")
        while True:
            orphan = parent.is_not_null() & ~parent.is_in(kept["organization_id"].implode())
            orphans = kept.filter(orphan)
            if orphans.is_empty():
                break
            # Whoever was below a rejected organization is an orphan in the next round.
            stream.reject(orphans, "unknown parent_id")
            kept = kept.filter(~orphan)
        self._close(stream, duplicates)
        if len(kept):
            self._known["organizations"] = pl.Enum(kept["organization_id"])
        return entities(kept, ORGANIZATIONS, Organization)

    def _events(self) -> tuple[EventLog, pl.Series | None]:
        stream = self._open(TRAINING_EVENTS)
        log, event_ids, duplicates = read_event_log(stream)
        self._close(stream, duplicates)
        return log, event_ids

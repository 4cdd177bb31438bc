"""The bulk calls: imports of the catalog, and events. Rows go out in parts, each one call.

A part is what is sent again when its call fails, and what is acknowledged at once; it is bounded in
rows and bytes so that neither memory nor time lost grow with the import.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Generic, TypeVar
from uuid import uuid4

from google.protobuf.message import Message

from features.entities import Conflict, Event, Lead, Member, Organization
from recsvc.client.calls import Bulk, Caller
from recsvc.client.kinds import CONFLICT, LEAD, MEMBER, ORGANIZATION, E, Kind
from recsvc.client.replies import row_error
from recsvc.client.types import EventReport, ImportReport, RowError
from recsvc.convert.values import timestamp
from recsvc.v1 import errors_pb2
from recsvc.v1 import participation_pb2 as pb

MAX_MESSAGE_ROWS = 1_000
MAX_MESSAGE_BYTES = 2 << 20
MAX_PART_MESSAGES = 8
MAX_ERRORS = 1_000
MAX_EVENTS = 1_000

Row = TypeVar("Row")
ImportProgress = Callable[[ImportReport], None] | None
EventProgress = Callable[[EventReport], None] | None


class _RowParts(Generic[E]):
    """Rows -> messages of up to 1,000 rows and 2 MB -> parts of up to eight messages."""

    def __init__(self, kind: Kind[E], caller: Caller) -> None:
        self._kind: Kind[E] = kind
        self._caller = caller
        self._messages: list[Message] = []
        self._rows: list[Message] = []
        self._bytes = 0

    def add(self, row: E) -> tuple[Message, ...] | None:
        """Takes a row; the part that was full before it, if one was."""
        message: Message = self._kind.to_proto(row, self._caller.tenant)
        size = message.ByteSize()
        full = len(self._rows) == MAX_MESSAGE_ROWS or self._bytes + size > MAX_MESSAGE_BYTES
        part = None
        if full and self._rows:
            self._close_message()
            if len(self._messages) == MAX_PART_MESSAGES:
                part = self._take()
        self._rows.append(message)
        self._bytes += size
        return part

    def rest(self) -> tuple[Message, ...] | None:
        """What is left at the end."""
        if self._rows:
            self._close_message()
        return self._take() if self._messages else None

    def _close_message(self) -> None:
        fields = {"parent": self._caller.parent, self._kind.collection: self._rows}
        self._messages.append(self._kind.request("Import", **fields))
        self._rows, self._bytes = [], 0

    def _take(self) -> tuple[Message, ...]:
        part, self._messages = tuple(self._messages), []
        return part


class _EventParts:
    """Events -> messages of up to 1,000."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._events: list[pb.ParticipationEvent] = []

    def add(self, row: Event) -> Message | None:
        """Takes an event; the part that is full now, if one is."""
        self._events.append(_event_message(row, self._caller))
        return self.rest() if len(self._events) == MAX_EVENTS else None

    def rest(self) -> Message | None:
        """What is left at the end."""
        if not self._events:
            return None
        events, self._events = self._events, []
        return pb.RecordEventsRequest(parent=self._caller.parent, events=events)


def import_members(
    caller: Caller, *, progress: ImportProgress = None
) -> Bulk[Member, ImportReport]:
    """Writes any number of members, each replacing the one of its id as a whole.

    Rows that cannot be used are in the report, the others are written. `progress` is called with
    the report so far: what it counts is acknowledged.
    """
    return _bulk(caller, MEMBER, progress)


def import_leads(caller: Caller, *, progress: ImportProgress = None) -> Bulk[Lead, ImportReport]:
    """Writes any number of leads; see `import_members`."""
    return _bulk(caller, LEAD, progress)


def import_organizations(
    caller: Caller, *, progress: ImportProgress = None
) -> Bulk[Organization, ImportReport]:
    """Writes any number of organizations, in any order; see `import_members`."""
    return _bulk(caller, ORGANIZATION, progress)


def import_conflicts(
    caller: Caller, *, progress: ImportProgress = None
) -> Bulk[Conflict, ImportReport]:
    """Writes any number of conflicts, each with one target; see `import_members`."""
    return _bulk(caller, CONFLICT, progress)


def record(caller: Caller, *, progress: EventProgress = None) -> Bulk[Event, EventReport]:
    """Records any number of events of the last seven days.

    An event without id gets one of its own; sending an id again with the same content has no
    effect. Events that cannot be used are in the report, the others are recorded.
    """
    return Bulk(
        "RecordEvents",
        _EventParts(caller),
        _add_events,
        EventReport(),
        progress,
        caller.timeouts.write_seconds,
    )


def _bulk(caller: Caller, kind: Kind[E], progress: ImportProgress) -> Bulk[E, ImportReport]:
    return Bulk(
        f"Import{kind.title}s",
        _RowParts(kind, caller),
        _add_rows,
        ImportReport(),
        progress,
        caller.timeouts.bulk_seconds,
    )


def _add_rows(report: ImportReport, reply: Any) -> ImportReport:
    return ImportReport(
        row_count=report.row_count + reply.summary.row_count,
        imported_count=report.imported_count + reply.summary.imported_count,
        rejected_count=report.rejected_count + reply.summary.rejected_count,
        errors=_more_errors(report.errors, reply.errors, report.row_count),
        revision=reply.revision or report.revision,
    )


def _add_events(report: EventReport, reply: pb.RecordEventsResponse) -> EventReport:
    offset = report.recorded_count + report.repeated_count + report.rejected_count
    return replace(
        report,
        recorded_count=report.recorded_count + reply.recorded_count,
        repeated_count=report.repeated_count + reply.repeated_count,
        rejected_count=report.rejected_count + len(reply.errors),
        errors=_more_errors(report.errors, reply.errors, offset),
        revision=reply.revision or report.revision,
    )


def _more_errors(known: tuple[RowError, ...], messages: Any, offset: int) -> tuple[RowError, ...]:
    new: list[errors_pb2.RowError] = list(messages)[: MAX_ERRORS - len(known)]
    return known + tuple(row_error(message, offset) for message in new)


def _event_message(event: Event, caller: Caller) -> pb.ParticipationEvent:
    return pb.ParticipationEvent(
        event_id=event.event_id or uuid4().hex,
        kind=pb.EventKind.ValueType(int(event.kind)),
        event_time=timestamp(event.time_us),
        member=caller.name("members", event.member_id),
        lead=caller.name("leads", event.lead_id),
        position=event.position if event.position >= 0 else None,
        attribution_token=event.attribution_token,
        push_id=event.push_id,
        wave=event.wave,
        propensity=event.propensity,
        model_version=event.model_version,
        rating=event.rating,
        dismiss_reason=pb.DismissReason.ValueType(int(event.reason)),
        topic=event.topic,
    )

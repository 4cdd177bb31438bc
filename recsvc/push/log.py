"""What was pushed before and what came of it, as arrays over the snapshot's rows."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.entities import EXPOSURES, DismissReason, EventKind
from recsvc.model.arrays import I64, U8, LeadColumns, MemberColumns
from recsvc.model.segments import Table
from recsvc.model.snapshot import Snapshot
from recsvc.push.types import PushHistory

I16 = NDArray[np.int16]
HOUR_US = 3_600_000_000
_ROUND_US = 12 * HOUR_US
"""Logged pushes without a wave that lie closer than this belong to one wave."""


class Happened(NamedTuple):
    """Events in rows of the snapshot (global, living or not), in no order."""

    member: I64
    lead: I64
    kind: U8
    reason: U8
    time_us: I64
    wave: I16  # -1 unknown


class PushLog(NamedTuple):
    """Past pushes, one a pair (the last), and the answers to them."""

    member: I64
    lead: I64
    time_us: I64
    wave: I16  # -1 unknown
    answered: NDArray[np.bool_]
    busy_us: dict[int, int]  # member row -> when they last dismissed as BUSY
    less_us: dict[int, int]  # member row -> when they last asked for less


def pair_keys(member: I64, lead: I64) -> I64:
    """One integer a pair of rows."""
    return np.asarray(member, np.int64) << 32 | np.asarray(lead, np.int64)


def read_push_log(
    snapshot: Snapshot,
    history: PushHistory,
    members: I64 | None = None,
    leads: I64 | None = None,
) -> PushLog:
    """All pushes known from the bundle's log, from events since, and from `history`.

    With `members` and `leads` (global rows): only what concerns any of these, which costs little.
    """
    if members is None or leads is None:
        events = _join(_base_events(snapshot), _later_events(snapshot), _given(snapshot, history))
    else:
        at = _base_places(snapshot, members, leads)
        later = _later_events(snapshot, {snapshot.members.identifier(m) for m in members.tolist()})
        if any(_was_shown(snapshot, lead) for lead in leads.tolist()):
            later = _later_events(snapshot)
        events = _join(_base_events(snapshot, at), later, _given(snapshot, history))
    events = _select(events, events.time_us.argsort(kind="stable"))
    # A pair counts once, at its last time: it may be in the outbox and, delivered, in the log.
    pushed = np.flatnonzero(events.kind == EventKind.PUSHED)[::-1]
    keys = pair_keys(events.member, events.lead)
    pushed = pushed[np.unique(keys[pushed], return_index=True)[1]]
    answers = ~np.isin(events.kind, [int(kind) for kind in EXPOSURES])
    busy = (events.kind == EventKind.DISMISSED) & (events.reason == DismissReason.BUSY)
    return PushLog(
        events.member[pushed],
        events.lead[pushed],
        events.time_us[pushed],
        events.wave[pushed],
        np.isin(keys[pushed], keys[answers]),
        _latest(events, busy),
        _asked_less(snapshot),
    )


def _asked_less(snapshot: Snapshot) -> dict[int, int]:
    """Member row -> when they last asked for less of everything (SEE_LESS without a lead)."""
    base_us = snapshot.history.base.asked_less_us
    asked = np.flatnonzero(base_us)
    rows = _current_rows(snapshot.members, asked)
    less = dict(zip(rows.tolist(), base_us[asked].tolist(), strict=True))
    for member_id, time_us in snapshot.history.asked_less_us.items():
        row = snapshot.members.row(member_id)
        less[row] = max(less.get(row, 0), time_us)
    return less


def waves_done(log: PushLog, lead_count: int) -> tuple[I16, I64]:
    """The last wave of each lead (int16[leads], -1 none) and when it went out (int64[leads], 0)."""
    wave = log.wave.copy()
    order = np.lexsort((log.time_us, log.lead))
    lead, time_us = log.lead[order], log.time_us[order]
    fresh = np.ones(len(order), bool)
    fresh[1:] = (lead[1:] != lead[:-1]) | (np.diff(time_us) > _ROUND_US)
    number = np.cumsum(fresh)
    first = number[np.searchsorted(lead, lead)] if len(lead) else number
    guessed = np.empty(len(order), np.int16)
    guessed[order] = number - first
    wave = np.where(wave >= 0, wave, guessed)
    last, when = np.full(lead_count, -1, np.int16), np.zeros(lead_count, np.int64)
    np.maximum.at(last, log.lead, wave)
    np.maximum.at(when, log.lead, log.time_us)
    return last, when


def _base_events(snapshot: Snapshot, at: I64 | None = None) -> Happened:
    """The bundle's log, or the events at some of its places."""
    base = snapshot.history.base
    places: I64 | slice = slice(None) if at is None else at
    if at is None:
        member = np.repeat(np.arange(len(base.member_start) - 1), np.diff(base.member_start))
    else:
        member = np.searchsorted(base.member_start, at, side="right") - 1
    lead = np.asarray(base.lead[places], np.int64)
    return Happened(
        _current_rows(snapshot.members, member.astype(np.int64)),
        _current_rows(snapshot.leads, lead),
        np.asarray(base.kind[places]),
        np.asarray(base.reason[places]),
        np.asarray(base.time_us[places]),
        np.full(len(member), -1, np.int16),
    )


def _base_places(snapshot: Snapshot, members: I64, leads: I64) -> I64:
    """Where in the bundle's log there is something of these members or leads (global rows)."""
    base, found = snapshot.history.base, [np.empty(0, np.int64)]
    for row in members.tolist():
        part = snapshot.history.base_slice(
            snapshot.bundle.member_ids.get(snapshot.members.identifier(row))
        )
        found.append(np.arange(part.start, part.stop))
    for row in leads.tolist():
        base_row = snapshot.bundle.lead_ids.get(snapshot.leads.identifier(row))
        if base_row >= 0:
            found.append(np.flatnonzero(base.lead == base_row))
    return np.unique(np.concatenate(found))


def _was_shown(snapshot: Snapshot, lead: int) -> bool:
    columns, local = snapshot.leads.locate(lead)
    return bool(columns.exposures[local] > 0)


def _current_rows(table: Table[MemberColumns] | Table[LeadColumns], rows: I64) -> I64:
    """Where base rows live now; those that moved to the tail are looked up by id."""
    place = np.arange(table.base_count, dtype=np.int64)
    for row in np.flatnonzero(table.base.alive == 0).tolist():
        place[row] = table.current(row)
    return np.asarray(place[rows])


def _later_events(snapshot: Snapshot, member_ids: Collection[str] | None = None) -> Happened:
    """Events since the bundle's, all or those of some members."""
    by_member = snapshot.history.by_member
    wanted = by_member if member_ids is None else [i for i in member_ids if i in by_member]
    rows = [
        (
            member,
            snapshot.leads.last_row(e.lead_id),
            e.kind,
            e.reason,
            e.time_us,
            _wave(e.push_id, e.wave),
        )
        for member_id in wanted
        if (member := snapshot.members.last_row(member_id)) >= 0
        for e in by_member[member_id]
    ]
    return _happened([row for row in rows if row[1] >= 0])


def _wave(push_id: str, wave: int) -> int:
    """An event that names no push says nothing about its wave."""
    return wave if push_id else -1


def _given(snapshot: Snapshot, history: PushHistory) -> Happened:
    pushed = int(EventKind.PUSHED)
    rows = [
        (
            snapshot.members.last_row(p.member_id),
            snapshot.leads.last_row(p.lead_id),
            pushed,
            0,
            p.time_us,
            p.wave,
        )
        for p in history.pushes
    ]
    return _happened([row for row in rows if row[0] >= 0 and row[1] >= 0])


def _happened(rows: list[tuple[int, int, int, int, int, int]]) -> Happened:
    table = np.array(rows, np.int64).reshape(-1, 6)
    kinds = (np.int64, np.int64, np.uint8, np.uint8, np.int64, np.int16)
    return Happened._make(table[:, i].astype(kind) for i, kind in enumerate(kinds))


def _select(events: Happened, order: I64) -> Happened:
    return Happened._make(column[order] for column in events)


def _join(*parts: Happened) -> Happened:
    return Happened._make(np.concatenate(columns) for columns in zip(*parts, strict=True))


def _latest(events: Happened, which: NDArray[np.bool_]) -> dict[int, int]:
    """Member row -> time of the last of the events (which are in order of time)."""
    return dict(zip(events.member[which].tolist(), events.time_us[which].tolist(), strict=True))

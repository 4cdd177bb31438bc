"""How many pushes each member may still get, and why not more."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from recsvc.model.arrays import I32, I64, U8, MemberColumns
from recsvc.model.segments import Table
from recsvc.model.snapshot import Snapshot
from recsvc.push.config import Caps, Holdout, PushConfig
from recsvc.push.log import HOUR_US, PushLog
from recsvc.push.types import PushHistory

DAY_US = 24 * HOUR_US
WEEK_US = 7 * DAY_US
_TO_TELL_US = 2 * DAY_US
"""A push younger than this may still be answered."""
_OWN_LIMIT = b'"weekly_push_limit"'


class Limit(IntEnum):
    """What binds a member's cap first."""

    NONE = 0
    DAY = 1
    WEEK = 2
    OWN_LIMIT = 3
    GAP = 4
    BUSY = 5
    SEE_LESS = 6
    IGNORED = 7
    PAUSED = 8
    HOLDOUT = 9


class Allowance(NamedTuple):
    """Arrays over the global rows of the member table."""

    free: I32  # what a plan may give them now
    load: I32  # pushes of the last seven days
    limit: U8  # what makes `free` zero: a Limit, NONE where it is not


def allowances(
    snapshot: Snapshot,
    config: PushConfig,
    now_us: int,
    log: PushLog,
    history: PushHistory,
    members: I64 | None = None,
) -> Allowance:
    """What every member may get at `now_us`, from pushes of the past and what they said.

    `members` (global rows): right for these only.
    """
    count = len(snapshot.members)
    rows = range(count) if members is None else members.tolist()
    caps = config.caps
    day, week = (_since(log, now_us - span, count) for span in (DAY_US, WEEK_US))
    weekly, why = _weekly(snapshot, caps, now_us, log, rows)
    free = np.minimum(caps.plan, np.minimum(caps.day - day, weekly - week))
    limit = np.where(week >= weekly, why, np.where(day >= caps.day, Limit.DAY, Limit.NONE))
    limit = limit.astype(np.uint8)
    last = np.zeros(count, np.int64)
    np.maximum.at(last, log.member, log.time_us)
    _stop(free, limit, last > now_us - int(caps.gap_hours * HOUR_US), Limit.GAP)
    quiet_us = now_us - int(caps.busy_days * DAY_US)
    busy = [row for row, time_us in log.busy_us.items() if time_us > quiet_us]
    _stop(free, limit, np.array(busy, np.int64), Limit.BUSY)
    _stop(free, limit, _paused(snapshot, history, now_us), Limit.PAUSED)
    _stop(free, limit, held_out(snapshot.members, config.holdout, rows), Limit.HOLDOUT)
    return Allowance(np.maximum(free, 0).astype(np.int32), week.astype(np.int32), limit)


def chance_of(salt: str, identifier: str) -> float:
    """A number in [0, 1) that belongs to an id: the same in every process and plan."""
    digest = hashlib.blake2b(f"{salt}\0{identifier}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2.0**64


def held_out(
    members: Table[MemberColumns], holdout: Holdout, among: Iterable[int] | None = None
) -> I64:
    """Rows of the members who get nothing, to measure what pushing does."""
    if holdout.members <= 0:
        return np.empty(0, np.int64)
    salt = f"{holdout.salt}/members"
    rows = [
        row
        for row in (range(len(members)) if among is None else among)
        if chance_of(salt, members.identifier(row)) < holdout.members
    ]
    return np.array(rows, np.int64)


def _stop(free: I64, limit: U8, which: I64 | NDArray[np.bool_], why: Limit) -> None:
    free[which] = 0
    limit[which] = why


def _since(log: PushLog, begin_us: int, count: int) -> I64:
    """Pushes after an instant (int64[members])."""
    return np.bincount(log.member[log.time_us > begin_us], minlength=count)


def _weekly(
    snapshot: Snapshot, caps: Caps, now_us: int, log: PushLog, rows: Iterable[int]
) -> tuple[I64, I64]:
    """Each member's cap of the week (int64[members]) and the Limit it comes from."""
    count = len(snapshot.members)
    weekly, why = np.full(count, caps.week, np.int64), np.full(count, Limit.WEEK, np.int64)
    old = log.time_us <= now_us - _TO_TELL_US
    recent = log.time_us > now_us - int(caps.memory_days * DAY_US)
    ignored = np.bincount(log.member[old & recent & ~log.answered], minlength=count)
    halvings = np.minimum(ignored // max(caps.ignored_after, 1), 8)
    fewer = np.maximum(caps.week >> halvings, min(1, caps.week))
    why[fewer < weekly], weekly = Limit.IGNORED, np.minimum(weekly, fewer)
    for row, time_us in log.less_us.items():
        if row >= 0 and time_us > now_us - int(caps.see_less_days * DAY_US) and weekly[row] > 1:
            weekly[row], why[row] = 1, Limit.SEE_LESS
    for row, own in own_limits(snapshot.members, rows).items():
        if own < weekly[row]:
            weekly[row], why[row] = own, Limit.OWN_LIMIT
    return weekly, why


class _Data(msgspec.Struct):
    weekly_push_limit: int | None = None


class _Record(msgspec.Struct):
    d: _Data | None = None


def own_limits(members: Table[MemberColumns], among: Iterable[int] | None = None) -> dict[int, int]:
    """Row -> the member's own weekly limit, of those who have one."""
    decoder = msgspec.json.Decoder(_Record)
    found = {}
    for row in range(len(members)) if among is None else among:
        record = members.record(row)
        if _OWN_LIMIT in record:  # few have one: the others need no parsing
            data = decoder.decode(record).d
            if data is not None and data.weekly_push_limit is not None:
                found[row] = data.weekly_push_limit
    return found


def _paused(snapshot: Snapshot, history: PushHistory, now_us: int) -> I64:
    rows = [
        snapshot.members.row(member_id)
        for member_id, until_us in history.paused_members.items()
        if until_us > now_us
    ]
    paused = [np.array([row for row in rows if row >= 0], np.int64)]
    found = [snapshot.organizations.find(name) for name in history.paused_organizations]
    organizations = [row for row in found if row >= 0]
    for start, columns in snapshot.members.segments():
        paused.append(np.flatnonzero(np.isin(columns.organization, organizations)) + start)
    return np.concatenate(paused)

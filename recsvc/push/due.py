"""Which leads are to be pushed now, in which wave, to how many, and what each is worth."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsvc.matching.filters import Eligibility, lead_verdicts
from recsvc.model.arrays import F64, I32, I64
from recsvc.model.snapshot import Snapshot
from recsvc.model.verdicts import Verdict
from recsvc.push.caps import DAY_US, chance_of
from recsvc.push.config import PushConfig, Waves
from recsvc.push.log import HOUR_US, PushLog, waves_done
from recsvc.push.types import Escalation, PushHistory, Unserved

_NOBODYS_KEY = -1
"""No member has it: what stands against a lead whoever the member is."""


class Due(NamedTuple):
    """The leads of a plan (global rows), and why the other open ones are left out."""

    row: I64  # [L]
    wave: I32  # [L]
    least: I32  # [L]
    most: I32  # [L]
    worth: F64  # [L]
    county: I32  # [L] dense numbers, -1 unknown
    wanted: dict[int, Eligibility]  # escalated leads go to one organization's members
    by_chance: NDArray[np.bool_]  # [L] members are drawn, not chosen
    left_out: dict[int, Unserved]
    escalations: tuple[Escalation, ...]


class _Turn(NamedTuple):
    """What happens to one lead next: a wave, perhaps for one organization, or nothing."""

    wave: int
    organization: int  # row, -1: everybody
    why_not: Unserved | None


def due_leads(
    snapshot: Snapshot,
    config: PushConfig,
    now_us: int,
    log: PushLog,
    history: PushHistory,
    only: frozenset[str] | None = None,
) -> Due:
    """Sorts the open leads; `only` (ids) restricts the plan to some of them, for a first push."""
    rows = open_rows(snapshot, now_us)
    if only is not None:
        named = np.array([snapshot.leads.row(lead_id) for lead_id in only], np.int64)
        rows = rows[np.isin(rows, named)]
    last, when = waves_done(log, len(snapshot.leads))
    left_out: dict[int, Unserved] = {}
    turns: dict[int, _Turn] = {}
    for row in rows.tolist():
        why_not = _out(snapshot, config, row, history)
        turn = _turn(snapshot, config.waves, row, int(last[row]), int(when[row]), now_us)
        if why_not or turn.why_not:
            left_out[row] = why_not or turn.why_not or Unserved.WAITING
        else:
            turns[row] = turn
    return _due(snapshot, config, now_us, turns, left_out)


def open_rows(snapshot: Snapshot, now_us: int) -> I64:
    """Global rows of the leads that may be pushed at all: open, not full, created."""
    found = [np.empty(0, np.int64)]
    everywhere = np.ones(len(snapshot.organizations) + 1, np.uint8)
    nothing = np.empty(0, np.int64)
    for start, leads in snapshot.leads.segments():
        rows = np.flatnonzero(leads.alive).astype(np.int64)
        verdicts = lead_verdicts(
            leads, rows, _NOBODYS_KEY, everywhere, nothing, nothing, nothing, now_us
        )
        found.append(rows[verdicts == Verdict.KEPT] + start)
    return np.concatenate(found)


def worth_of(config: PushConfig, urgency: NDArray[np.uint8], age_days: F64) -> F64:
    """What a taken lead is worth (float64[n])."""
    worth = config.worth
    base = np.array(worth.urgency)[np.minimum(urgency, 3)]
    grown = 1.0 - 0.5 ** (np.maximum(age_days, 0.0) / worth.age_half_days)
    return np.asarray(base * (1.0 + (worth.age_most - 1.0) * grown))


def _out(snapshot: Snapshot, config: PushConfig, row: int, history: PushHistory) -> Unserved | None:
    """Why a lead takes no part in planning at all."""
    lead_id = snapshot.leads.identifier(row)
    if lead_id in history.claimed or snapshot.holders.get(lead_id, 0) > 0:
        return Unserved.IN_HAND
    if history.paused_organizations:
        columns, local = snapshot.leads.locate(row)
        organization = int(columns.organization[local])
        if organization >= 0 and (
            snapshot.organizations.ids[organization] in history.paused_organizations
        ):
            return Unserved.PAUSED
    holdout = config.holdout
    if holdout.leads > 0 and chance_of(f"{holdout.salt}/leads", lead_id) < holdout.leads:
        return Unserved.HOLDOUT
    return None


def _turn(
    snapshot: Snapshot, waves: Waves, row: int, last: int, when_us: int, now_us: int
) -> _Turn:
    """The wave after `last` (-1: none yet), once its deadline has passed."""
    columns, local = snapshot.leads.locate(row)
    hours = waves.deadline_hours[min(int(columns.urgency[local]), 3)]
    if last >= 0 and now_us < when_us + int(hours * HOUR_US):
        return _Turn(last, -1, Unserved.WAITING)
    wave = last + 1
    if wave < len(waves.most):
        return _Turn(wave, -1, None)
    above = ancestor(snapshot, int(columns.organization[local]), wave - len(waves.most) + 1)
    if not waves.escalate or above < 0:
        return _Turn(wave, -1, Unserved.NOBODY_TOOK)
    return _Turn(wave, above, None)


def ancestor(snapshot: Snapshot, organization: int, steps: int) -> int:
    """The organization so many levels above (row), -1 when there is none."""
    for _ in range(steps):
        record = snapshot.organizations.get(organization)
        organization = snapshot.organizations.find(record.parent_id) if record else -1
        if organization < 0:
            return -1
    return organization


def _due(
    snapshot: Snapshot,
    config: PushConfig,
    now_us: int,
    turns: dict[int, _Turn],
    left_out: dict[int, Unserved],
) -> Due:
    rows = np.array(list(turns), np.int64)
    place = [snapshot.leads.locate(row) for row in turns]
    urgency = np.array([c.urgency[i] for c, i in place], np.uint8)
    created = np.array([c.create_time_us[i] for c, i in place], np.int64)
    age_days = np.where(created > 0, (now_us - created) / DAY_US, 0.0)
    wave = np.array([turn.wave for turn in turns.values()], np.int32)
    size = np.minimum(wave, len(config.waves.most) - 1)
    share = config.holdout.chance_leads
    salt = f"{config.holdout.salt}/chance"
    ids = [snapshot.leads.identifier(row) for row in turns]
    return Due(
        rows,
        wave,
        np.array(config.waves.least, np.int32)[size],
        np.array(config.waves.most, np.int32)[size],
        worth_of(config, urgency, age_days),
        _dense(np.array([c.region[i, 2] for c, i in place], np.int32)),
        {
            row: Eligibility(organizations=(turn.organization,))
            for row, turn in turns.items()
            if turn.organization >= 0
        },
        np.array([chance_of(salt, i) < share for i in ids], bool),
        left_out,
        tuple(
            _escalation(snapshot, config.waves, row, turn)
            for row, turn in turns.items()
            if turn.organization >= 0
        ),
    )


def _dense(codes: I32) -> I32:
    """0, 1, 2 … instead of codes; -1 stays."""
    known, number = np.unique(codes, return_inverse=True)
    below = int((known < 0).sum())
    return np.where(codes < 0, -1, number - below).astype(np.int32)


def _escalation(snapshot: Snapshot, waves: Waves, row: int, turn: _Turn) -> Escalation:
    columns, local = snapshot.leads.locate(row)
    steps = turn.wave - len(waves.most)
    ids = snapshot.organizations.ids
    below = ancestor(snapshot, int(columns.organization[local]), steps)
    lead_id = snapshot.leads.identifier(row)
    return Escalation(lead_id, ids[below], ids[turn.organization], turn.wave)

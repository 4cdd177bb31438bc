"""Push policies that a simulation can compare: the plan, and what a platform would do without one.

Every policy meets the same masks and caps (`recsvc.push`), and those that are compared with the
plan may push as much as the plan did on the same day, and what they saved before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.push.scores import PairScores
from features.location import nearest_km
from recsvc.matching.pipeline import Pipeline
from recsvc.model.snapshot import Snapshot
from recsvc.push.candidates import CandidateFinder, Pairs, Pushed
from recsvc.push.caps import Allowance, allowances
from recsvc.push.config import PushConfig
from recsvc.push.due import open_rows
from recsvc.push.log import read_push_log
from recsvc.push.plan import plan_pushes
from recsvc.push.types import PushHistory

Rows = NDArray[np.int64]


class Pushes(NamedTuple):
    """n pushes in the snapshot's rows."""

    member: Rows
    lead: Rows
    wave: NDArray[np.int64]


@dataclass(frozen=True)
class Morning:
    """What a policy sees when it chooses: the model, what happened, and how much it may push."""

    snapshot: Snapshot
    config: PushConfig
    now_us: int
    history: PushHistory
    budget: int | None  # None: as it likes
    seed: int
    scores: PairScores  # of the snapshot, kept from day to day


Policy = Callable[[Morning], Pushes]


def planned(morning: Morning) -> Pushes:
    """The plan of the service."""
    snapshot = morning.snapshot
    pipeline = Pipeline(snapshot, clock=lambda: morning.now_us)
    plan = plan_pushes(pipeline, morning.config, morning.now_us, morning.history, seed=morning.seed)
    return Pushes(
        np.array([snapshot.members.row(p.member_id) for p in plan.pushes], np.int64),
        np.array([snapshot.leads.row(p.lead_id) for p in plan.pushes], np.int64),
        np.array([p.wave for p in plan.pushes], np.int64),
    )


def own_list(morning: Morning) -> Pushes:
    """Each member's own top list, as the served ranking gives it: first places first, the likeliest
    of them first; then second places, and so on.
    """
    ground = _ground(morning)
    pairs = ground.pairs
    order = np.lexsort((-pairs.score, pairs.member))
    member = pairs.member[order]
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order)) - np.searchsorted(member, member)
    first = np.lexsort((-pairs.score, place))
    return _taken(ground, pairs, first, morning.budget)


def own_list_in_turn(morning: Morning) -> Pushes:
    """Each member's own top list, the members in an order drawn anew every day."""
    ground = _ground(morning)
    pairs = ground.pairs
    turn = np.random.default_rng((morning.seed, morning.now_us)).random(len(ground.allowance.free))
    order = np.lexsort((-pairs.score, pairs.member))
    member = pairs.member[order]
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order)) - np.searchsorted(member, member)
    first = np.lexsort((turn[pairs.member], place))
    return _taken(ground, pairs, first, morning.budget)


def nearest(morning: Morning) -> Pushes:
    """The nearest members of each lead, of members at one place the likeliest: who was asked least
    first, three members a turn.
    """
    ground = _ground(morning)
    pairs = ground.pairs
    km = np.where(np.isnan(pairs.distance_km), np.inf, pairs.distance_km)
    order = np.lexsort((-pairs.score, km, pairs.lead))
    lead = pairs.lead[order]
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order)) - np.searchsorted(lead, lead)
    had = np.bincount(ground.pushed.lead, minlength=len(morning.snapshot.leads))
    first = np.lexsort((-pairs.score, km, had[pairs.lead] + place // 3))
    return _taken(ground, pairs, first, morning.budget)


POLICIES: dict[str, Policy] = {
    "planned": planned,
    "own-list": own_list,
    "own-list-in-turn": own_list_in_turn,
    "nearest": nearest,
}


class _Ground(NamedTuple):
    """All allowed pairs of the day with their scores and distances; without probabilities."""

    pairs: Pairs
    allowance: Allowance
    pushed: Pushed


def _ground(morning: Morning) -> _Ground:
    snapshot, history = morning.snapshot, morning.history
    log = read_push_log(snapshot, history)
    allowance = allowances(snapshot, morning.config, morning.now_us, log, history)
    pushed = Pushed.of(log)
    free = (allowance.free > 0).astype(np.uint8)
    finder = CandidateFinder(snapshot, morning.now_us, free, pushed)
    leads = [
        row
        for row in open_rows(snapshot, morning.now_us).tolist()
        if snapshot.leads.identifier(row) not in history.claimed
    ]
    everybody = np.ones(len(free), np.uint8)
    found: list[Any] = [finder.everyone(lead, everybody) for lead in leads]
    members = np.concatenate([np.empty(0, np.int64), *found])
    rows = np.repeat(np.array(leads, np.int64), [len(rows) for rows in found])
    lists = list(zip(leads, found, strict=True))
    scores = [morning.scores.of(lead, these, morning.now_us) for lead, these in lists]
    km = [_distances(snapshot, lead, these) for lead, these in lists]
    nothing = np.empty(0, np.float32)
    score, distance = np.concatenate([nothing, *scores]), np.concatenate([nothing, *km])
    pairs = Pairs(members, rows, score, np.zeros(len(rows)), distance)
    return _Ground(pairs, allowance, pushed)


def _distances(snapshot: Snapshot, lead: int, members: Rows) -> NDArray[np.float32]:
    """From a lead to the nearest place of each member (global rows), km; NaN unknown."""
    columns, local = snapshot.leads.locate(lead)
    where = float(columns.latitude_rad[local]), float(columns.longitude_rad[local])
    out = np.full(len(members), np.nan, np.float32)
    for start, part in snapshot.members.segments():
        at = np.flatnonzero((members >= start) & (members < start + len(part.alive)))
        rows = members[at] - start
        out[at] = nearest_km(part.latitude_rad[rows], part.longitude_rad[rows], *where)
    return out


def _taken(ground: _Ground, pairs: Pairs, order: Rows, budget: int | None) -> Pushes:
    """The first pairs of an order whose members have a place left, within the budget."""
    left = ground.allowance.free.copy()
    most = int(left.sum()) if budget is None else budget
    chosen: list[int] = []
    for at in order.tolist():
        if len(chosen) >= most:
            break
        member = pairs.member[at]
        if left[member] > 0:
            left[member] -= 1
            chosen.append(at)
    return Pushes(pairs.member[chosen], pairs.lead[chosen], np.zeros(len(chosen), np.int64))

"""Urgent leads the moment they arrive: a small greedy plan that costs milliseconds, not seconds.

The nightly plan reads the whole log and every member's limits. Here only the members who come into
question are looked at, found as the served ranking finds them; masks, caps, pauses, quiet hours and
shares left to chance are those of every plan. It is greedy because the other leads wait for the
next plan, and needs no solver.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from recsvc.matching.listed_members import MemberConfig, member_candidates
from recsvc.matching.pipeline import Pipeline
from recsvc.model.arrays import I64
from recsvc.model.snapshot import Snapshot
from recsvc.push.candidates import CandidateFinder, Candidates, Pairs, Pushed
from recsvc.push.caps import allowances
from recsvc.push.config import PushConfig
from recsvc.push.due import Due, due_leads
from recsvc.push.explore import Drawn, draw_chance_leads
from recsvc.push.greedy import greedy_plan
from recsvc.push.log import read_push_log
from recsvc.push.outcome import Made, Part, outcome
from recsvc.push.tasks import number_task
from recsvc.push.types import Plan, PushHistory, Source

LOOK_AT = (1, 20)
"""So many times the configured candidates are looked at; more when all of those are at a cap."""


def arrival_members(
    pipeline: Pipeline, config: PushConfig, now_us: int, lead_ids: Collection[str], times: int
) -> list[str]:
    """Ids of the members whose pushes `plan_arrival` has to know, for leads that are urgent."""
    snapshot = pipeline.snapshot
    due, finder = _due(snapshot, config, now_us, PushHistory(), lead_ids)
    found = [
        _search(snapshot, finder, lead, times * config.candidates) for lead in due.row.tolist()
    ]
    rows = np.unique(np.concatenate([np.empty(0, np.int64), *found]))
    return [snapshot.members.identifier(row) for row in rows.tolist()]


def plan_arrival(
    pipeline: Pipeline,
    config: PushConfig,
    now_us: int,
    history: PushHistory,
    lead_ids: Collection[str],
    times: int = LOOK_AT[0],
) -> Plan:
    """The pushes of urgent leads; those below `config.urgent_from` are left out.

    `history` holds the pushes of `arrival_members`, `times` says how many times the configured
    number of candidates are looked at.
    """
    snapshot = pipeline.snapshot
    due, finder = _due(snapshot, config, now_us, history, lead_ids)
    found = [
        _search(snapshot, finder, lead, times * config.candidates) for lead in due.row.tolist()
    ]
    members = np.unique(np.concatenate([np.empty(0, np.int64), *found]))
    log = read_push_log(snapshot, history, members, due.row)
    allowance = allowances(snapshot, config, now_us, log, history, members)
    pushed = Pushed.of(log)
    known = np.zeros(len(allowance.free), np.uint8)
    known[members] = allowance.free[members] > 0
    finder = CandidateFinder(snapshot, now_us, known, pushed)
    candidates = _candidates(finder, due, found, config.candidates)
    rng = np.random.default_rng((config.seed, now_us))
    nothing = np.zeros(len(allowance.free), np.int32)
    price = config.worth.attention
    chance = number_task(candidates.pairs, due, due.by_chance, allowance, nothing, 0.0)
    drawn, _ = draw_chance_leads(chance.task, np.ones(len(chance.due_at), bool), rng)
    first = Part(chance, drawn, None, Source.EXPLORED)
    used = np.bincount(first.pushed_members(), minlength=len(nothing)).astype(np.int32)
    main = number_task(candidates.pairs, due, ~due.by_chance, allowance, used, price)
    chosen = greedy_plan(main.task)
    certain = Drawn(chosen, chosen.astype(np.float64), np.zeros(len(chosen), bool))
    parts = first, Part(main, certain, None, Source.ARRIVAL)
    seed = config.seed
    made = Made(
        snapshot, config, now_us, seed, due, candidates, parts, allowance, finder, pushed
    )  # fmt: skip
    return outcome(made, 0.0, 0.0)


def urgent_ids(snapshot: Snapshot, config: PushConfig, lead_ids: Collection[str]) -> frozenset[str]:
    """Those of some leads that are known and urgent."""
    leads = snapshot.leads
    urgent = set()
    for lead_id in lead_ids:
        row = leads.row(lead_id)
        if row >= 0:
            columns, local = leads.locate(row)
            if columns.urgency[local] >= config.urgent_from:
                urgent.add(lead_id)
    return frozenset(urgent)


def _due(
    snapshot: Snapshot,
    config: PushConfig,
    now_us: int,
    history: PushHistory,
    lead_ids: Collection[str],
) -> tuple[Due, CandidateFinder]:
    """The leads that are due for a first wave, and who could get them by the masks alone."""
    only = urgent_ids(snapshot, config, lead_ids)
    rows = np.array(sorted(snapshot.leads.row(i) for i in only), np.int64)
    log = read_push_log(snapshot, history, np.empty(0, np.int64), rows)
    due = due_leads(snapshot, config, now_us, log, history, only)
    everybody = np.ones(len(snapshot.members), np.uint8)
    return due, CandidateFinder(snapshot, now_us, everybody, Pushed.of(log))


def _search(snapshot: Snapshot, finder: CandidateFinder, lead: int, depth: int) -> I64:
    """Members (global rows) worth a look for one lead, as the served ranking finds them."""
    leads, local = snapshot.leads.locate(lead)
    masked = finder.mask(lead)
    return np.sort(member_candidates(snapshot, leads, local, masked, depth, MemberConfig()))


def _candidates(finder: CandidateFinder, due: Due, found: list[I64], count: int) -> Candidates:
    """The best of the members found who are free."""
    pairs, eligible, free = [], [], []
    for lead, members in zip(due.row.tolist(), found, strict=True):
        usable = finder.usable(lead)
        allowed = members[usable[members] > 0]
        pairs.append(finder.scored(allowed, np.full(len(allowed), lead, np.int64), count))
        eligible.append(finder.mask(lead).eligible_count)
        free.append(len(allowed))
    nothing = np.empty(0, np.int64)
    pairs.append(finder.scored(nothing, nothing, count))
    joined = Pairs(*(np.concatenate(columns) for columns in zip(*pairs, strict=True)))
    return Candidates(joined, np.array(eligible, np.int64), np.array(free, np.int64))

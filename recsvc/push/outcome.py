"""The finished plan: its pushes with their facts, what is unserved and why, and its figures."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from recsvc.model.arrays import I64
from recsvc.model.snapshot import Snapshot
from recsvc.push.candidates import CandidateFinder, Candidates, Pushed
from recsvc.push.caps import Allowance, Limit
from recsvc.push.config import PushConfig
from recsvc.push.due import Due
from recsvc.push.explore import Drawn
from recsvc.push.log import pair_keys
from recsvc.push.optimum import Optimum, taken_chances
from recsvc.push.spread import active_members, busiest_share, limit_in_force
from recsvc.push.tasks import Numbered, marginal_values, rank_in_lead
from recsvc.push.texts import unserved_text
from recsvc.push.types import (
    Plan,
    PlanFigures,
    PlannedPush,
    PushFacts,
    Source,
    Unserved,
    UnservedLead,
)

ALREADY_PUSHED = "ALREADY_PUSHED"
"""Beside verdicts and limits: what stands in the way of members who had the lead before."""


class Part(NamedTuple):
    """Some leads of a plan with what was chosen for them; `source` of what chance did not draw."""

    numbered: Numbered
    drawn: Drawn
    optimum: Optimum | None
    source: Source

    def pushed_members(self) -> I64:
        """Members (global rows) of the pushes, one entry a push."""
        return self.numbered.members[self.numbered.task.pair_member[self.drawn.chosen]]


class Made(NamedTuple):
    """Everything a plan was made from and came to."""

    snapshot: Snapshot
    config: PushConfig
    now_us: int
    seed: int
    due: Due
    found: Candidates
    parts: tuple[Part, Part]
    allowance: Allowance
    finder: CandidateFinder
    pushed: Pushed


def outcome(made: Made, candidates_seconds: float, solve_seconds: float) -> Plan:
    """The plan in ids and words."""
    snapshot = made.snapshot
    pushes = [push for part in made.parts for push in _pushes(made, part)]
    unserved = _unserved(made, {push.lead_id for push in pushes})
    names = snapshot.leads.identifier
    served = {push.lead_id for push in pushes}
    return Plan(
        now_us=made.now_us,
        seed=made.seed,
        model_id=snapshot.model_id,
        revision=str(snapshot.revision),
        pushes=tuple(pushes),
        unserved=unserved,
        escalations=tuple(e for e in made.due.escalations if e.lead_id in served),
        nobody_took=tuple(
            names(row) for row, why in made.due.left_out.items() if why is Unserved.NOBODY_TOOK
        ),
        member_prices=_prices(made, of_members=True),
        lead_prices=_prices(made, of_members=False),
        figures=_figures(made, pushes, candidates_seconds, solve_seconds),
    )


def _pushes(made: Made, part: Part) -> Iterator[PlannedPush]:
    task, drawn = part.numbered.task, part.drawn
    at = np.flatnonzero(drawn.chosen)
    members = part.numbered.members[task.pair_member[at]]
    due_at = part.numbered.due_at[task.pair_lead[at]]
    leads = made.due.row[due_at]
    values, ranks = marginal_values(task, drawn.chosen)[at], rank_in_lead(task)[at]
    counts = np.bincount(task.pair_lead, minlength=len(task.worth))[task.pair_lead[at]]
    pairs = made.finder.scored(members, leads, len(members))
    place = {key: i for i, key in enumerate(pair_keys(pairs.member, pairs.lead).tolist())}
    wide = ~np.isin(pair_keys(members, leads), _candidate_keys(made))
    prices = part.optimum.flow if part.optimum else None
    for i, pair in enumerate(at.tolist()):
        found = place[int(pair_keys(members[i : i + 1], leads[i : i + 1])[0])]
        km = float(pairs.distance_km[found])
        source = Source.REPAIR if wide[i] else part.source
        yield PlannedPush(
            member_id=made.snapshot.members.identifier(int(members[i])),
            lead_id=made.snapshot.leads.identifier(int(leads[i])),
            wave=int(made.due.wave[due_at[i]]),
            probability=float(task.probability[pair]),
            value=float(values[i]),
            propensity=float(drawn.propensity[pair]),
            facts=PushFacts(
                source=Source.EXPLORED if drawn.drawn[pair] else source,
                score=float(pairs.score[found]),
                candidates_count=int(counts[i]),
                rank=int(ranks[i]),
                lead_price=float(prices.lead_price[task.pair_lead[pair]]) if prices else 0.0,
                member_price=float(prices.member_price[task.pair_member[pair]]) if prices else 0.0,
                distance_km=None if math.isnan(km) else km,
            ),
        )


def _candidate_keys(made: Made) -> I64:
    return pair_keys(made.found.pairs.member, made.found.pairs.lead)


def _prices(made: Made, *, of_members: bool) -> dict[str, float]:
    """The duals that are not zero, by id."""
    prices = {}
    for part in made.parts:
        if part.optimum is None:
            continue
        flow = part.optimum.flow
        values = flow.member_price if of_members else flow.lead_price
        rows = part.numbered.members if of_members else made.due.row[part.numbered.due_at]
        table = made.snapshot.members if of_members else made.snapshot.leads
        for at in np.flatnonzero(values > 0).tolist():
            prices[table.identifier(int(rows[at]))] = float(values[at])
    return prices


def _unserved(made: Made, served: set[str]) -> dict[str, UnservedLead]:
    names = made.snapshot.leads.identifier
    out = {
        names(row): UnservedLead(why, unserved_text(why, {}))
        for row, why in made.due.left_out.items()
    }
    for at, row in enumerate(made.due.row.tolist()):
        if names(row) in served:
            continue
        removed = _removed(made, row)
        if made.found.eligible[at] == 0:
            why = Unserved.NOBODY_ELIGIBLE
        elif removed.get(ALREADY_PUSHED, 0) >= made.found.eligible[at]:
            why = Unserved.EVERYBODY_PUSHED
        else:
            why = Unserved.CAPS_USED
        out[names(row)] = UnservedLead(why, unserved_text(why, removed), removed)
    return out


def _removed(made: Made, row: int) -> dict[str, int]:
    """How many members each mask and each limit takes from one lead."""
    wanted = made.due.wanted.get(row)
    masked = made.finder.mask(row, wanted) if wanted else made.finder.mask(row)
    removed = {verdict.name: count for verdict, count in masked.removed.items()}
    kept = np.concatenate([np.empty(0, bool), *(part == 0 for part in masked.verdicts)])
    begin, end = np.searchsorted(made.pushed.lead, [row, row + 1])
    pushed = np.unique(made.pushed.member[begin:end])
    pushed = pushed[kept[pushed]]
    kept[pushed] = False
    counts = np.bincount(made.allowance.limit[kept], minlength=len(Limit))
    for limit in Limit:
        if limit is not Limit.NONE and counts[limit]:
            removed[limit.name] = int(counts[limit])
    if len(pushed):
        removed[ALREADY_PUSHED] = len(pushed)
    return removed


def _figures(
    made: Made, pushes: list[PlannedPush], candidates_seconds: float, solve_seconds: float
) -> PlanFigures:
    due, found = made.due, made.found
    rows = {row: at for at, row in enumerate(due.row.tolist())}
    served = np.zeros(len(due.row), bool)
    for push in pushes:
        served[rows[made.snapshot.leads.row(push.lead_id)]] = True
    servable = found.free > 0
    given = np.concatenate([part.pushed_members() for part in made.parts])
    loads = made.allowance.load + np.bincount(given, minlength=len(made.allowance.load))
    chances = [taken_chances(p.numbered.task, p.drawn.chosen) for p in made.parts]
    optimum = made.parts[1].optimum
    active = active_members(made.snapshot)
    return PlanFigures(
        due_count=len(due.row),
        servable_count=int(servable.sum()),
        served_count=int(served.sum()),
        pushes_count=len(pushes),
        members_count=len(np.unique(given)),
        candidate_pairs=len(found.pairs.lead),
        counties_servable=len(np.unique(due.county[servable & (due.county >= 0)])),
        counties_served=len(np.unique(due.county[served & (due.county >= 0)])),
        expected_claimed=float(sum(chance.sum() for chance in chances)),
        expected_claims=sum(push.probability for push in pushes),
        objective=optimum.objective if optimum else 0.0,
        bound=optimum.bound if optimum else 0.0,
        proved=optimum.flow.proved if optimum else True,
        repaired_count=sum(push.facts.source is Source.REPAIR for push in pushes),
        explored_count=sum(push.facts.source is Source.EXPLORED for push in pushes),
        busiest_share=busiest_share(loads, active),
        busiest_limit=limit_in_force(made.config.busiest_share, int(loads.sum()), active),
        candidates_seconds=candidates_seconds,
        solve_seconds=solve_seconds,
        total_seconds=candidates_seconds + solve_seconds,
    )

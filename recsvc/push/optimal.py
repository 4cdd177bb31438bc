"""The optimum over due leads: over their candidates, then over everybody where it must."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from recsvc.model.arrays import I32, I64
from recsvc.push.candidates import CandidateFinder, Candidates, Pairs
from recsvc.push.caps import Allowance
from recsvc.push.due import Due
from recsvc.push.flow import Solver
from recsvc.push.network import B8
from recsvc.push.optimum import Optimum
from recsvc.push.repair import MOST_ROUNDS, widened
from recsvc.push.spread import caps_of_calm, limit_in_force, spread_plan
from recsvc.push.tasks import Numbered, number_task


class Ground(NamedTuple):
    """What every attempt at a plan stands on."""

    due: Due
    ours: B8  # [due] the leads that are planned here
    found: Candidates
    allowance: Allowance
    used: I32  # [members] places taken before this plan
    active_count: int
    busiest_limit: float
    push_price: float
    seed: int
    solver: Solver


_NEAR = 0.9
"""A plan with more than that of the limit leaves chance no room to make the busiest busier."""


class Best(NamedTuple):
    """The plan, the pairs it chose from, and the caps (int32[M]) that chance must keep."""

    numbered: Numbered
    optimum: Optimum
    caps: I32


def best_plan(ground: Ground, finder: CandidateFinder) -> Best:
    """The plan over the candidates, widened until coverage cannot get better."""
    pairs = ground.found.pairs
    best = _solve(ground, pairs)
    for _ in range(MOST_ROUNDS):
        task, chosen = best.numbered.task, best.optimum.flow.chosen
        rows = ground.due.row[best.numbered.due_at]
        free = ground.found.free[best.numbered.due_at]
        holding = best.numbered.members[task.pair_member[chosen]], rows[task.pair_lead[chosen]]
        left = rows[(free > 0) & (task.least > 0) & ~np.isin(rows, holding[1])]
        places = _places(ground, holding[0])
        if len(left) == 0 or not places.any():
            break
        wider = widened(pairs, left, holding, places, finder, ground.due.wanted)
        if len(wider.lead) == len(pairs.lead):
            break
        pairs, best = wider, _solve(ground, wider)
    return best


def _solve(ground: Ground, pairs: Pairs) -> Best:
    numbered = number_task(
        pairs, ground.due, ground.ours, ground.allowance, ground.used, ground.push_price
    )
    others = (ground.allowance.load + ground.used).copy()
    others[numbered.members] = 0
    optimum, share = spread_plan(
        numbered.task, others, ground.active_count, ground.busiest_limit, ground.seed, ground.solver
    )
    task, caps = numbered.task, numbered.task.cap
    pushes = int(task.load.sum() + others.sum() + optimum.flow.chosen.sum())
    if share > _NEAR * limit_in_force(ground.busiest_limit, pushes, ground.active_count):
        caps = caps_of_calm(task, optimum.flow.chosen, others, ground.active_count)
    return Best(numbered, optimum, caps)


def _places(ground: Ground, holders: I64) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    """Who (uint8[members]) has a place left once the plan's pushes are made."""
    given = np.bincount(holders, minlength=len(ground.used))
    return (ground.allowance.free - ground.used - given > 0).astype(np.uint8)

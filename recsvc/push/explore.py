"""Chance in a plan, so that a later policy can be judged on what this one logged.

Two kinds, both from the plan's seed. A lead of the *chance* share never meets the optimiser: its
members are drawn evenly from all candidates who are free. Of the others a share `explore` is drawn
after the optimum is known: each of their members is replaced by one drawn evenly from those with a
place left. A push's propensity is the chance that the plan makes it, given the optimum:

    chosen by the optimum    1 - explore + explore k / n
    drawn                    explore k / n       (chance leads: k / n)

with k the members drawn and n those drawn from. Where two explored leads want a member's last place
the first in the plan's order has it; n counts who was free when the lead's turn came.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from recsvc.model.arrays import F64, I32
from recsvc.push.network import B8
from recsvc.push.optimum import Task


class Drawn(NamedTuple):
    """A plan after chance: which pairs, their propensities, and which were drawn."""

    chosen: B8  # [n]
    propensity: F64  # [n] of the chosen pairs; 0 elsewhere
    drawn: B8  # [n]


def draw_chance_leads(task: Task, leads: B8, rng: np.random.Generator) -> tuple[Drawn, I32]:
    """Members of the `leads` (bool[L]) left to chance, and the caps (int32[M]) that remain."""
    out, cap, start = _nothing(task), task.cap.copy(), _starts(task)
    for lead in np.flatnonzero(leads).tolist():
        pairs = slice(start[lead], start[lead + 1])
        _draw(out, cap, task, pairs, int(task.most[lead]), 1.0, rng)
    return out, cap


def explore_plan(task: Task, chosen: B8, share: float, rng: np.random.Generator) -> Drawn:
    """Replaces the members of a share of the leads by drawn ones."""
    out = Drawn(chosen.copy(), np.where(chosen, 1.0, 0.0), np.zeros(len(chosen), bool))
    if share <= 0:
        return out
    cap = task.cap - np.bincount(task.pair_member[chosen], minlength=len(task.cap))
    explored, start = rng.random(len(task.worth)) < share, _starts(task)
    for lead in range(len(task.worth)):
        pairs = slice(start[lead], start[lead + 1])
        count = int(chosen[pairs].sum())
        if count == 0:
            continue
        own = task.pair_member[pairs][chosen[pairs]]
        cap[own] += 1
        free = int((cap[task.pair_member[pairs]] > 0).sum())
        if not explored[lead]:
            out.propensity[pairs][chosen[pairs]] = 1.0 - share + share * min(count / free, 1.0)
            cap[own] -= 1
            continue
        before = out.chosen[pairs].copy()
        out.chosen[pairs] = False
        out.propensity[pairs] = 0.0
        _draw(out, cap, task, pairs, count, share, rng)
        out.propensity[pairs][before & out.chosen[pairs]] += 1.0 - share
    return out


def _starts(task: Task) -> list[int]:
    """Where each lead's pairs begin, and where the last one's end."""
    leads = np.arange(len(task.worth) + 1, dtype=task.pair_lead.dtype)
    start: list[int] = np.searchsorted(task.pair_lead, leads).tolist()
    return start


def _nothing(task: Task) -> Drawn:
    n = len(task.pair_lead)
    return Drawn(np.zeros(n, bool), np.zeros(n), np.zeros(n, bool))


def _draw(
    out: Drawn, cap: I32, task: Task, pairs: slice, count: int, share: float,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Draws `count` of a lead's pairs whose members have a place left; takes the places."""
    free = np.flatnonzero(cap[task.pair_member[pairs]] > 0) + pairs.start
    picked = rng.choice(free, min(count, len(free)), replace=False)
    cap[task.pair_member[picked]] -= 1
    out.chosen[picked] = True
    out.drawn[picked] = True
    out.propensity[picked] = share * len(picked) / max(len(free), 1)

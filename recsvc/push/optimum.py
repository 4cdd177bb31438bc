"""The best plan over candidate pairs: the expected worth of the leads that somebody takes.

A lead pushed to the set S is taken with chance 1 - prod(1 - p) = F(y), F(y) = 1 - exp(-y), where y
sums a = -log(1 - p) over S: the second push of a lead is worth less than the first. F is concave,
so for any slope s = F'(y*) and any S of k members

    F(y(S)) <= s y(S) + h(k),   h(k) = max over reachable y of F(y) - s y,

where y is reachable with k members when it lies between the sums of the lead's k smallest and k
largest a. The right side is linear in the pairs and concave in the count: a minimum-cost flow
(`recsvc.push.network`) maximises it exactly. Its maximum bounds every plan on the candidate pairs;
the plan that reaches it is worth nearly as much, because the two sides meet where y(S) = y*. Each
round moves y* towards the last plan's y, by ever smaller steps (successive linearisation, Frank &
Wolfe 1956, with a bound that knows the counts); the best plan and the least bound are kept. With
one push a lead both sides are equal: the plan is then optimal, not nearly. Where chances are large
and few the bound is loose, not the plan: it sees sums, not members.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsvc.model.arrays import I32
from recsvc.push.network import B8, F64, Flow, Problem, solve

_CERTAIN = 0.999
"""Nobody is surer than that, so that -log(1 - p) stays finite."""
CLOSE_ENOUGH = 0.001
"""A plan that is short of the bound by less than this share is not improved further."""


class Task(NamedTuple):
    """What to plan over: n candidate pairs sorted by lead, of M members and L leads."""

    pair_member: I32  # [n] dense numbers
    pair_lead: I32  # [n] dense numbers, ascending
    probability: F64  # [n]
    worth: F64  # [L] of the lead when it is taken
    least: I32  # [L]
    most: I32  # [L]
    county: I32  # [L] dense numbers, -1: none
    cap: I32  # [M]
    load: I32  # [M] pushes of the window
    push_price: float = 0.0  # what a member's attention costs, in the unit of worth


class Optimum(NamedTuple):
    """The plan found. `objective` and `bound` are without coverage bonuses, prices included."""

    flow: Flow
    objective: float
    bound: float
    spread_price: float


def optimise(task: Task, seed: int, rounds: int, spread_price: float = 0.0) -> Optimum:
    """The best plan that `rounds` linearisations (at least one) find."""
    a = -np.log1p(-np.minimum(task.probability, _CERTAIN))
    ranges = _ranges(task, a)
    target: NDArray[Any] = ranges.largest[
        np.arange(len(task.most)), np.minimum(task.most, ranges.widest)
    ]
    best: Optimum | None = None
    bound = np.inf
    for number in range(max(rounds, 1)):
        flow = solve(_linearised(task, a, ranges, target, spread_price), seed + number)
        # Plans that cover as much differ in value alone, so the flow's value bounds all of them.
        bound = min(bound, flow.value)
        objective = plan_worth(task, flow.chosen, spread_price)
        if best is None or objective > best.objective:
            best = Optimum(flow, objective, bound, spread_price)
        best = best._replace(bound=max(bound, best.objective))
        if best.bound - best.objective <= CLOSE_ENOUGH * max(abs(best.bound), 1e-12):
            break
        reached = np.bincount(
            task.pair_lead[flow.chosen], a[flow.chosen], minlength=len(task.worth)
        )
        target = target + (reached - target) / (number + 2)
    assert best is not None, "there is at least one round"
    return best


def taken_chances(task: Task, chosen: B8) -> F64:
    """1 - prod(1 - p) of each lead (float64[L]) under a plan."""
    logs = np.log1p(-np.minimum(task.probability[chosen], _CERTAIN))
    total = np.bincount(task.pair_lead[chosen], logs, minlength=len(task.worth))
    return np.asarray(-np.expm1(total))


def plan_worth(task: Task, chosen: B8, spread_price: float = 0.0) -> float:
    """The objective itself: worth times chance over the leads, less prices of pushes and load."""
    worth = float((task.worth * taken_chances(task, chosen)).sum())
    worth -= task.push_price * float(chosen.sum())
    given = np.bincount(task.pair_member[chosen], minlength=len(task.cap))
    return worth - spread_price * float((given * task.load + given * (given - 1) // 2).sum())


class _Ranges(NamedTuple):
    """What y can be with 0 ... widest members: float64[L, widest + 1]."""

    smallest: F64
    largest: F64
    widest: int


def _ranges(task: Task, a: F64) -> _Ranges:
    """Sums of the k smallest and k largest a of each lead; the last one again where k is too many.

    Past a lead's own candidates the sums stay: no plan gets there.
    """
    widest = int(task.most.max(initial=1))
    sums = []
    for sign in (1.0, -1.0):
        order = np.lexsort((sign * a, task.pair_lead))
        lead = task.pair_lead[order]
        place = np.arange(len(lead)) - np.searchsorted(lead, lead)
        near = place < widest
        steps = np.zeros((len(task.worth), widest + 1))
        steps[lead[near], place[near] + 1] = a[order][near]
        sums.append(np.cumsum(steps, axis=1))
    return _Ranges(sums[0], sums[1], widest)


def _linearised(
    task: Task, a: F64, ranges: _Ranges, target: NDArray[Any], spread_price: float
) -> Problem:
    slope = np.exp(-target)
    y = np.clip(target[:, None], ranges.smallest, ranges.largest)
    height = -np.expm1(-y) - slope[:, None] * y
    steps = np.diff(height, axis=1) * task.worth[:, None]
    pair_value = (task.worth * slope)[task.pair_lead] * a
    # Of a lead for one member there is nothing to linearise.
    single = task.most == 1
    steps[single] = 0.0
    pair_value = np.where(
        single[task.pair_lead],
        task.worth[task.pair_lead] * np.minimum(task.probability, _CERTAIN),
        pair_value,
    )
    return Problem(
        pair_member=task.pair_member,
        pair_lead=task.pair_lead,
        pair_value=pair_value,
        slot_value=np.minimum.accumulate(steps, axis=1)
        - task.push_price,  # concave but for rounding
        least=task.least,
        most=task.most,
        county=task.county,
        cap=task.cap,
        load=task.load,
        spread_price=spread_price,
    )

"""The best plan over candidate pairs: the expected worth of the leads that somebody takes.

A lead pushed to the set S is taken with chance 1 - prod(1 - p) = F(y), F(y) = 1 - exp(-y), where y
sums a = -log(1 - p) over S: the second push of a lead is worth less than the first. F is concave,
so for any slope s = F'(y*) and any S of k members

    F(y(S)) <= s y(S) + h(k),   h(k) = max over reachable y of F(y) - s y,

where y is reachable with k members when it lies between the sums of the lead's k smallest and k
largest a. The right side is linear in the pairs and concave in the count: a minimum-cost flow
(`recsvc.push.network`) maximises it exactly. Its maximum bounds every plan on the candidate pairs;
the plan that reaches it is worth nearly as much, because the two sides meet where y(S) = y*. Each
round moves y* towards the last plan's y (successive linearisation, Frank & Wolfe 1956). What the
line does not see is then gained by exchanges (`recsvc.push.exchange`), and what no plan can exceed
is told by prices on members' places (`recsvc.push.bound`): the best plan and the least bound are
kept. With one push a lead both sides are equal: the plan is then optimal by the flow's own proof.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsvc.model.arrays import F64, I32
from recsvc.push.bound import lagrange_bound
from recsvc.push.exchange import Prices, Sorted, exchanged, sort_pairs
from recsvc.push.flow import Solver, solve_here
from recsvc.push.network import B8, Flow, Problem, solve

_CERTAIN = 0.999
"""Nobody is surer than that, so that -log(1 - p) stays finite."""
CLOSE_ENOUGH = 0.001
"""A plan that is short of the bound by less than this share is not improved further."""
_LARGE_PAIRS = 1_000_000


class Effort(NamedTuple):
    """How much is tried: linearisations, rounds of exchanges after each, steps of the bound."""

    linearisations: int
    exchanges: int
    steps: int


USUAL = Effort(2, 20, 200)
LARGE = Effort(1, 3, 100)
"""A large plan comes as close with less, because errors average out."""


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


def optimise(
    task: Task, seed: int, spread_price: float = 0.0, solver: Solver = solve_here
) -> Optimum:
    """The best plan found, and a bound that no plan on the pairs exceeds."""
    effort = USUAL if len(task.pair_lead) <= _LARGE_PAIRS else LARGE
    chance = np.minimum(task.probability, _CERTAIN)
    a = -np.log1p(-chance)
    ranges = _ranges(task, a)
    pairs = sort_pairs(task.pair_lead, task.pair_member, chance, len(task.worth))
    prices = Prices(
        task.worth, task.least, task.most, task.load, float(task.push_price), float(spread_price)
    )
    target: NDArray[Any] = ranges.largest[
        np.arange(len(task.most)), np.minimum(task.most, ranges.widest)
    ]
    best: Optimum | None = None
    bound = np.inf
    for number in range(effort.linearisations):
        problem = _linearised(task, a, ranges, target, spread_price)
        flow = solve(problem, seed + number, solver)
        # Plans that cover as much differ in value alone, so the flow's value bounds all of them.
        bound = min(bound, flow.value)
        chosen = exchanged(pairs, prices, task.cap, flow.chosen, effort.exchanges)
        objective = plan_worth(task, chosen, spread_price)
        if best is None or objective > best.objective:
            best = Optimum(flow._replace(chosen=chosen), objective, bound, spread_price)
        if bound - best.objective <= CLOSE_ENOUGH * max(abs(bound), 1e-12):
            break
        target = np.bincount(task.pair_lead[chosen], a[chosen], minlength=len(task.worth))
    assert best is not None, "there is at least one linearisation"
    return _bounded(best._replace(bound=bound), pairs, prices, task, effort)


def _bounded(best: Optimum, pairs: Sorted, prices: Prices, task: Task, effort: Effort) -> Optimum:
    """With the bound and the members' prices that prices on places give."""
    flow = best.flow
    bound, places = best.bound, flow.member_price
    if bound - best.objective > CLOSE_ENOUGH * abs(bound):
        # Where not all is covered that could be, which leads are left out is open: none is forced.
        served = np.bincount(task.pair_lead[flow.chosen], minlength=len(task.worth)) > 0
        asked = np.bincount(task.pair_lead, minlength=len(task.worth)) > 0
        if not served[asked & (task.least > 0)].all():
            prices = prices._replace(least=np.zeros_like(task.least))
        args = pairs, prices, task.cap, places, best.objective, effort.steps, CLOSE_ENOUGH
        found = lagrange_bound(*args)
        if found.value < bound:
            bound, places = found.value, found.place
    given = np.bincount(task.pair_member[flow.chosen], minlength=len(task.cap))
    taken = np.bincount(task.pair_lead[flow.chosen], minlength=len(task.worth))
    flow = flow._replace(
        member_price=np.where(given >= task.cap, places, 0.0),
        lead_price=np.where(taken >= task.most, flow.lead_price, 0.0),
    )
    return best._replace(flow=flow, bound=max(bound, best.objective))


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

"""The plan as a minimum-cost flow, solved exactly, with a proof.

    source -> member -> lead -> (county ->) sink          source -> sink: what is not pushed

A member takes as many units as the cap leaves, each further one at a higher price when the load is
to be spread; a pair takes one; a lead's units are worth less and less, the first `least` of them
and a county's first one get a bonus above everything else that could be gained. All capacities are
integers, so an integral optimum exists (Ahuja, Magnanti, Orlin 1993, "Network Flows", chapter 9).
Solved with OR-Tools' cost scaling (Goldberg 1997), see `recsvc.push.flow`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from recsvc.model.arrays import F64, I32, I64
from recsvc.push.flow import Network, Solver, solve_here

B8 = NDArray[np.bool_]

UNITS = 1_000_000
"""Integer cost units for a value of 1: a plan is optimal up to one millionth a push."""
_JITTER = 4
"""Ties are broken by up to so many units, from the seed."""
_MOST_PASSES = 2_000
_FAR = np.int64(1) << 62


class Problem(NamedTuple):
    """M members, L leads, n candidate pairs; numbers of members and leads are dense.

    A plan x (one of 0, 1 for each pair) is worth
    sum pair_value x + sum over leads of their first `count` slot values - spread prices.
    """

    pair_member: I32  # [n]
    pair_lead: I32  # [n]
    pair_value: F64  # [n] >= 0
    slot_value: F64  # [L, most of all], not increasing along a row
    least: I32  # [L]
    most: I32  # [L]
    county: I32  # [L] -1: none
    cap: I32  # [M] what the member may still get
    load: I32  # [M] what they have had in the window
    spread_price: float  # times (load + units already given), for each unit


class Flow(NamedTuple):
    """An optimal plan of a Problem.

    Prices are in the problem's unit: what one more push to the member, one more member for the
    lead would be worth (0 when that limit does not bind); the coverage bonus, where it is what the
    limit costs, is left out of them.
    """

    chosen: B8  # [n]
    member_price: F64  # [M]
    lead_price: F64  # [L]
    value: float  # without bonuses
    proved: bool  # potentials without a negative cycle were found


class _Arcs(NamedTuple):
    tail: I64
    head: I64
    capacity: I64
    cost: I64


def solve(problem: Problem, seed: int, solver: Solver = solve_here) -> Flow:
    """The best plan; of several equally good ones the seed decides."""
    arcs, nodes, supply = _network(problem, seed)
    flow = solver(
        Network(
            arcs.tail.astype(np.int32),
            arcs.head.astype(np.int32),
            arcs.capacity,
            arcs.cost,
            np.array([nodes.source, nodes.sink], np.int32),
            np.array([supply], np.int64),
        )
    )
    n = len(problem.pair_lead)
    chosen = flow[:n] > 0
    proved, member_gain, lead_gain = _gains(problem, chosen, arcs, flow, nodes)
    value = plan_value(problem, chosen)
    return Flow(chosen, member_gain, lead_gain, value, proved)


def plan_value(problem: Problem, chosen: B8) -> float:
    """What a plan is worth: pairs, slots, spread prices; no bonuses."""
    value = float(problem.pair_value[chosen].sum())
    counts = np.bincount(problem.pair_lead[chosen], minlength=len(problem.least))
    slots = np.arange(problem.slot_value.shape[1])
    value += float(problem.slot_value[slots < counts[:, None]].sum())
    if problem.spread_price > 0:
        given = np.bincount(problem.pair_member[chosen], minlength=len(problem.cap))
        total = given * problem.load + given * (given - 1) // 2
        value -= problem.spread_price * float(total.sum())
    return value


@dataclass(frozen=True)
class _Nodes:
    """Where things are: pairs' members, leads, counties, then source and sink."""

    members: slice
    leads: slice
    source: int
    sink: int
    count: int
    bonus: int


def _network(problem: Problem, seed: int) -> tuple[_Arcs, _Nodes, int]:
    m, lead_count = len(problem.cap), len(problem.least)
    counties = int(problem.county.max(initial=-1)) + 1
    source = m + lead_count + counties
    bonus = _bonus(problem)
    nodes = _Nodes(slice(0, m), slice(m, m + lead_count), source, source + 1, source + 2, bonus)
    jitter = np.random.default_rng(seed).integers(0, _JITTER, len(problem.pair_lead))
    pairs = _Arcs(
        problem.pair_member.astype(np.int64),
        problem.pair_lead.astype(np.int64) + m,
        np.ones(len(problem.pair_lead), np.int64),
        -_units(problem.pair_value) - jitter,
    )
    parts = [pairs, _member_arcs(problem, nodes), *_slot_arcs(problem, nodes, bonus)]
    # One unit more than fits, so that the side arc is never empty: a price is asked for one more.
    supply = int(np.minimum(problem.most, problem.slot_value.shape[1]).sum()) + 1
    side = _Arcs(*(np.array([x], np.int64) for x in (source, source + 1, supply, 0)))
    joined = _Arcs(*(np.concatenate(columns) for columns in zip(*parts, side, strict=True)))
    return joined, nodes, supply


def _bonus(problem: Problem) -> int:
    """More than twice what all pairs, slots and prices together could be worth."""
    best = np.zeros(len(problem.least))
    np.maximum.at(best, problem.pair_lead, problem.pair_value)
    total = float((best * problem.most).sum()) + float(np.abs(problem.slot_value).sum())
    caps = problem.cap.astype(np.float64)
    total += problem.spread_price * float((caps * (problem.load + caps)).sum())
    return 2 * int(total * UNITS) + 2 * (_JITTER + 2) * int(problem.most.sum()) + 1


def _member_arcs(problem: Problem, nodes: _Nodes) -> _Arcs:
    """One arc a member, or one a unit when each further one costs more."""
    member = np.arange(len(problem.cap), dtype=np.int64)
    if problem.spread_price <= 0:
        return _Arcs(
            np.full(len(member), nodes.source),
            member,
            problem.cap.astype(np.int64),
            np.zeros(len(member), np.int64),
        )
    member = np.repeat(member, problem.cap)
    starts = np.repeat(np.cumsum(problem.cap) - problem.cap, problem.cap)
    unit = np.arange(len(member)) - starts
    price = problem.spread_price * (problem.load[member] + unit)
    return _Arcs(
        np.full(len(member), nodes.source), member, np.ones(len(member), np.int64), _units(price)
    )


def _slot_arcs(problem: Problem, nodes: _Nodes, bonus: int) -> list[_Arcs]:
    """From each lead to the sink, one arc a slot; the first over the county, if there is one."""
    width = problem.slot_value.shape[1]
    lead, slot = np.nonzero(np.arange(width) < problem.most[:, None])
    cost = -_units(problem.slot_value[lead, slot])
    # A lead's first member counts for two: nobody gets a second one that another could have first.
    cost -= np.where(slot < problem.least[lead], np.where(slot == 0, 2 * bonus, bonus), 0)
    county = problem.county[lead]
    first_county = nodes.leads.stop
    head = np.where((slot == 0) & (county >= 0), first_county + county, nodes.sink)
    one = np.ones(len(lead), np.int64)
    slots = _Arcs(lead.astype(np.int64) + nodes.leads.start, head.astype(np.int64), one, cost)
    node = np.arange(first_county, nodes.source, dtype=np.int64)
    sink = np.full(len(node), nodes.sink, np.int64)
    ones, many = np.ones(len(node), np.int64), np.full(len(node), len(problem.least), np.int64)
    first = _Arcs(node, sink, ones, np.full(len(node), -bonus, np.int64))
    return [slots, first, _Arcs(node, sink, many, np.zeros(len(node), np.int64))]


def _units(values: NDArray[np.floating[Any]]) -> I64:
    return np.asarray(np.rint(values * UNITS), np.int64)


def _gains(
    problem: Problem, chosen: B8, arcs: _Arcs, flow: I64, nodes: _Nodes
) -> tuple[bool, F64, F64]:
    """Whether the flow is optimal, and what one unit more would bring each member and lead.

    One more unit for a member brings what the cheapest way from the member back to the source
    takes off the cost; one more for a lead, what a way from the sink to the lead and a slot like
    its last one take off.
    """
    proved = _relax(*arcs, flow, np.zeros(nodes.count, np.int64))
    back, ahead = np.full((2, nodes.count), _FAR, np.int64)
    back[nodes.source] = ahead[nodes.sink] = 0
    proved &= _relax(arcs.head, arcs.tail, arcs.capacity, arcs.cost, flow, back)
    proved &= _relax(*arcs, flow, ahead)
    counts = np.bincount(problem.pair_lead[chosen], minlength=len(problem.least))
    last = _units(problem.slot_value[np.arange(len(counts)), problem.most - 1])
    full = counts >= problem.most
    of_members = _price(-back[nodes.members], nodes.bonus)
    of_leads = np.where(full, _price(last - ahead[nodes.leads], nodes.bonus), 0.0)
    return bool(proved), of_members, of_leads


@njit(cache=True, nogil=True)
def _relax(tail: I64, head: I64, capacity: I64, cost: I64, flow: I64, distance: I64) -> bool:
    """Shortens distances (int64[nodes], in place) in the residual network, by Bellman and Ford.

    It ends, and True comes back, when no residual cycle within reach has negative cost; with every
    node within reach that proves the flow optimal. With tail and head exchanged, distances are
    those to a node instead of from it.
    """
    for _ in range(_MOST_PASSES):
        changed = False
        for a in range(len(tail)):
            u, v = tail[a], head[a]
            if flow[a] < capacity[a] and distance[u] < _FAR and distance[u] + cost[a] < distance[v]:
                distance[v] = distance[u] + cost[a]
                changed = True
            if flow[a] > 0 and distance[v] < _FAR and distance[v] - cost[a] < distance[u]:
                distance[u] = distance[v] - cost[a]
                changed = True
        if not changed:
            return True
    return False


def _price(units: I64, bonus: int) -> F64:
    """A gain in the problem's unit, whole bonuses taken out."""
    gain = np.maximum(units, 0)
    gain = gain - np.rint(gain / bonus).astype(np.int64) * bonus
    return np.asarray(np.maximum(gain, 0) / UNITS, np.float64)

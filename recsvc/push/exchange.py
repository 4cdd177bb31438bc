"""A plan made better by exchanges, with the true worth of every set of members.

The flow of `recsvc.push.network` sees a lead's members through a straight line; here the chance
that somebody takes it is counted as it is. A lead takes a member who is free, or whom it gets from
another lead, which takes the best member left to it instead. Each exchange makes the plan better,
no cap or bound is ever broken and no lead loses its last member, so that what the flow covers stays
covered. It ends when no such exchange is left, or after so many rounds.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from recsvc.model.arrays import F64, I32, I64
from recsvc.push.network import B8

_GAIN = 1e-7
"""Less than that is rounding."""


class Sorted(NamedTuple):
    """The candidate pairs by lead, from likely to unlikely: pair j of this order is `order[j]`."""

    order: I64  # [n]
    start: I64  # [L + 1]
    lead: I32  # [n]
    member: I32  # [n]
    probability: F64  # [n]


class Prices(NamedTuple):
    """What leads are worth and pushes cost; see `recsvc.push.optimum.Task`."""

    worth: F64  # [L]
    least: I32  # [L]
    most: I32  # [L]
    load: I32  # [M]
    push: float
    spread: float


class _Plan(NamedTuple):
    """Who has what now: pairs by their place in Sorted, -1 empty."""

    slots: I64  # [L, most of all] pairs of a lead
    taken: I64  # [L] how many
    held: I64  # [M, cap of all] pairs of a member
    given: I64  # [M]
    cap: I32  # [M]


def sort_pairs(pair_lead: I32, pair_member: I32, probability: F64, lead_count: int) -> Sorted:
    """Sorts n pairs."""
    order = np.lexsort((pair_member, -probability, pair_lead))
    lead = pair_lead[order]
    start = np.searchsorted(lead, np.arange(lead_count + 1)).astype(np.int64)
    return Sorted(order, start, lead, pair_member[order], probability[order])


def exchanged(pairs: Sorted, prices: Prices, cap: I32, chosen: B8, rounds: int) -> B8:
    """A plan (bool[n]) at least as good as `chosen` (bool[n])."""
    width, depth = int(prices.most.max(initial=1)), int(cap.max(initial=1))
    plan = _Plan(
        np.full((len(prices.worth), width), -1, np.int64),
        np.zeros(len(prices.worth), np.int64),
        np.full((len(cap), max(depth, 1)), -1, np.int64),
        np.zeros(len(cap), np.int64),
        cap,
    )
    for place in np.flatnonzero(chosen[pairs.order]).tolist():
        _add(plan, pairs, place)
    for _ in range(rounds):
        if _round(plan, pairs, prices) == 0:
            break
    out = np.zeros(len(chosen), bool)
    out[pairs.order[plan.slots[plan.slots >= 0]]] = True
    return out


@njit(cache=True)
def _add(plan: _Plan, pairs: Sorted, place: int) -> None:
    lead, member = pairs.lead[place], pairs.member[place]
    plan.slots[lead, plan.taken[lead]] = place
    plan.taken[lead] += 1
    plan.held[member, plan.given[member]] = place
    plan.given[member] += 1


@njit(cache=True)
def _take(plan: _Plan, pairs: Sorted, place: int) -> None:
    lead, member = pairs.lead[place], pairs.member[place]
    for row, count, owner in ((plan.slots, plan.taken, lead), (plan.held, plan.given, member)):
        last = count[owner] - 1
        for i in range(last):
            if row[owner, i] == place:
                row[owner, i] = row[owner, last]
                break
        row[owner, last] = -1
        count[owner] = last


@njit(cache=True)
def _missed(plan: _Plan, pairs: Sorted, lead: int, without: int) -> float:
    """The chance that none of a lead's members, but for one pair, takes it."""
    missed = 1.0
    for i in range(plan.taken[lead]):
        if plan.slots[lead, i] != without:
            missed *= 1.0 - pairs.probability[plan.slots[lead, i]]
    return missed


@njit(cache=True)
def _has(plan: _Plan, lead: int, place: int) -> bool:
    found = False
    for i in range(plan.taken[lead]):
        found |= plan.slots[lead, i] == place
    return found


@njit(cache=True)
def _load_price(plan: _Plan, prices: Prices, member: int, given: int) -> float:
    """What the `given`-th further push of a member costs for the sake of evenness."""
    return float(prices.spread * (prices.load[member] + given))


@njit(cache=True)
def _loss(
    plan: _Plan, pairs: Sorted, prices: Prices, place: int, freed: int
) -> tuple[float, int]:  # fmt: skip
    """What a lead loses with a pair (0 or more), and the pair it takes instead, -1 for none.

    `freed` is a member who gets a place by the same exchange, -1 for none.
    """
    lead = pairs.lead[place]
    missed, worth = _missed(plan, pairs, lead, place), prices.worth[lead]
    loss = worth * missed * pairs.probability[place] - prices.push
    if plan.taken[lead] <= max(prices.least[lead], 1):
        loss = np.inf
    for other in range(pairs.start[lead], pairs.start[lead + 1]):
        member = pairs.member[other]
        room = plan.given[member] < plan.cap[member] or member == freed
        if not room or _has(plan, lead, other):
            continue
        instead = worth * missed * (pairs.probability[place] - pairs.probability[other])
        if prices.spread > 0.0:
            instead += _load_price(plan, prices, member, plan.given[member] - (member == freed))
        if instead < loss:
            return instead, other
        if prices.spread == 0.0:
            break
    return loss, -1


@njit(cache=True)
def _best_exchange(
    plan: _Plan, pairs: Sorted, prices: Prices, lead: int
) -> tuple[float, int, int, int, int]:
    """The best one for a lead: its gain, the pair it gets, the pair it gives up, the pair it takes
    from another lead, the pair that one gets instead; -1 for none.
    """
    best, get, give, taken, instead = _GAIN, -1, -1, -1, -1
    worst = -1
    for i in range(plan.taken[lead]):
        place = plan.slots[lead, i]
        if worst < 0 or pairs.probability[place] < pairs.probability[worst]:
            worst = place
    all_missed = prices.worth[lead] * _missed(plan, pairs, lead, -1)
    worst_missed = prices.worth[lead] * _missed(plan, pairs, lead, worst)
    for place in range(pairs.start[lead], pairs.start[lead + 1]):
        p, member = pairs.probability[place], pairs.member[place]
        more = all_missed * p - prices.push if plan.taken[lead] < prices.most[lead] else -np.inf
        swap = worst_missed * (p - pairs.probability[worst]) if worst >= 0 else -np.inf
        if more <= best and swap <= best:
            if prices.spread == 0.0:
                break  # pairs are sorted: nothing better follows
            continue
        if _has(plan, lead, place):
            continue
        for gives in range(2):
            gain = swap if gives else more
            freed = pairs.member[worst] if gives else -1
            if prices.spread > 0.0:
                if gives:
                    gain += _load_price(plan, prices, freed, plan.given[freed] - 1)
                if plan.given[member] < plan.cap[member]:
                    gain -= _load_price(plan, prices, member, plan.given[member])
            if gain <= best:
                continue
            if plan.given[member] < plan.cap[member]:
                best, get, give = gain, place, worst if gives else -1
                taken, instead = -1, -1
                continue
            for i in range(plan.given[member]):
                other = plan.held[member, i]
                if pairs.lead[other] == lead:
                    continue
                loss, found = _loss(plan, pairs, prices, other, freed)
                if gain - loss > best:
                    best, get, give = gain - loss, place, worst if gives else -1
                    taken, instead = other, found
    return best, get, give, taken, instead


@njit(cache=True, nogil=True)
def _round(plan: _Plan, pairs: Sorted, prices: Prices) -> int:
    """Has every lead exchange while it can; how many exchanges were made."""
    made = 0
    for lead in range(len(prices.worth)):
        while True:
            _, get, give, taken, instead = _best_exchange(plan, pairs, prices, lead)
            if get < 0:
                break
            for place in (give, taken):
                if place >= 0:
                    _take(plan, pairs, place)
            for place in (get, instead):
                if place >= 0:
                    _add(plan, pairs, place)
            made += 1
    return made

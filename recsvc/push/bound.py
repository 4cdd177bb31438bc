"""What no plan on the candidate pairs can exceed, and what members' places are worth.

Lagrange's relaxation: a price on every place of a member instead of the caps (Held, Wolfe & Crowder
1974). For any prices q the sum over leads of the best set at these prices, plus the price of all
places, is at least what the best plan is worth; subgradient steps (Polyak 1969, with the value of
the plan at hand as the target) make that sum small. Up to three members a lead the best set is
found exactly, among the pairs that are not beaten by so many others in chance and price; beyond
that a line above the concave chance (see `recsvc.push.optimum`) bounds it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from recsvc.model.arrays import F64, I32, I64
from recsvc.push.exchange import Prices, Sorted

_EXACT = 3
_SLOPES = 24
_PATIENCE = 4


class Bound(NamedTuple):
    """`value` is at least the worth of every plan; `place` is the price of each member's places."""

    value: float
    place: F64  # [M]


def lagrange_bound(
    pairs: Sorted, prices: Prices, cap: I32, start: F64, target: float, steps: int, close: float
) -> Bound:
    """The least bound of so many steps from `start` prices (float64[M]).

    `target` is what the plan at hand is worth; it ends when the bound is within the share `close`.
    """
    place, best = start.copy(), Bound(np.inf, start)
    used = np.zeros(len(cap), np.int64)
    theta, waited = 1.0, 0
    for _ in range(steps):
        value = _best_sets(pairs, prices, place, used) + _of_places(prices, cap, place)
        if value < best.value:
            best, waited = Bound(value, place.copy()), 0
        else:
            waited += 1
            if waited == _PATIENCE:
                theta, waited, place = theta / 2, 0, best.place.copy()
                continue
        if best.value - target <= close * abs(best.value):
            break
        slack = _wanted(prices, cap, place) - used
        slack = np.where((place <= 0) & (slack > 0), 0, slack)
        length = float((slack.astype(np.float64) ** 2).sum())
        if length == 0:
            break
        place = np.maximum(place - theta * (value - target) / length * slack, 0.0)
    return best


def _wanted(prices: Prices, cap: I32, place: F64) -> I64:
    """How many places of each member are sold at a price: all, or those that cost no more."""
    if prices.spread <= 0:
        return cap.astype(np.int64)
    with np.errstate(over="ignore"):  # at hardly any price for evenness all are sold
        sold = np.floor(place / prices.spread - prices.load) + 1.0
    return np.clip(sold, 0, cap).astype(np.int64)


def _of_places(prices: Prices, cap: I32, place: F64) -> float:
    """The price of all places sold, less what evenness makes them cost."""
    sold = _wanted(prices, cap, place)
    total = float((place * sold).sum())
    return total - prices.spread * float((sold * prices.load + sold * (sold - 1) // 2).sum())


@njit(cache=True, nogil=True)
def _best_sets(pairs: Sorted, prices: Prices, place: F64, used: I64) -> float:
    """The sum over leads of their best sets; `used` int64[M] counts how often a member is in."""
    used[:] = 0
    total = 0.0
    kept = np.empty(max(len(pairs.lead), 1), np.int64)
    for lead in range(len(prices.worth)):
        most = prices.most[lead]
        if most > _EXACT:
            total += _line(pairs, prices, place, lead, used)
            continue
        # A pair is beaten by `most` that are likelier and no dearer: three prices tell.
        count, low, middle, high = 0, np.inf, np.inf, np.inf
        for j in range(pairs.start[lead], pairs.start[lead + 1]):
            price = place[pairs.member[j]]
            if price >= (low if most == 1 else middle if most == 2 else high):
                continue
            kept[count] = j
            count += 1
            if price < low:
                low, middle, high = price, low, middle
            elif price < middle:
                middle, high = price, middle
            elif price < high:
                high = price
        total += _exact(pairs, prices, place, lead, kept[:count], most, used)
    return total


@njit(cache=True)
def _exact(
    pairs: Sorted, prices: Prices, place: F64, lead: int, kept: I64, most: int, used: I64
) -> float:
    """The best set of at most three pairs, of `kept`, which are sorted by chance."""
    worth = prices.worth[lead]
    best = -np.inf if prices.least[lead] > 0 and len(kept) > 0 else 0.0
    a = b = c = -1
    for i in range(len(kept)):
        missed = 1.0 - pairs.probability[kept[i]]
        paid = place[pairs.member[kept[i]]] + prices.push
        if worth * (1.0 - missed) - paid > best:
            best, a, b, c = worth * (1.0 - missed) - paid, i, -1, -1
        if most < 2 or worth - paid <= best:
            continue
        for j in range(i + 1, len(kept)):
            missed_2 = missed * (1.0 - pairs.probability[kept[j]])
            paid_2 = paid + place[pairs.member[kept[j]]] + prices.push
            if worth * (1.0 - missed_2) - paid_2 > best:
                best, a, b, c = worth * (1.0 - missed_2) - paid_2, i, j, -1
            if most < 3 or worth - paid_2 - prices.push <= best:
                continue
            for k in range(j + 1, len(kept)):
                gone = missed_2 * (1.0 - pairs.probability[kept[k]])
                value = worth * (1.0 - gone) - paid_2 - place[pairs.member[kept[k]]] - prices.push
                if value > best:
                    best, a, b, c = value, i, j, k
    for i in (a, b, c):
        if i >= 0:
            used[pairs.member[kept[i]]] += 1
    return best


@njit(cache=True)
def _line(pairs: Sorted, prices: Prices, place: F64, lead: int, used: I64) -> float:
    """The least over lines of what the best set under the line is worth."""
    begin, end, most = pairs.start[lead], pairs.start[lead + 1], prices.most[lead]
    worth = prices.worth[lead]
    gains = np.empty(end - begin)
    best, at = np.inf, 1.0
    for step in range(_SLOPES):
        slope = np.exp(-0.35 * step)
        for j in range(begin, end):
            gain = -slope * worth * np.log1p(-pairs.probability[j])
            gains[j - begin] = max(gain - place[pairs.member[j]] - prices.push, 0.0)
        value = worth * (1.0 - slope + slope * np.log(slope)) + np.sort(gains)[-most:].sum()
        if value < best:
            best, at = value, slope
    taken = 0
    for j in range(begin, end):
        gain = -at * worth * np.log1p(-pairs.probability[j]) - place[pairs.member[j]] - prices.push
        if gain > 0.0 and taken < most:
            used[pairs.member[j]] += 1
            taken += 1
    return best

"""Which leads go together: who took the one took the other, too.

Training learns for each lead how much its nearest leads speak for it (`training.neighbours`). A
member's own leads, each with what it speaks for, add up to a short list of leads that go with
theirs: the feature `co_taken`, and a source of candidates.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from recsvc.model.arrays import CO_TAKEN, F32, I32, I64, NO_LEAD

MOST_OWN = 64
"""A member's leads beyond these many strongest are not asked what goes with them."""


class Neighbours(NamedTuple):
    """For each of n leads, the leads it speaks for and how much: a sparse matrix by rows."""

    start: I64  # [n + 1]
    lead: I32  # [e]
    weight: F32  # [e] may be negative

    def known(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """bool[n]: leads that speak for another, or another for them."""
        found = np.diff(self.start) > 0
        found[self.lead] = True
        return found


def no_neighbours(count: int) -> Neighbours:
    """Neighbours of n leads of which nothing is known."""
    return Neighbours(np.zeros(count + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))


@njit(cache=True, nogil=True)
def co_taken(neighbours: Neighbours, own_start: I64, own: I32, strength: F32) -> tuple[I32, F32]:
    """The leads that most go with a member's own: int32[m, 64] ascending, float32[m, 64].

    Own leads of member i are [own_start[i], own_start[i + 1]) of `own`, `strength` says which are
    the strongest; none of them is in the list. Padded with NO_LEAD and 0.
    """
    count = len(own_start) - 1
    rows = np.full((count, CO_TAKEN), NO_LEAD, np.int32)
    sums = np.zeros((count, CO_TAKEN), np.float32)
    for member in range(count):
        begin, end = own_start[member], own_start[member + 1]
        mine = own[begin:end]
        if end - begin > MOST_OWN:
            mine = mine[np.argsort(-strength[begin:end], kind="mergesort")[:MOST_OWN]]
        found, weight = _summed(neighbours, mine)
        weight[_is_one_of(found, np.sort(own[begin:end]))] = 0.0
        best = np.argsort(-weight, kind="mergesort")[:CO_TAKEN]
        best = np.sort(best[weight[best] > 0.0])
        rows[member, : len(best)] = found[best]
        sums[member, : len(best)] = weight[best]
    return rows, sums


@njit(cache=True)
def _summed(neighbours: Neighbours, own: I32) -> tuple[I32, F32]:
    """Each lead that one of the own speaks for, ascending, and the sum of what they say."""
    start = neighbours.start
    total = 0
    for lead in own:
        total += start[lead + 1] - start[lead]
    rows = np.empty(total, np.int32)
    weights = np.empty(total, np.float32)
    at = 0
    for lead in own:
        size = start[lead + 1] - start[lead]
        rows[at : at + size] = neighbours.lead[start[lead] : start[lead + 1]]
        weights[at : at + size] = neighbours.weight[start[lead] : start[lead + 1]]
        at += size
    order = np.argsort(rows, kind="mergesort")
    count = 0
    found = np.empty(total, np.int32)
    sums = np.zeros(total, np.float32)
    for at in order:
        if count == 0 or found[count - 1] != rows[at]:
            found[count] = rows[at]
            count += 1
        sums[count - 1] += weights[at]
    return found[:count], sums[:count]


@njit(cache=True)
def _is_one_of(rows: I32, ascending: I32) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    found = np.zeros(len(rows), np.bool_)
    for i in range(len(rows)):
        at = np.searchsorted(ascending, rows[i])
        found[i] = at < len(ascending) and ascending[at] == rows[i]
    return found


@njit(cache=True)
def place_of(ascending: I32, row: int) -> int:
    """Where a row stands in an ascending list, -1 when it does not."""
    low, high = 0, len(ascending)
    while low < high:
        middle = (low + high) // 2
        if ascending[middle] < row:
            low = middle + 1
        else:
            high = middle
    return low if low < len(ascending) and ascending[low] == row else -1

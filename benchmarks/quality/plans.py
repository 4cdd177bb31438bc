"""Simple plans under a cap, to see on whom pushes fall. The product's own planner comes after."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.metrics import share_of_top

Ints = NDArray[np.int32]


def capped_plan(rows: Ints, member_count: int, pushes: int, member_cap: int) -> Ints:
    """Whom each lead is pushed to (int32[n, pushes], -1 nobody), leads (lists int32[n, k]) in turn.

    In round i every lead takes its best member that still has room, so no lead starves another.
    """
    room = np.full(member_count, member_cap)
    place = np.zeros(len(rows), np.int64)
    plan = np.full((len(rows), pushes), -1, np.int32)
    for turn in range(pushes):
        for lead in range(len(rows)):
            while place[lead] < rows.shape[1] and rows[lead, place[lead]] >= 0:
                member = rows[lead, place[lead]]
                place[lead] += 1
                if room[member] > 0:
                    room[member] -= 1
                    plan[lead, turn] = member
                    break
    return plan


def share_bounds(member_count: int, push_count: int, member_cap: int) -> tuple[float, float]:
    """The shares that the top 1 % get of so many pushes: spread evenly, and as far as the cap goes.

    With few pushes the second is no more than the cap at work: it tells plans apart no longer.
    """
    push_count = min(push_count, member_count * member_cap)
    even = np.full(member_count, push_count // member_count)
    even[: push_count % member_count] += 1
    most = np.zeros(member_count, np.int64)
    most[: push_count // member_cap] = member_cap
    most[push_count // member_cap : push_count // member_cap + 1] += push_count % member_cap
    return share_of_top(even), share_of_top(most)


def best_of_members(member: Ints, scores: NDArray[np.floating], cap: int) -> NDArray[np.bool_]:
    """bool[n]: the pairs that are among the `cap` best of their member."""
    order = np.lexsort((-scores, member))
    place = np.arange(len(order)) - np.searchsorted(member[order], member[order])
    kept = np.zeros(len(order), bool)
    kept[order[place < cap]] = True
    return kept

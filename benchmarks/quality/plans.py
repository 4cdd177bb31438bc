"""Simple plans under a cap, to see on whom pushes fall. The product's own planner comes after."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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


def best_of_members(member: Ints, scores: NDArray[np.floating], cap: int) -> NDArray[np.bool_]:
    """bool[n]: the pairs that are among the `cap` best of their member."""
    order = np.lexsort((-scores, member))
    place = np.arange(len(order)) - np.searchsorted(member[order], member[order])
    kept = np.zeros(len(order), bool)
    kept[order[place < cap]] = True
    return kept

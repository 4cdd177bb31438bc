"""How evenly pushes fall on members: the share of the busiest hundredth, and how it is bounded."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from recsvc.model.arrays import I32
from recsvc.model.snapshot import Snapshot
from recsvc.push.flow import Solver
from recsvc.push.network import B8
from recsvc.push.optimum import Optimum, Task, optimise

BUSIEST = 0.01
_TRIES = 5
_EVENLY = 1.25
"""A limit below so many times what an even plan has is not asked for."""
_STEP = 4.0
"""How much dearer a further push of the same member gets with each try."""


def busiest_share(loads: NDArray[np.integer], member_count: int) -> float:
    """Share of all pushes that go to the busiest 1 % of `member_count` members (at least one).

    `loads` int[n] are pushes by member; members who got none may be left out.
    """
    total = int(loads.sum())
    if total == 0:
        return 0.0
    top = max(1, math.ceil(BUSIEST * member_count))
    return float(np.sort(loads)[::-1][:top].sum() / total)


def even_share(pushes: int, member_count: int) -> float:
    """The busiest share when pushes are spread as evenly as can be: no plan has less.

    With fewer pushes than members it is above a hundredth, because nobody gets half a push.
    """
    top = max(1, math.ceil(BUSIEST * member_count))
    return min(1.0, top / max(min(pushes, member_count), 1))


def limit_in_force(limit: float, pushes: int, member_count: int) -> float:
    """The limit; where so few pushes cannot be spread so evenly, a little above what an even plan
    has.
    """
    return max(limit, _EVENLY * even_share(pushes, member_count))


def caps_of_calm(task: Task, chosen: B8, others: I32, member_count: int) -> I32:
    """Caps (int32[M]) that let nobody who is not among the busiest of a plan become one of them."""
    given = np.bincount(task.pair_member[chosen], minlength=len(task.cap))
    loads = np.concatenate([task.load + given, others])
    top = max(1, math.ceil(BUSIEST * member_count))
    least_busy = int(np.sort(loads)[-top]) if top <= len(loads) else int(loads.max(initial=0))
    calm = np.maximum(given, least_busy - task.load)
    return np.minimum(task.cap, calm).astype(np.int32)


def spread_plan(
    task: Task, others: I32, member_count: int, limit: float, seed: int, solver: Solver
) -> tuple[Optimum, float]:
    """The best plan whose busiest share keeps `limit`, if a price on load can get there.

    `others` are the loads of the window of members outside the task. When the limit cannot be kept
    (few members, or a past that is uneven) the most even of the plans tried comes back. Gives the
    plan and its share.
    """
    price, best = 0.0, None
    for attempt in range(_TRIES + 1):
        found = optimise(task, seed, price, solver)
        given = np.bincount(task.pair_member[found.flow.chosen], minlength=len(task.cap))
        loads = np.concatenate([task.load + given, others])
        share = busiest_share(loads, member_count)
        limit = limit_in_force(limit, int(loads.sum()), member_count)
        if best is None or share < best[1]:
            best = found, share
        if share <= limit or not given.any():
            return found, share
        mean = float(task.worth.mean() * task.probability.mean())
        price = 0.02 * mean * _STEP**attempt
    assert best is not None, "there was at least one try"
    return best


def active_members(snapshot: Snapshot) -> int:
    """How many members could be pushed anything."""
    return sum(
        int(((columns.alive > 0) & (columns.active > 0)).sum())
        for _, columns in snapshot.members.segments()
    )

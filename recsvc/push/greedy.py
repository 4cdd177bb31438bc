"""A greedy plan: the push that adds most, again and again, while it adds more than it costs.

For a function with decreasing gains, as the chance that somebody takes a lead is, greedy reaches at
least 1 - 1/e of the best for one lead's bounds, and half of it under caps of members, too (Fisher,
Nemhauser & Wolsey 1978).
"""

from __future__ import annotations

import heapq

import numpy as np

from recsvc.push.network import B8
from recsvc.push.optimum import Task


def greedy_plan(task: Task) -> B8:
    """Which pairs (bool[n]) are pushed: each lead's `least` first, then what is worth its price."""
    chosen = np.zeros(len(task.pair_lead), bool)
    free, given = task.cap.copy(), np.zeros(len(task.worth), np.int64)
    missed = task.worth.astype(np.float64)  # worth of a lead that nobody asked so far takes
    heap = [
        (-float(missed[lead] * p), at)
        for at, (lead, p) in enumerate(zip(task.pair_lead, task.probability, strict=True))
    ]
    for needed in (True, False):
        waiting = list(heap)
        heapq.heapify(waiting)
        while waiting:
            gain, at = heapq.heappop(waiting)
            lead, member = int(task.pair_lead[at]), int(task.pair_member[at])
            limit = task.least[lead] if needed else task.most[lead]
            if chosen[at] or given[lead] >= limit or free[member] <= 0:
                continue
            now = -float(missed[lead] * task.probability[at])
            if now > gain:  # the lead has got somebody since: worth less, looked at again later
                heapq.heappush(waiting, (now, at))
            elif needed or -now > task.push_price:
                chosen[at] = True
                free[member] -= 1
                given[lead] += 1
                missed[lead] *= 1.0 - float(task.probability[at])
    return chosen

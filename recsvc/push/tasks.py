"""From scored pairs to the optimiser's dense numbers, and back."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from recsvc.model.arrays import F64, I32, I64
from recsvc.push.candidates import Pairs
from recsvc.push.caps import Allowance
from recsvc.push.due import Due
from recsvc.push.network import B8
from recsvc.push.optimum import Task


class Numbered(NamedTuple):
    """A Task, and which global rows its dense numbers stand for."""

    task: Task
    members: I64  # [M]
    due_at: I64  # [L] place of each lead in Due


def number_task(
    pairs: Pairs, due: Due, which: B8, allowance: Allowance, used: I32, push_price: float
) -> Numbered:
    """The task over some of the due leads (`which` bool[due]).

    `used` int32[members] are places of the caps that are taken already.
    """
    due_at = np.flatnonzero(which)
    rows = due.row[due_at]
    at = np.minimum(np.searchsorted(rows, pairs.lead), max(len(rows) - 1, 0))
    kept = rows[at] == pairs.lead if len(rows) else np.zeros(len(pairs.lead), bool)
    members, number = np.unique(pairs.member[kept], return_inverse=True)
    task = Task(
        number.astype(np.int32),
        at[kept].astype(np.int32),
        pairs.probability[kept],
        due.worth[due_at],
        due.least[due_at],
        due.most[due_at],
        due.county[due_at],
        np.maximum(allowance.free[members] - used[members], 0).astype(np.int32),
        (allowance.load[members] + used[members]).astype(np.int32),
        push_price,
    )
    return Numbered(task, members, due_at)


def marginal_values(task: Task, chosen: B8) -> F64:
    """What each chosen pair (float64[n], 0 elsewhere) adds to the plan it is in."""
    p = np.minimum(np.where(chosen, task.probability, 0.0), 0.999)
    total = np.bincount(task.pair_lead, np.log1p(-p), minlength=len(task.worth))
    without = np.exp(total[task.pair_lead] - np.log1p(-p))
    return np.asarray(task.worth[task.pair_lead] * p * without)


def rank_in_lead(task: Task) -> I64:
    """0-based place of each pair among its lead's, by probability (int64[n])."""
    order = np.lexsort((-task.probability, task.pair_lead))
    lead = task.pair_lead[order]
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - np.searchsorted(lead, lead)
    return rank

"""Which base members may be offered anything, and how many by organization: for every lead alike.

Worked out once and kept: a request reads it, a change corrects the rows it touches.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from recsvc.model.additive import AdditiveModel
from recsvc.model.arrays import F32, I32, I64, U8, MemberColumns
from recsvc.model.member_worth import member_worth
from recsvc.model.segments import Table
from recsvc.model.terms import TermContext
from recsvc.model.verdicts import Verdict

RISEN = 0.25
"""A member worth so much more (log-odds) than when the runs were sorted is looked at anyway."""

_KEPT, _GONE, _INACTIVE = int(Verdict.KEPT), int(Verdict.DELETED), int(Verdict.INACTIVE)


class OpenMembers:
    """What stands against each base member whatever the lead, and what has changed since."""

    def __init__(
        self,
        members: Table[MemberColumns],
        worth: F32,
        model: AdditiveModel,
        context: TermContext,
    ) -> None:
        """`worth` float32[n]: of each base member alone, when the runs were sorted."""
        self._members = members
        self._worth = worth
        self._model = model
        self._context = context
        base = members.base
        self.verdict: U8 = np.where(base.active == 0, _INACTIVE, _KEPT).astype(np.uint8)
        self.verdict[base.alive == 0] = _GONE
        self.open_count: I64 = self._count(_KEPT)  # [organizations + 1], last: of none
        self.inactive_count: I64 = self._count(_INACTIVE)
        self._risen: set[int] = set()
        self.changes = 0
        """Moves whenever rows were corrected."""

    def follow(self) -> I32:
        """Takes in what happened to base rows; those worth much more now than they were."""
        touched = self._members.take_touched()
        if touched:
            self.changes += 1
            rows = np.array(touched, np.int32)
            risen = _correct(
                self._model,
                self._context,
                self._members.base,
                rows,
                self._worth,
                self.verdict,
                self.open_count,
                self.inactive_count,
            )
            self._risen.difference_update(touched)
            self._risen.update(rows[risen].tolist())
        return np.fromiter(self._risen, np.int32, len(self._risen))

    def _count(self, verdict: int) -> I64:
        organization = self._members.base.organization
        places = max(int(organization.max(initial=-1)) + 1, 0) + 1
        rows = organization[self.verdict == verdict] % places  # -1 is the last place
        return np.bincount(rows, minlength=places).astype(np.int64)


@njit(cache=True)
def _correct(
    model: AdditiveModel,
    context: TermContext,
    members: MemberColumns,
    rows: I32,
    worth: F32,
    verdict: U8,
    open_count: I64,
    inactive_count: I64,
) -> NDArray[np.bool_]:
    """Corrects what is kept of some rows (int32[k]); which of them are worth much more now."""
    risen = np.zeros(len(rows), np.bool_)
    for at in range(len(rows)):
        row = rows[at]
        new = _KEPT if members.active[row] else _INACTIVE
        if members.alive[row] == 0:
            new = _GONE
        organization = members.organization[row]
        old = verdict[row]
        open_count[organization] += int(new == _KEPT) - int(old == _KEPT)
        inactive_count[organization] += int(new == _INACTIVE) - int(old == _INACTIVE)
        verdict[row] = new
        if new == _KEPT:
            risen[at] = member_worth(model, context, members, row) > worth[row] + RISEN
    return risen


@njit(cache=True)
def row_of_key(keys: I64, by_key: I32, key: int) -> int:
    """The row that has a key, -1 when none has; `by_key` are the rows by rising key."""
    low, high = 0, len(by_key)
    while low < high:
        middle = (low + high) // 2
        if keys[by_key[middle]] < key:
            low = middle + 1
        else:
            high = middle
    return int(by_key[low]) if low < len(by_key) and keys[by_key[low]] == key else -1


@njit(cache=True)
def rows_of_keys(keys: I64, by_key: I32, wanted: I64) -> I32:
    """The rows (int32[k], ascending) that have the `wanted` keys, each of these given once."""
    rows = np.empty(len(wanted), np.int32)
    count = 0
    for key in wanted:
        row = row_of_key(keys, by_key, key)
        if row >= 0:
            rows[count] = row
            count += 1
    return np.sort(rows[:count])

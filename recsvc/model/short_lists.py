"""Short lists: leads that a thorough search found for each member when the bundle was published,
and members that it found for each open lead.

A search that takes its time finds more than one that is waited for, and what it finds stays good
for days: what changes with every hour (who holds a lead, what the member has seen, its age) is
asked anew of the few that are listed. What opened since, and whoever acted since, is not in the
lists: see `recsvc.matching.short_lists` for who is served from them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsvc.model.arrays import I32, I64, U8
from recsvc.model.open_members import OpenMembers
from recsvc.model.organizations import OrganizationTree


class ShortLists(NamedTuple):
    """Of m base members, for whom n base leads were looked at, or the other way round."""

    row: I32  # [m, k] base rows of the other side, best first, -1 padded; only -1: no list
    open_then: U8  # [n] whether the other side's row was open when the lists were made
    reach: I64  # [organizations + 1] see `OrganizationTree.reach_sums`, when they were made
    made_us: int


class ListedReach:
    """Whose members may see the same organizations' leads as when the lists were made."""

    def __init__(self, organizations: OrganizationTree, then: I64 | None) -> None:
        self._organizations = organizations
        self._then = np.empty(0, np.int64) if then is None else then
        self._version = -1
        self._same = np.zeros(1, np.bool_)

    def all_same(self) -> bool:
        """Whether that is so of all that were there; who sits on a newer one is a changed row."""
        if self._version != self._organizations.version:
            self._compare()
        then = max(len(self._then) - 1, 0)
        return bool(self._same[:then].all() and self._same[-1])

    def is_same(self, organization: int) -> bool:
        """Of the members of one organization (its row, -1 none); False of one that came since."""
        if self._version != self._organizations.version:
            self._compare()
        return bool(self._same[organization])

    def _compare(self) -> None:
        same: NDArray[np.bool_] = np.zeros(len(self._organizations) + 1, np.bool_)
        if count := len(self._then):
            now = self._organizations.reach_sums(count - 1) == self._then
            same[: count - 1], same[-1] = now[:-1], now[-1]
        self._same, self._version = same, self._organizations.version


class OpenedMembers:
    """Base members who may be offered leads and could not when the lists were made."""

    def __init__(self, state: OpenMembers, open_then: U8) -> None:
        self._state = state
        self._open_then = open_then
        self._at = -1
        self._rows = np.empty(0, np.int32)

    def rows(self) -> I32:
        """Now."""
        if self._at != self._state.changes:
            self._at = self._state.changes
            self._rows = np.flatnonzero((self._state.verdict == 0) & (self._open_then == 0)).astype(
                np.int32
            )
        return self._rows

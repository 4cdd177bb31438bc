"""Conflicts of interest (回避): what a member must not be offered, whatever the score."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numba import njit

from features.entities import Conflict
from recsvc.model.arrays import I64, stable_key
from recsvc.model.organizations import OrganizationTree
from recsvc.store.codec import entity_id


@njit(cache=True)
def holds(sorted_values: I64, value: int) -> bool:
    """Whether a sorted array has the value."""
    at = np.searchsorted(sorted_values, value)
    return bool(at < len(sorted_values) and sorted_values[at] == value)


@dataclass(frozen=True)
class Recusal:
    """What a member must not be offered: sorted stable keys and organization rows (int64[])."""

    lead_keys: I64 = field(default_factory=lambda: np.empty(0, np.int64))
    author_keys: I64 = field(default_factory=lambda: np.empty(0, np.int64))
    organizations: I64 = field(default_factory=lambda: np.empty(0, np.int64))

    def covers(self, lead_key: int, author_key: int, organization: int) -> bool:
        """Whether a lead with these keys falls under the recusal."""
        return bool(
            holds(self.lead_keys, lead_key)
            or holds(self.author_keys, author_key)
            or holds(self.organizations, organization)
        )


_NO_RECUSAL = Recusal()


@dataclass
class Recusals:
    """Conflicts (回避) by member, as the masks read them."""

    organizations: OrganizationTree
    by_member: dict[str, dict[str, Conflict]] = field(default_factory=lambda: defaultdict(dict))
    lifted: set[str] = field(default_factory=set)  # members with a conflict that was deleted
    _masks: dict[str, Recusal] = field(default_factory=dict)
    _of_target: dict[tuple[str, int], set[str]] | None = None

    def put(self, conflict: Conflict) -> None:
        """Adds a conflict, or replaces it."""
        self.by_member[conflict.member_id][entity_id(conflict)] = conflict
        self._masks.pop(conflict.member_id, None)
        self._of_target = None

    def delete(self, conflict_id: str) -> None:
        """Forgets a conflict by its record id."""
        member_id = conflict_id.rpartition("~")[0]
        if self.by_member.get(member_id, {}).pop(conflict_id, None) is not None:
            self.lifted.add(member_id)
            self._masks.pop(member_id, None)
            self._of_target = None

    def members_of(self, lead_key: int, author_key: int, organization: int) -> set[str]:
        """Ids of the members who must not be offered a lead with these keys."""
        if self._of_target is None:
            self._of_target = self._by_target()
        found: set[str] = set()
        for target in (("lead", lead_key), ("author", author_key), ("organization", organization)):
            found |= self._of_target.get(target, set())
        return found

    def _by_target(self) -> dict[tuple[str, int], set[str]]:
        index: dict[tuple[str, int], set[str]] = defaultdict(set)
        for member_id in self.by_member:
            recusal = self.mask(member_id)
            columns = (recusal.lead_keys, recusal.author_keys, recusal.organizations)
            for kind, keys in zip(("lead", "author", "organization"), columns, strict=True):
                for key in keys.tolist():
                    index[kind, key].add(member_id)
        return dict(index)

    def mask(self, member_id: str) -> Recusal:
        """What this member must not be offered."""
        if member_id not in self.by_member:
            return _NO_RECUSAL
        if member_id not in self._masks:
            conflicts = list(self.by_member[member_id].values())
            self._masks[member_id] = Recusal(
                _sorted(stable_key(c.lead_id) for c in conflicts if c.lead_id),
                _sorted(stable_key(c.author_id) for c in conflicts if c.author_id),
                _sorted(
                    self.organizations.row(c.organization_id)
                    for c in conflicts
                    if c.organization_id
                ),
            )
        return self._masks[member_id]


def _sorted(values: Iterable[int]) -> I64:
    return np.array(sorted(values), np.int64)

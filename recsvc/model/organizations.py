"""The organization tree of a tenant and its jurisdiction rules (三级联动)."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from features.entities import Organization
from features.errors import DataError
from recsvc.model.arrays import I64, U8

RULES = frozenset({"OWN", "PARENTS", "CHILDREN", "NEIGHBOURS", "ANY"})


def parse_jurisdiction(text: str) -> frozenset[str]:
    """The rules in a `;`-separated text; empty text means ANY. Raises DataError."""
    rules = frozenset(r.strip().upper() for r in text.split(";") if r.strip())
    unknown = rules - RULES
    if unknown:
        raise DataError(
            f"unknown jurisdiction rule {min(unknown)!r}: use {', '.join(sorted(RULES))}"
        )
    return rules or frozenset({"ANY"})


class OrganizationTree:
    """Organizations by row, and who may be offered whose leads.

    Rows never move: a new organization gets the next row, so columns may keep row numbers.
    """

    def __init__(self, organizations: Iterable[Organization] = (), ids: Iterable[str] = ()) -> None:
        """`ids` get the first rows in their order; of some nothing else need be known."""
        self._items: list[Organization | None] = []
        self._rows: dict[str, int] = {}
        self._allowed: NDArray[np.uint8] | None = None
        self.version = 0  # moves with every change of who may see what
        for identifier in ids:
            self.row(identifier)
        for organization in organizations:
            self.put(organization)

    def __len__(self) -> int:
        return len(self._items)

    @property
    def ids(self) -> tuple[str, ...]:
        """All ids that were ever named, by row."""
        return tuple(self._rows)

    def row(self, organization_id: str) -> int:
        """The row of an id, made when a member or lead names it first; -1 for the empty id."""
        if not organization_id:
            return -1
        row = self._rows.get(organization_id, -1)
        if row < 0:
            row = self._rows[organization_id] = len(self._items)
            self._items.append(None)
            self._changed()
        return row

    def find(self, organization_id: str) -> int:
        """The row of an id, -1 when nobody has named it."""
        return self._rows.get(organization_id, -1)

    def get(self, row: int) -> Organization | None:
        """The organization at a row; None when only its id is known."""
        return self._items[row] if 0 <= row < len(self._items) else None

    def put(self, organization: Organization) -> None:
        """Adds or replaces; raises DataError for an unknown jurisdiction rule."""
        parse_jurisdiction(organization.jurisdiction)
        self._items[self.row(organization.organization_id)] = organization
        self.row(organization.parent_id)  # children of one parent are neighbours, known or not
        self._changed()

    def delete(self, organization_id: str) -> None:
        """Forgets an organization; its row stays, without rules."""
        row = self.find(organization_id)
        if row >= 0:
            self._items[row] = None
            self._changed()

    def _changed(self) -> None:
        self._allowed = None
        self.version += 1

    def items(self) -> list[Organization]:
        """All known organizations."""
        return [o for o in self._items if o is not None]

    def visible_leads(self, member_organization: int) -> U8:
        """uint8[len + 1]: whose leads its members may see (the last entry: no organization)."""
        visible: U8 = self._matrix()[member_organization]
        return visible

    def visible_members(self, lead_organization: int) -> U8:
        """uint8[len + 1]: whose members may see leads of this organization (last: none)."""
        return np.ascontiguousarray(self._matrix()[:, lead_organization])

    def reach_sums(self, count: int) -> I64:
        """A checksum (int64[count + 1]) of what members of each of the first `count` may see.

        Of the first `count` organizations' leads and those of none; last: members of none.
        """
        matrix = self._matrix()
        first = [*range(count), -1]
        rows = np.ascontiguousarray(matrix[np.ix_(first, first)])
        return np.array([zlib.crc32(row) for row in rows], np.int64)

    def _matrix(self) -> U8:
        """Member organization x lead organization; row and column -1 stand for "none"."""
        if self._allowed is None:
            count = len(self._items)
            allowed = np.ones((count + 1, count + 1), np.uint8)
            parents = np.array([self._parent(row) for row in range(count)], np.int64)
            for row, organization in enumerate(self._items):
                if organization is not None:
                    rules = parse_jurisdiction(organization.jurisdiction)
                    if "ANY" not in rules:
                        allowed[row, :count] = self._reach(row, rules, parents)
            self._allowed = allowed
        return self._allowed

    def _parent(self, row: int) -> int:
        organization = self._items[row]
        return self.find(organization.parent_id) if organization is not None else -1

    def _reach(self, row: int, rules: frozenset[str], parents: NDArray[np.int64]) -> U8:
        reach = np.zeros(len(parents), np.uint8)
        reach[row] = "OWN" in rules
        if "PARENTS" in rules:
            reach[self._ancestors(row, parents)] = 1
        if "CHILDREN" in rules:
            for other in range(len(parents)):
                if row in self._ancestors(other, parents):
                    reach[other] = 1
        if "NEIGHBOURS" in rules and parents[row] >= 0:
            siblings = parents == parents[row]
            siblings[row] = False
            reach[siblings] = 1
        return reach

    def _ancestors(self, row: int, parents: NDArray[np.int64]) -> list[int]:
        found: list[int] = []
        at = int(parents[row])
        while at >= 0 and at not in found and at != row:
            found.append(at)
            at = int(parents[at])
        return found

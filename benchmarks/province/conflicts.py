"""Recusals (回避): few, and kept by the log like authorship and jurisdiction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.province.arrays import Bools, Ints
from benchmarks.province.config import ProvinceConfig, stream
from benchmarks.province.leads import Leads
from benchmarks.province.members import Members
from benchmarks.province.organizations import Organizations

LEAD, AUTHOR, ORGANIZATION = 0, 1, 2
REASONS = ("与当事人有利害关系", "近亲属为当事人", "曾在该单位任职", "承办过相关案件")


@dataclass(frozen=True, slots=True)
class Conflicts:
    """Structure of arrays: the member's row, the kind, and the lead, author or organization."""

    member: NDArray[np.int64]
    kind: NDArray[np.int8]
    target: NDArray[np.int64]
    """A lead's row, an author as in `Leads.author`, or an organization's row."""
    reason: NDArray[np.int8]


@dataclass(frozen=True)
class Masks:
    """Who may never be offered what."""

    members: Members
    leads: Leads
    organizations: Organizations
    conflicts: Conflicts

    def allowed(self, member_rows: Ints, lead_rows: Ints) -> Bools:
        """bool[n]: not the author, inside the jurisdiction, and no conflict of any kind."""
        author = self.leads.author[lead_rows]
        organization = self.leads.organization[lead_rows]
        open_to = self.organizations.allowed[self.members.organization[member_rows], organization]
        free = open_to & (author != member_rows)
        targets = ((LEAD, lead_rows), (AUTHOR, author), (ORGANIZATION, organization))
        for kind, target in targets:
            own = self.conflicts.kind == kind
            keys = _key(self.conflicts.member[own], self.conflicts.target[own])
            free &= ~np.isin(_key(member_rows, target), keys)
        return np.asarray(free)


def make_conflicts(
    config: ProvinceConfig, members: Members, leads: Leads, organizations: Organizations, seed: int
) -> Conflicts:
    """About one for every sixty members, near the member: others would not matter."""
    rng = stream(seed, "conflicts")
    n = max(4, config.members // 60)
    member = rng.choice(config.members, n, replace=False)
    kind = rng.choice([LEAD, AUTHOR, ORGANIZATION], n, p=[0.5, 0.3, 0.2]).astype(np.int8)
    tries = rng.integers(0, config.leads, (n, 32))
    local = leads.county[tries] == members.county[member][:, None]
    lead = tries[np.arange(n), local.argmax(axis=1)]
    other = rng.integers(1, len(organizations.ids), n)
    # Somebody barred from the whole of their own organization could be offered next to nothing.
    other = np.where(other == members.organization[member], 0, other)
    target = np.choose(kind, [lead, leads.author[lead], other])
    own_lead = (kind == AUTHOR) & (target == member)
    return Conflicts(
        member=member[~own_lead],
        kind=kind[~own_lead],
        target=target[~own_lead],
        reason=rng.integers(0, len(REASONS), n)[~own_lead].astype(np.int8),
    )


def _key(left: Ints, right: Ints) -> Ints:
    """One integer a pair; `right` may be negative (citizens)."""
    return np.asarray(left, np.int64) * (1 << 31) + np.asarray(right, np.int64)

"""First step: what speaks for each cell, whoever its members are."""

from __future__ import annotations

import numpy as np
from numba import njit

from recsvc.matching.member_scan.places import place_term
from recsvc.matching.member_scan.scope import Asked, Scope
from recsvc.model.arrays import F32
from recsvc.model.member_runs import MemberRuns
from recsvc.model.member_tables import MemberTables


@njit(cache=True)
def cell_terms(
    tables: MemberTables, runs: MemberRuns, asked: Asked, scope: Scope
) -> tuple[F32, F32]:
    """Of each cell that may be seen: terms of region and organization, and with the distance.

    Arrays are taken out of their tuples before the loop: a compiled call that passes a tuple on
    counts a reference to each of its arrays.
    """
    regions, organizations, region = runs.cell_region, runs.cell_organization, asked.region
    points, radius, visible, home = (
        runs.cell_place_km,
        runs.cell_radius_km,
        scope.visible,
        tables.home,
    )
    levels, same, own = tables.levels, tables.organization, asked.organization
    place = asked.place_km
    unknown = 0.0 if np.isnan(place[0]) else tables.home_unknown
    base = np.zeros(len(organizations), np.float32)
    about = np.full(len(organizations), -np.inf, np.float32)
    for c in range(len(organizations)):
        organization = organizations[c]
        if not visible[organization]:
            continue
        level = -1
        if region[0] >= 0 and regions[c, 0] >= 0:
            level = 0
            while level < 3 and regions[c, level] >= 0 and regions[c, level] == region[level]:
                level += 1
        base[c] = levels[level]
        base[c] += same[-1 if own < 0 or organization < 0 else int(own == organization)]
        about[c] = base[c] + place_term(home, unknown, points, c, place, radius[c])
    return base, about

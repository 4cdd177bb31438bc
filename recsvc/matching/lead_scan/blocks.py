"""First step: the best blocks by what their leads share, and the open leads in them."""

from __future__ import annotations

import numpy as np
from numba import njit

from recsvc.matching.lead_scan.best import threshold
from recsvc.matching.lead_scan.member import Known
from recsvc.matching.lead_scan.scope import Depth, Scope
from recsvc.matching.lead_scan.terms import near_term
from recsvc.model.arrays import F32, I32, MemberColumns
from recsvc.model.blocks import LeadBlocks
from recsvc.model.scan_tables import ScanTables


@njit(cache=True)
def group_terms(
    tables: ScanTables,
    known: Known,
    members: MemberColumns,
    m: int,
    blocks: LeadBlocks,
    scope: Scope,
) -> tuple[F32, F32]:
    """Of each group that may be seen: terms of region and organization, and with the distance.

    `about` is -inf for the others. Arrays are taken out of their tuples before the loop: a compiled
    call that passes a tuple on counts a reference to each of its arrays.
    """
    region, organization, place = blocks.group_region, blocks.group_organization, members.region[m]
    own, visible, radius = members.organization[m], scope.visible, blocks.group_radius_km
    levels, same, points = tables.levels, tables.organization, blocks.group_place_km
    base = np.zeros(len(organization), np.float32)
    about = np.full(len(organization), -np.inf, np.float32)
    for g in range(len(organization)):
        if not visible[organization[g]]:
            continue
        best = -1
        for p in range(len(place)):
            if place[p, 0] < 0 or region[g, 0] < 0:
                continue
            level = 0
            while level < 3 and region[g, level] >= 0 and place[p, level] == region[g, level]:
                level += 1
            best = max(best, level)
        base[g] = levels[best]
        base[g] += same[-1 if own < 0 or organization[g] < 0 else int(own == organization[g])]
        about[g] = base[g] + near_term(
            tables.home, known.home_km, known.home_count, points[g], radius[g]
        )
        about[g] += near_term(
            tables.activity, known.activity_km, known.activity_count, points[g], radius[g]
        )
    return base, about


@njit(cache=True)
def by_blocks(
    known: Known, blocks: LeadBlocks, scope: Scope, depth: Depth, about: F32
) -> tuple[I32, I32]:
    """Open slots of the best blocks that may be seen, and the group of each."""
    worth, topic_of, terms = scope.block_worth, blocks.block_topic, known.topic
    start, group_start, group_slot = blocks.block_start, blocks.group_start, blocks.group_slot
    promise = np.empty(len(worth), np.float32)
    chosen = np.empty(len(worth), np.int32)
    group = np.empty(len(worth), np.int32)
    found, total = 0, 0
    for g in range(len(about)):
        if about[g] == -np.inf:
            continue
        total += group_slot[g + 1] - group_slot[g]
        # Two additions a block: there are thousands, so nothing else is asked of it.
        for b in range(group_start[g], group_start[g + 1]):
            promise[found] = about[g] + terms[topic_of[b]] + worth[b]
            chosen[found], group[found] = b, g
            found += 1
    least = -1e30  # blocks without an open lead stay below it
    if total > depth.block_rows:
        least = max(least, threshold(promise[:found], chosen, start, depth.block_rows))
    room = 0
    for i in range(found):
        if promise[i] >= least:
            room += start[chosen[i] + 1] - start[chosen[i]]
    slots = np.empty(room, np.int32)
    groups = np.empty(room, np.int32)
    verdict = scope.verdict
    end = 0
    for i in range(found):
        if promise[i] >= least:
            for slot in range(start[chosen[i]], start[chosen[i] + 1]):
                if verdict[slot] == 0:
                    slots[end], groups[end] = slot, group[i]
                    end += 1
    return slots[:end], groups[:end]

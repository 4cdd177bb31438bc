"""First step: blocks by what all their leads share, then by where they lie."""

from __future__ import annotations

import numpy as np
from numba import njit

from recsvc.matching.lead_scan.best import least_of_best
from recsvc.matching.lead_scan.member import Known
from recsvc.matching.lead_scan.scope import Depth, Scope
from recsvc.matching.lead_scan.terms import near_term, near_terms
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
) -> tuple[F32, F32, F32]:
    """Of each group that may be seen: terms of region and organization, and with the distance.

    The last is the log-km from home as `ScanTables.away` counts it. `about` is -inf for the others.
    Arrays are taken out of their tuples before the loop: a compiled call that passes a tuple on
    counts a reference to each of its arrays.
    """
    region, organization, place = blocks.group_region, blocks.group_organization, members.region[m]
    own, visible, radius = members.organization[m], scope.visible, blocks.group_radius_km
    levels, same, points = tables.levels, tables.organization, blocks.group_place_km
    base = np.zeros(len(organization), np.float32)
    about = np.full(len(organization), -np.inf, np.float32)
    away = np.zeros(len(organization), np.float32)
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
        home, away[g] = near_terms(
            tables.home, tables.away, known.home_km, known.home_count, points[g], radius[g]
        )
        about[g] = base[g] + home
        about[g] += near_term(
            tables.activity, known.activity_km, known.activity_count, points[g], radius[g]
        )
    return base, about, away


@njit(cache=True)
def block_promises(known: Known, blocks: LeadBlocks, scope: Scope, about: F32, away: F32) -> F32:
    """What a lead of each block (float32[b]) may be worth, by its group's place; -inf: not to see.

    Three additions a block: there are thousands, so nothing else is asked of it.
    """
    worth, topic_of, terms = scope.block_worth, blocks.block_topic, known.topic
    slope = known.topic_away
    start = blocks.group_start
    promise = np.empty(len(worth), np.float32)
    for g in range(len(about)):
        if about[g] == -np.inf:
            promise[start[g] : start[g + 1]] = -np.inf
        else:
            for b in range(start[g], start[g + 1]):
                promise[b] = about[g] + terms[topic_of[b]] + worth[b] + slope[topic_of[b]] * away[g]
    return promise


@njit(cache=True)
def by_blocks(
    tables: ScanTables,
    known: Known,
    blocks: LeadBlocks,
    scope: Scope,
    depth: Depth,
    base: F32,
    about: F32,
    away: F32,
    promise: F32,
) -> I32:
    """Open slots of the best blocks that may be seen."""
    start, group_start = blocks.block_start, blocks.group_start
    seen = 0
    for g in range(len(about)):
        if about[g] > -np.inf:
            seen += group_start[g + 1] - group_start[g]
    values, sizes = np.empty(seen, np.float32), np.empty(seen, np.int32)
    block, group = np.empty(seen, np.int32), np.empty(seen, np.int32)
    found = 0
    for g in range(len(about)):
        if about[g] > -np.inf:
            for b in range(group_start[g], group_start[g + 1]):
                values[found], sizes[found] = promise[b], start[b + 1] - start[b]
                block[found], group[found] = b, g
                found += promise[b] > -np.inf
    values, sizes = values[:found], sizes[:found]
    found = _keep(values, sizes, block, group, depth.coarse_rows)
    values, sizes = values[:found], sizes[:found]
    if sizes.sum() > depth.block_rows:
        _place_blocks(tables, known, blocks, base, about, away, block, group, values)
        found = _keep(values, sizes, block, group, depth.block_rows)
    return _open_slots(block[:found], start, scope)


@njit(cache=True)
def _keep(values: F32, sizes: I32, block: I32, group: I32, target: int) -> int:
    """Moves the blocks of the best `target` rows to the front; how many blocks that are."""
    least = least_of_best(values, sizes, target)
    end = 0
    for i in range(len(values)):
        if values[i] >= least:
            values[end], sizes[end], block[end], group[end] = (
                values[i],
                sizes[i],
                block[i],
                group[i],
            )
            end += 1
    return end


@njit(cache=True)
def _place_blocks(
    tables: ScanTables,
    known: Known,
    blocks: LeadBlocks,
    base: F32,
    about: F32,
    away: F32,
    block: I32,
    group: I32,
    values: F32,
) -> None:
    """In place: each block at its own place instead of its group's."""
    points, radius = blocks.block_place_km, blocks.block_radius_km
    home, homes, active, actives = (
        known.home_km,
        known.home_count,
        known.activity_km,
        known.activity_count,
    )
    home_table, active_table, log_km = tables.home, tables.activity, tables.away
    slope, topic = known.topic_away, blocks.block_topic
    for i in range(len(values)):
        b, g = block[i], group[i]
        values[i] += base[g] - about[g]
        near, far = near_terms(home_table, log_km, home, homes, points[b], radius[b])
        values[i] += near + slope[topic[b]] * (far - away[g])
        values[i] += near_term(active_table, active, actives, points[b], radius[b])


@njit(cache=True)
def _open_slots(block: I32, start: I32, scope: Scope) -> I32:
    verdict = scope.verdict
    room = 0
    for b in block:
        room += start[b + 1] - start[b]
    slots = np.empty(room, np.int32)
    end = 0
    for b in block:
        for slot in range(start[b], start[b + 1]):
            slots[end] = slot
            end += verdict[slot] == 0
    return slots[:end]

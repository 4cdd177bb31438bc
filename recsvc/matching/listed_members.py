"""Retrieval for a lead: the few members that the ranker should look at."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recsvc.matching.masks import Masked
from recsvc.matching.member_filter import MembersFiltered, kept_members
from recsvc.matching.member_scan import Depth, Scope, find_members
from recsvc.matching.new_rows import best_new_members
from recsvc.matching.short_lists import members_from_list, span
from recsvc.model.arrays import I32, I64, U8, LeadColumns
from recsvc.model.snapshot import Snapshot
from recsvc.model.verdicts import Verdict

_MANY = 65_536
"""From so many rows on each step looks further, half as far again with each doubling."""
_FEW = 64
"""A request's own restrictions that keep fewer than one in so many: all of these are ranked."""


@dataclass(frozen=True)
class MemberConfig:
    """How many members are looked at for a lead, and below which number of rows all are ranked.

    `listed` of the lead's short list (`recsvc.matching.short_lists`), or else, each step looking
    closer (see `member_scan`): `looked` by cell, topic and willingness, of which `kept` are
    compared by their vectors, beside `by_vector` of `probes` lists; `ranked` go on to the ranker.
    Of members who are new or acted since the best `new` and some near ones are ranked, too.
    """

    all_below: int = 512
    new: int = 64
    looked: int = 512
    kept: int = 128
    probes: int = 64
    by_vector: int = 20
    ranked: int = 64
    listed: int = 24


def listed_members(
    snapshot: Snapshot,
    leads: LeadColumns,
    local: int,
    filtered: MembersFiltered,
    depth: int,
    config: MemberConfig,
) -> I64:
    """Global rows (int64[c], no order) of the members worth ranking, of those the filters keep."""
    if filtered.eligible_count == 0:
        return np.empty(0, np.int64)
    mark, tick = snapshot.member_search.marks.mark, filtered.tick
    rows = snapshot.members.base_count
    if filtered.chosen is not None:
        chosen, risen = filtered.chosen, filtered.risen
        found = _of_chosen(snapshot, leads, local, chosen, risen, tick, depth, config)
    elif filtered.eligible_count <= max(config.all_below, 2 * depth):
        found = kept_members(snapshot, filtered)
    elif (listed := _from_list(snapshot, leads, local, filtered, depth, config)) is not None:
        found = listed
    else:
        scope = Scope(filtered.visible, filtered.verdict, mark, tick)
        found = _scanned(snapshot, leads, local, scope, filtered.risen, _depth(config, depth, rows))
    if len(filtered.tail) == 0:
        return found
    return np.concatenate([found, _of_tail(snapshot, leads, local, filtered.tail, depth, config)])


def _of_chosen(
    snapshot: Snapshot,
    leads: LeadColumns,
    local: int,
    chosen: I64,
    risen: I32,
    tick: int,
    depth: int,
    config: MemberConfig,
) -> I64:
    """All of these base rows where they are few, or else the best found among them."""
    count = snapshot.members.base_count
    if len(chosen) <= max(config.all_below, 2 * depth, count // _FEW):
        return chosen
    verdict = np.full(count, Verdict.NOT_ELIGIBLE, np.uint8)
    verdict[chosen] = Verdict.KEPT
    everywhere: NDArray[np.bool_] = np.ones(len(snapshot.organizations) + 1, np.bool_)
    scope = Scope(everywhere, verdict, snapshot.member_search.marks.mark, tick)
    return _scanned(snapshot, leads, local, scope, risen, _depth(config, depth, count))


def _from_list(
    snapshot: Snapshot,
    leads: LeadColumns,
    local: int,
    filtered: MembersFiltered,
    depth: int,
    config: MemberConfig,
) -> I64 | None:
    if leads is not snapshot.leads.base:
        return None
    return members_from_list(snapshot, local, filtered, *span(config.listed, depth))


def member_candidates(
    snapshot: Snapshot,
    leads: LeadColumns,
    local: int,
    masked: Masked,
    depth: int,
    config: MemberConfig,
) -> I64:
    """Global rows (int64[c], no order) of the members worth ranking, of those a mask keeps."""
    found = [np.empty(0, np.int64)]
    for part, (start, _) in zip(masked.verdicts, snapshot.members.segments(), strict=True):
        if start or not snapshot.members.base_count:
            found.append(_of_tail(snapshot, leads, local, part, depth, config))
            continue
        search, chosen = snapshot.member_search, np.flatnonzero(part == Verdict.KEPT)
        risen, tick = search.open.follow(), search.marks.next_tick()
        found.append(_of_chosen(snapshot, leads, local, chosen, risen, tick, depth, config))
    return np.concatenate(found)


def _depth(config: MemberConfig, depth: int, rows: int) -> Depth:
    """How far each step looks: among more rows more come close to the best."""
    more = 1.0 + max(0.0, math.log2(max(rows, 1) / _MANY) / 2.0)
    ranked = max(config.ranked, 2 * depth)
    kept = max(int(more * config.kept), 2 * ranked)
    looked = max(int(more * config.looked), 2 * kept)
    return Depth(looked, kept, int(more * config.probes), int(more * config.by_vector), ranked)


def _scanned(
    snapshot: Snapshot, leads: LeadColumns, local: int, scope: Scope, risen: I32, depth: Depth
) -> I64:
    if len(risen):
        risen = risen[(scope.verdict[risen] == 0) & (scope.mark[risen] != scope.tick)]
        risen = risen[scope.visible[snapshot.members.base.organization[risen]]]
        scope.mark[risen] = scope.tick
    search = snapshot.member_search
    pairs = snapshot.pair_worlds.of(snapshot.members.base, leads)
    rows = find_members(search.world, pairs, local, scope, depth)
    return np.concatenate([rows, risen]) if len(risen) else rows


def _of_tail(
    snapshot: Snapshot,
    leads: LeadColumns,
    local: int,
    verdicts: U8,
    depth: int,
    config: MemberConfig,
) -> I64:
    """Global rows of the tail, which is in no run and no list: all when few, else the best."""
    eligible = (verdicts == Verdict.KEPT).astype(np.uint8)
    count = max(config.new, 2 * depth)
    if eligible.sum() <= count:
        return np.flatnonzero(eligible) + snapshot.members.base_count
    return best_new_members(snapshot, leads, local, eligible, count)

"""Retrieval: the few eligible rows that the ranker should look at.

Eligibility is decided for every row before the search and pushed into it, so that the best of the
eligible come back, however few they are.
"""

from __future__ import annotations

import numpy as np

from recsvc.matching.candidates import CandidateConfig
from recsvc.matching.lead_filter import Filtered
from recsvc.matching.lead_scan import Depth, Scope, find_leads
from recsvc.matching.masks import Masked
from recsvc.matching.new_rows import best_new_leads
from recsvc.matching.short_lists import from_short_list
from recsvc.model.arrays import I64, U8
from recsvc.model.open_leads import sum_blocks
from recsvc.model.snapshot import Snapshot
from recsvc.model.verdicts import Verdict


def listed_leads(
    snapshot: Snapshot, member_row: int, filtered: Filtered, depth: int, config: CandidateConfig
) -> I64:
    """Global rows (int64[c], no order) of the leads worth ranking in an unrestricted list."""
    state = filtered.state
    if filtered.eligible_count == 0:
        return np.empty(0, np.int64)
    found = None
    if filtered.eligible_count > config.close_below:
        wanted = max(config.listed, 2 * depth)
        found = from_short_list(snapshot, member_row, filtered, wanted)
    if found is None:
        found = _search(snapshot, member_row, filtered, depth, config)
    if len(filtered.tail) == 0:
        return found
    return np.concatenate(
        [
            found,
            _tail_candidates(snapshot, member_row, filtered.tail, state.asked_us, depth, config),
        ]
    )


def _search(
    snapshot: Snapshot, member_row: int, filtered: Filtered, depth: int, config: CandidateConfig
) -> I64:
    state = filtered.state
    scope = Scope(filtered.visible, state.verdict, state.worth, state.block_worth, filtered.tick)
    wanted = _depth(config, depth, filtered.eligible_count, snapshot.leads.base_count)
    return _find(snapshot, member_row, scope, wanted)


def lead_candidates(
    snapshot: Snapshot,
    member_row: int,
    masked: Masked,
    now_us: int,
    depth: int,
    config: CandidateConfig,
) -> I64:
    """Global rows (int64[c], no order) of the leads worth ranking, of those a mask keeps."""
    found = [np.empty(0, np.int64)]
    for part, (start, _) in zip(masked.verdicts, snapshot.leads.segments(), strict=True):
        if start or not snapshot.leads.base_count:
            found.append(_tail_candidates(snapshot, member_row, part, now_us, depth, config))
            continue
        eligible = int((part == Verdict.KEPT).sum())
        # Who names few leads wants them in the ranker's very order: all of them are ranked.
        if eligible <= max(config.close_below, 2 * depth):
            found.append(np.flatnonzero(part == Verdict.KEPT))
        else:
            scope = _scope_of(snapshot, part, now_us)
            wanted = _depth(config, depth, eligible, len(part))
            # A block may hold few rows that are wanted: more of them are looked at.
            wanted = wanted._replace(block_rows=8 * wanted.block_rows)
            found.append(_find(snapshot, member_row, scope, wanted))
    return np.concatenate(found)


def _scope_of(snapshot: Snapshot, verdicts: U8, now_us: int) -> Scope:
    blocks, state = snapshot.blocks, snapshot.open_leads.at(now_us)
    by_slot = verdicts[blocks.row]
    worth = sum_blocks(blocks, by_slot, state.worth)
    everywhere = np.ones(len(snapshot.organizations) + 1, np.bool_)
    return Scope(everywhere, by_slot, state.worth, worth, snapshot.marks.next_tick())


def _depth(config: CandidateConfig, depth: int, eligible: int, rows: int) -> Depth:
    if eligible <= max(config.all_below, 2 * depth):
        return Depth(rows + 1, rows + 1, 1, 0, 0, rows + 1, rows + 1)
    ranked = max(config.ranked, 2 * depth + 24)
    if eligible <= config.close_below:
        return Depth(rows + 1, rows + 1, 1, 0, 0, rows + 1, ranked)
    block_kept, list_kept = max(config.block_kept, 2 * ranked), max(config.list_kept, 2 * ranked)
    block_rows = max(config.block_rows, 4 * block_kept)
    list_rows = max(config.list_rows, 4 * list_kept)
    return Depth(
        2 * block_rows, block_rows, config.probes, list_rows, list_kept, block_kept, ranked
    )


def _find(snapshot: Snapshot, member_row: int, scope: Scope, depth: Depth) -> I64:
    members, local = snapshot.members.locate(member_row)
    return find_leads(snapshot.scan_world(members), local, scope, depth).astype(np.int64)


def _tail_candidates(
    snapshot: Snapshot,
    member_row: int,
    verdicts: U8,
    now_us: int,
    depth: int,
    config: CandidateConfig,
) -> I64:
    """Global rows of the tail, whose vectors are in no list: all when few, else the best."""
    members, local = snapshot.members.locate(member_row)
    eligible = (verdicts == Verdict.KEPT).astype(np.uint8)
    count = max(config.new, 2 * depth)
    if eligible.sum() <= count:
        return np.flatnonzero(eligible) + snapshot.leads.base_count
    return best_new_leads(snapshot, members, local, eligible, now_us, count)

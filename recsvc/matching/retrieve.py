"""Retrieval: the few eligible rows that the ranker should look at.

Eligibility is decided for every row before the search and pushed into it, so that the best of the
eligible come back, however few they are.
"""

from __future__ import annotations

import numpy as np

from recsvc.matching.candidates import CandidateConfig
from recsvc.matching.lead_filter import Filtered
from recsvc.matching.lead_scan import Depth, Scope, find_leads
from recsvc.matching.new_rows import best_new_leads
from recsvc.matching.short_lists import from_short_list
from recsvc.model.arrays import I64, U8
from recsvc.model.open_leads import sum_blocks
from recsvc.model.snapshot import Snapshot
from recsvc.model.verdicts import Verdict


def listed_leads(
    snapshot: Snapshot, member_row: int, filtered: Filtered, depth: int, config: CandidateConfig
) -> I64:
    """Global rows (int64[c], no order) of the leads worth ranking, of those the filters keep."""
    if filtered.eligible_count == 0:
        return np.empty(0, np.int64)
    found = _of_base(snapshot, member_row, filtered, depth, config)
    if len(filtered.tail) == 0:
        return found
    when_us = filtered.state.asked_us
    new = new_leads(snapshot, member_row, filtered.tail, when_us, depth, config)
    return np.concatenate([found, new])


def new_leads(
    snapshot: Snapshot,
    member_row: int,
    verdicts: U8,
    now_us: int,
    depth: int,
    config: CandidateConfig,
) -> I64:
    """Global rows of the tail, whose leads are in no list: all when few, else the best."""
    members, local = snapshot.members.locate(member_row)
    eligible = (verdicts == Verdict.KEPT).astype(np.uint8)
    count = max(config.new, 2 * depth)
    if eligible.sum() <= count:
        return np.flatnonzero(eligible) + snapshot.leads.base_count
    return best_new_leads(snapshot, members, local, eligible, now_us, count)


def _of_base(
    snapshot: Snapshot, member_row: int, filtered: Filtered, depth: int, config: CandidateConfig
) -> I64:
    if filtered.chosen is not None:
        # Who names few leads wants them in the ranker's very order: all of them are ranked.
        if len(filtered.chosen) <= max(config.close_below, 2 * depth):
            return filtered.chosen
        return _search_chosen(snapshot, member_row, filtered.chosen, filtered, depth, config)
    if filtered.eligible_count > config.close_below:
        found = from_short_list(snapshot, member_row, filtered, config.listed, config.acted, depth)
        if found is not None:
            return found
    state = filtered.state
    scope = Scope(filtered.visible, state.verdict, state.worth, state.block_worth, filtered.tick)
    wanted_depth = _depth(config, depth, filtered.eligible_count, snapshot.leads.base_count)
    return _find(snapshot, member_row, scope, wanted_depth)


def _search_chosen(
    snapshot: Snapshot,
    member_row: int,
    chosen: I64,
    filtered: Filtered,
    depth: int,
    config: CandidateConfig,
) -> I64:
    blocks, worth = snapshot.blocks, filtered.state.worth
    by_slot = np.full(len(blocks.row), Verdict.NOT_ELIGIBLE, np.uint8)
    by_slot[blocks.slot[chosen]] = Verdict.KEPT
    everywhere = np.ones(len(snapshot.organizations) + 1, np.bool_)
    block_worth = sum_blocks(blocks, by_slot, worth)
    scope = Scope(everywhere, by_slot, worth, block_worth, filtered.tick)
    wanted = _depth(config, depth, len(chosen), len(by_slot))
    # A block may hold few rows that are wanted: more of them are looked at.
    return _find(snapshot, member_row, scope, wanted._replace(block_rows=8 * wanted.block_rows))


def _depth(config: CandidateConfig, depth: int, eligible: int, rows: int) -> Depth:
    """How deep the scan looks for `depth` leads (province of 66,000 leads, no short lists: of the
    full ranker's 50 it holds .994, of its 10 .992; with 2 ranked and 4 block rows each .950, .979).
    """
    if eligible <= max(config.all_below, 2 * depth):
        return Depth(rows + 1, rows + 1, 1, 0, 0, rows + 1, rows + 1)
    ranked = max(config.ranked, 5 * depth)
    if eligible <= config.close_below:
        return Depth(rows + 1, rows + 1, 1, 0, 0, rows + 1, 4 * ranked)
    block_kept, list_kept = max(config.block_kept, 2 * ranked), max(config.list_kept, 2 * ranked)
    block_rows = max(config.block_rows, 8 * block_kept)
    list_rows = max(config.list_rows, 4 * list_kept)
    return Depth(
        2 * block_rows, block_rows, config.probes, list_rows, list_kept, block_kept, ranked
    )


def _find(snapshot: Snapshot, member_row: int, scope: Scope, depth: Depth) -> I64:
    members, local = snapshot.members.locate(member_row)
    return find_leads(snapshot.scan_world(members), local, scope, depth).astype(np.int64)

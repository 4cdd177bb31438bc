"""The order of the steps."""

from __future__ import annotations

import numpy as np
from numba import njit

from recsvc.matching.lead_scan.best import least_of_best
from recsvc.matching.lead_scan.blocks import block_promises, by_blocks, group_terms
from recsvc.matching.lead_scan.lists import by_lists, list_terms
from recsvc.matching.lead_scan.member import known_of
from recsvc.matching.lead_scan.rows import add_embeddings, row_values, unmarked
from recsvc.matching.lead_scan.scope import Depth, Scope
from recsvc.model.arrays import I32
from recsvc.model.scan_world import World


@njit(cache=True, nogil=True)
def find_leads(world: World, m: int, scope: Scope, depth: Depth) -> I32:
    """Base rows (int32[n], about `ranked`) that are worth ranking, in no order."""
    model, tables, members = world.model, world.tables, world.members
    blocks, rows = world.blocks, world.rows
    known = known_of(model, world.context, tables, members, m, rows, blocks.topic_count)
    base, about, away = group_terms(tables, known, members, m, blocks, scope)
    promise = block_promises(known, blocks, scope, about, away)
    list_term = list_terms(model, rows, members.vector[m])
    near = by_lists(tables, known, rows, list_term, promise, scope, depth)
    near = unmarked(blocks.row, world.mark, scope.tick, near)
    far = by_blocks(tables, known, blocks, scope, depth, base, about, away, promise)
    far = unmarked(blocks.row, world.mark, scope.tick, far)
    slots = np.concatenate((near, far))
    if len(slots) > depth.ranked:
        values = row_values(tables, known, world.views, scope, base, slots)
        least = least_of_best(values[len(near) :], np.empty(0, np.int32), depth.block_kept)
        kept = values >= least
        kept[: len(near)] = True
        slots, values = slots[kept], values[kept]
        add_embeddings(tables, known, rows, rows.list_at[slots], values)
        slots = slots[values >= least_of_best(values, np.empty(0, np.int32), depth.ranked)]
    return blocks.row[slots]

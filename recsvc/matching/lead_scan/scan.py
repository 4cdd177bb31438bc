"""The order of the steps."""

from __future__ import annotations

import numpy as np
from numba import njit

from recsvc.matching.lead_scan.best import best_of
from recsvc.matching.lead_scan.blocks import by_blocks, group_terms
from recsvc.matching.lead_scan.lists import add_embedding_terms, by_embedding
from recsvc.matching.lead_scan.member import known_of
from recsvc.matching.lead_scan.rows import row_values, unmarked
from recsvc.matching.lead_scan.scope import Depth, Scope
from recsvc.model.additive import AdditiveModel
from recsvc.model.arrays import I32, MemberColumns
from recsvc.model.blocks import LeadBlocks
from recsvc.model.lists import EmbeddingLists
from recsvc.model.scan_tables import ScanTables
from recsvc.model.terms import TermContext


@njit(cache=True)
def find_leads(
    model: AdditiveModel,
    context: TermContext,
    tables: ScanTables,
    members: MemberColumns,
    m: int,
    blocks: LeadBlocks,
    lists: EmbeddingLists,
    scope: Scope,
    depth: Depth,
) -> I32:
    """Base rows (int32[<= ranked]) that are worth ranking, in no order."""
    known = known_of(model, context, tables, members, m, blocks)
    base, about = group_terms(tables, known, members, m, blocks, scope)
    near, dots = by_embedding(lists, members.vector[m], blocks, scope, depth)
    slots = np.empty(len(near), np.int32)
    groups = np.empty(len(near), np.int32)
    for i in range(len(near)):
        scope.mark[near[i]] = scope.tick  # the blocks need not find it again
        slots[i] = blocks.slot[near[i]]
        groups[i] = np.searchsorted(blocks.group_slot, slots[i], side="right") - 1
    own = row_values(tables, known, blocks, scope, slots, groups, base)
    chosen, chosen_groups = by_blocks(known, blocks, scope, depth, about)
    values = row_values(tables, known, blocks, scope, chosen, chosen_groups, base)
    best = unmarked(best_of(values, depth.kept), chosen, blocks, scope)
    rows = np.concatenate((near, blocks.row[chosen[best]]))
    values = np.concatenate((own, values[best]))
    add_embedding_terms(model, lists, members.vector[m], rows, dots, values)
    return rows[best_of(values, depth.ranked)]

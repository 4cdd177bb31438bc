"""Second step: rows of the best blocks by their own place and words."""

from __future__ import annotations

import numpy as np
from numba import njit

from recsvc.matching.lead_scan.member import Known
from recsvc.matching.lead_scan.scope import Scope
from recsvc.matching.lead_scan.terms import code_dot, near_term
from recsvc.model.arrays import F32, I32, I64
from recsvc.model.blocks import LeadBlocks
from recsvc.model.scan_tables import ScanTables


@njit(cache=True)
def row_values(
    tables: ScanTables,
    known: Known,
    blocks: LeadBlocks,
    scope: Scope,
    slots: I32,
    groups: I32,
    base: F32,
) -> F32:
    """What speaks for leads (float32[n]) by slot, but for their embeddings."""
    worth, topics, topic, text = scope.worth, blocks.topics, known.topic, blocks.text
    weights, place, home, active = known.text, blocks.place_km, known.home_km, known.activity_km
    home_table, active_table = tables.home, tables.activity
    homes, actives = known.home_count, known.activity_count
    out = np.empty(len(slots), np.float32)
    for i in range(len(slots)):
        slot = slots[i]
        out[i] = (
            base[groups[i]]
            + worth[slot]
            + max(topic[topics[slot, 0]], topic[topics[slot, 1]])
            + near_term(home_table, home, homes, place[slot], 0.0)
            + near_term(active_table, active, actives, place[slot], 0.0)
            + code_dot(weights, text[slot])
        )
    return out


@njit(cache=True)
def unmarked(best: I64, chosen: I32, blocks: LeadBlocks, scope: Scope) -> I64:
    """Without the member's own rows: marks lie far apart, so only the best are asked."""
    row, mark, tick = blocks.row, scope.mark, scope.tick
    end = 0
    for at in best:
        if mark[row[chosen[at]]] != tick:
            best[end] = at
            end += 1
    return best[:end]

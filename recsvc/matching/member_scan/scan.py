"""The order of the steps."""

from __future__ import annotations

import numpy as np
from numba import njit

from recsvc.matching.member_scan.asked import asked_of
from recsvc.matching.member_scan.cells import cell_terms
from recsvc.matching.member_scan.frontier import by_runs
from recsvc.matching.member_scan.most import at_least
from recsvc.matching.member_scan.scope import Depth, Scope
from recsvc.matching.member_scan.vectors import by_vector, inner_products
from recsvc.model.additive import add_table_values
from recsvc.model.arrays import F32, I32, I64
from recsvc.model.member_lists import MemberLists
from recsvc.model.member_world import MemberWorld
from recsvc.model.pair_world import PairWorld
from recsvc.model.terms import INDEX

_EMBEDDING = INDEX["embedding"]


@njit(cache=True)
def find_members(
    world: MemberWorld, pairs: PairWorld, lead: int, scope: Scope, depth: Depth
) -> I64:
    """Base rows (int64[~ ranked + 2 by_vector]) that are worth ranking, each once.

    `lead` is a row of the leads of `pairs`.
    """
    tables, runs, embeddings, texts = world.tables, world.runs, world.embeddings, world.texts
    asked = asked_of(pairs.leads, lead, runs.topic_count)
    near = _pointed_at(embeddings, asked.vector, scope, depth)
    alike = _pointed_at(texts, asked.text, scope, depth)
    base, about = cell_terms(tables, runs, asked, scope)
    rows, values = by_runs(tables, runs, asked, scope, base, about, depth.looked)
    best = at_least(values, depth.kept)
    rows, values = rows[best], values[best]
    add_table_values(
        world.model, _EMBEDDING, inner_products(embeddings, asked.vector, rows), values
    )
    values += inner_products(texts, asked.text, rows)
    return np.concatenate((near, alike, rows[at_least(values, depth.ranked)])).astype(np.int64)


@njit(cache=True)
def _pointed_at(found: MemberLists, vector: F32, scope: Scope, depth: Depth) -> I32:
    """Rows that a lead's vector points at; marks them: no other step need find them again."""
    rows = by_vector(found, vector, scope, depth.probes, 4 * depth.by_vector)
    dots = inner_products(found, vector, rows)
    chosen = rows[at_least(dots, depth.by_vector)]
    for row in chosen:
        scope.mark[row] = scope.tick
    return chosen

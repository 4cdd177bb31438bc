"""The order of the steps."""

from __future__ import annotations

import numpy as np
from numba import njit

from recsvc.matching.member_scan.cells import cell_terms
from recsvc.matching.member_scan.frontier import by_runs
from recsvc.matching.member_scan.most import at_least
from recsvc.matching.member_scan.scope import Asked, Depth, Scope
from recsvc.matching.member_scan.vectors import by_vector, inner_products
from recsvc.model.additive import AdditiveModel, add_table_values
from recsvc.model.arrays import F32, I32
from recsvc.model.member_lists import MemberLists
from recsvc.model.member_runs import MemberRuns
from recsvc.model.member_tables import MemberTables
from recsvc.model.terms import INDEX

_EMBEDDING = INDEX["embedding"]


@njit(cache=True)
def find_members(
    model: AdditiveModel,
    tables: MemberTables,
    runs: MemberRuns,
    embeddings: MemberLists,
    texts: MemberLists,
    asked: Asked,
    scope: Scope,
    depth: Depth,
) -> I32:
    """Base rows (int32[~ ranked + 2 by_vector]) that are worth ranking, each once."""
    near = _pointed_at(embeddings, asked.vector, scope, depth)
    alike = _pointed_at(texts, asked.text, scope, depth)
    base, about = cell_terms(tables, runs, asked, scope)
    rows, values = by_runs(tables, runs, asked, scope, base, about, depth.looked)
    best = at_least(values, depth.kept)
    rows, values = rows[best], values[best]
    add_table_values(model, _EMBEDDING, inner_products(embeddings, asked.vector, rows), values)
    values += inner_products(texts, asked.text, rows)
    return np.concatenate((near, alike, rows[at_least(values, depth.ranked)]))


@njit(cache=True)
def _pointed_at(found: MemberLists, vector: F32, scope: Scope, depth: Depth) -> I32:
    """Rows that a lead's vector points at; marks them: no other step need find them again."""
    rows = by_vector(found, vector, scope, depth.probes, 4 * depth.by_vector)
    dots = inner_products(found, vector, rows)
    chosen = rows[at_least(dots, depth.by_vector)]
    for row in chosen:
        scope.mark[row] = scope.tick
    return chosen

"""By embedding: rows of the probed lists, and the embedding's term of the best of all."""

from __future__ import annotations

import numpy as np
from numba import njit

from recsvc.matching.lead_scan.best import best_of
from recsvc.matching.lead_scan.scope import Depth, Scope
from recsvc.matching.lead_scan.terms import code_dot
from recsvc.model.additive import AdditiveModel, add_table_values
from recsvc.model.arrays import F32, I32
from recsvc.model.blocks import LeadBlocks
from recsvc.model.lists import EmbeddingLists
from recsvc.model.terms import INDEX

_EMBEDDING = INDEX["embedding"]


@njit(cache=True)
def by_embedding(
    lists: EmbeddingLists, vector: F32, blocks: LeadBlocks, scope: Scope, depth: Depth
) -> tuple[I32, F32]:
    """The rows with the largest inner products in the probed lists, and these."""
    start, centre, code, list_row = lists.list_start, lists.centre, lists.code, lists.row
    organization, visible, verdict = lists.organization, scope.visible, scope.verdict
    slot, mark, tick, most = blocks.slot, scope.mark, scope.tick, depth.by_embedding
    weights = vector * lists.centre_scale
    near = np.empty(len(start) - 1, np.float32)
    for i in range(len(near)):
        near[i] = code_dot(weights, centre[i])
    weights = vector * lists.scale
    rows = np.empty(most, np.int32)
    values = np.empty(most, np.float32)
    count = 0
    for i in best_of(near, depth.probes):
        for at in range(start[i], start[i + 1]):
            # The organization lies beside the code; what else stands against a row lies far away,
            # so that it is asked of the few best only.
            if not visible[organization[at]]:
                continue
            value = code_dot(weights, code[at])
            if count < most or value > values[most - 1]:
                row = list_row[at]
                if verdict[slot[row]] == 0 and mark[row] != tick:
                    count = _insert(rows, values, count, most, row, value)
    return rows[:count], values[:count]


@njit(cache=True, forceinline=True)
def _insert(rows: I32, values: F32, count: int, most: int, row: int, value: float) -> int:
    """Keeps `rows[:count]` sorted by falling value, at most `most` of them."""
    at = min(count, most - 1)
    while at > 0 and values[at - 1] < value:
        rows[at], values[at] = rows[at - 1], values[at - 1]
        at -= 1
    rows[at], values[at] = row, value
    return min(count + 1, most)


@njit(cache=True)
def add_embedding_terms(
    model: AdditiveModel, lists: EmbeddingLists, vector: F32, rows: I32, dots: F32, values: F32
) -> None:
    """Adds the embedding's term to `values`; the inner products of the first rows are known."""
    weights = vector * lists.scale
    code, slot = lists.code, lists.slot
    x = np.empty(len(rows), np.float32)
    x[: len(dots)] = dots
    for i in range(len(dots), len(rows)):
        x[i] = code_dot(weights, code[slot[rows[i]]])
    add_table_values(model, _EMBEDDING, x, values)

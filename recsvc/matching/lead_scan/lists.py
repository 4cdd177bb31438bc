"""By embedding: rows of the probed lists that lie in blocks with something to say for them."""

from __future__ import annotations

import numpy as np
from numba import njit

from recsvc.matching.lead_scan.best import least_of_best
from recsvc.matching.lead_scan.member import Known
from recsvc.matching.lead_scan.rows import add_embeddings
from recsvc.matching.lead_scan.scope import Depth, Scope
from recsvc.model.additive import AdditiveModel, add_table_values
from recsvc.model.arrays import F32, I32
from recsvc.model.codes import code_dot
from recsvc.model.scan_rows import ScanRows
from recsvc.model.scan_tables import ScanTables
from recsvc.model.terms import INDEX

_EMBEDDING = INDEX["embedding"]


@njit(cache=True)
def list_terms(model: AdditiveModel, rows: ScanRows, vector: F32) -> F32:
    """The embedding's term (float32[c]) of the middle of each list."""
    weights = np.zeros(len(rows.centre_scale), np.float32)
    weights[: len(vector)] = vector * rows.centre_scale[: len(vector)]
    centre = rows.centre
    x = np.empty(len(centre), np.float32)
    for i in range(len(x)):
        x[i] = code_dot(weights, centre[i])
    terms = np.zeros(len(x), np.float32)
    add_table_values(model, _EMBEDDING, x, terms)
    return terms


@njit(cache=True)
def by_lists(
    tables: ScanTables,
    known: Known,
    rows: ScanRows,
    terms: F32,
    promise: F32,
    scope: Scope,
    depth: Depth,
) -> I32:
    """Open slots of the probed lists, the best by the block's promise and their own embedding.

    Whose embeddings are read is up to block and list: the promise of a block lies in the cache, the
    codes of a row do not. They are read forwards, list by list.
    """
    start, list_slot, list_block = rows.list_start, rows.list_slot, rows.list_block
    verdict, no_sizes = scope.verdict, np.empty(0, np.int32)
    least = least_of_best(terms, no_sizes, depth.probes)
    room = 0
    for i in range(len(terms)):
        room += start[i + 1] - start[i] if terms[i] >= least else 0
    places, own = np.empty(room, np.int32), np.empty(room, np.float32)
    values = np.empty(room, np.float32)
    found = 0
    for i in range(len(terms)):
        if terms[i] >= least:
            for at in range(start[i], start[i + 1]):
                own[found] = promise[list_block[at]]
                values[found], places[found] = own[found] + terms[i], at
                found += own[found] > -np.inf
    least = least_of_best(values[:found], no_sizes, depth.list_rows)
    end = 0
    for i in range(found):
        places[end], own[end] = places[i], own[i]
        end += values[i] >= least and verdict[list_slot[places[i]]] == 0
    places, own = places[:end], own[:end]
    if end > depth.list_kept:
        add_embeddings(tables, known, rows, places, own)
        places = places[own >= least_of_best(own, no_sizes, depth.list_kept)]
    return list_slot[places]

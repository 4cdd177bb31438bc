"""Second step: members by what runs and cells promise, the most promising first.

Each run is sorted, so the best of all runs are found by always going on with the run that promises
most (a merge by a heap, as in the threshold algorithm of Fagin, Lotem & Naor 2003): what is looked
at grows with what is wanted, not with the number of members.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from recsvc.matching.member_scan.places import place_term
from recsvc.matching.member_scan.scope import Asked, Scope
from recsvc.model.arrays import F32, I32
from recsvc.model.member_runs import MemberRuns
from recsvc.model.member_tables import MemberTables

_STEP = 8
"""Entries of a run looked at together: they share cache lines."""


@njit(cache=True)
def by_runs(
    tables: MemberTables,
    runs: MemberRuns,
    asked: Asked,
    scope: Scope,
    base: F32,
    about: F32,
    wanted: int,
) -> tuple[I32, F32]:
    """Base rows of about `wanted` who may be offered the lead, and what speaks for each.

    Marks them: somebody with several places or topics is met first where most speaks for them. A
    promise has the distance of the middle of the cell, a row's value that of the own place.
    """
    heap, at, end, cell = _open_runs(runs, asked, about)
    worth, rows, points, home = runs.worth, runs.row, runs.place_km, tables.home
    verdict, mark, tick, place = scope.verdict, scope.mark, scope.tick, asked.place_km
    unknown = 0.0 if np.isnan(place[0]) else tables.home_unknown
    room = wanted + _STEP
    out = np.empty(room, np.int32)
    values = np.empty(room, np.float32)
    found, count = 0, len(heap)
    while count > 0 and found < wanted:
        stop = min(at[0] + _STEP, end[0])
        own = base[cell[0]]
        for entry in range(at[0], stop):
            row = rows[entry]
            if mark[row] == tick or verdict[row] != 0:
                continue
            mark[row] = tick
            out[found] = row
            values[found] = (
                worth[entry] + own + place_term(home, unknown, points, entry, place, 0.0)
            )
            found += 1
        if stop < end[0]:
            at[0], heap[0] = stop, about[cell[0]] + worth[stop]
        else:
            count -= 1
            heap[0], at[0], end[0], cell[0] = heap[count], at[count], end[count], cell[count]
        _sift_down(heap, at, end, cell, 0, count)
    return out[:found], values[:found]


@njit(cache=True)
def _open_runs(runs: MemberRuns, asked: Asked, about: F32) -> tuple[F32, I32, I32, I32]:
    """A heap of the runs of all cells that may be seen: promise, first and last entry, cell."""
    start, best, topics, cells = runs.run_start, runs.run_best, asked.topics, len(about)
    most = cells * (len(topics) + 1)
    heap = np.empty(most, np.float32)
    at = np.empty(most, np.int32)
    end = np.empty(most, np.int32)
    cell = np.empty(most, np.int32)
    count = 0
    for k in range(len(topics) + 1):
        first = cells * (topics[k] if k < len(topics) else runs.topic_count)
        for c in range(cells):
            promise = about[c] + best[first + c]
            if promise > -np.inf:
                heap[count], at[count], end[count] = promise, start[first + c], start[first + c + 1]
                cell[count] = c
                count += 1
    heap, at, end, cell = heap[:count], at[:count], end[:count], cell[:count]
    for i in range(count // 2 - 1, -1, -1):
        _sift_down(heap, at, end, cell, i, count)
    return heap, at, end, cell


@njit(cache=True)
def _sift_down(heap: F32, at: I32, end: I32, cell: I32, i: int, count: int) -> None:
    """Moves element i (in place) below all that promise more."""
    promise, first, last, of = heap[i], at[i], end[i], cell[i]
    while True:
        child = 2 * i + 1
        if child >= count:
            break
        if child + 1 < count and heap[child + 1] > heap[child]:
            child += 1
        if heap[child] <= promise:
            break
        heap[i], at[i], end[i], cell[i] = heap[child], at[child], end[child], cell[child]
        i = child
    heap[i], at[i], end[i], cell[i] = promise, first, last, of

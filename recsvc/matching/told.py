"""What the items of a page say: numbers and reasons, wherever their rows live."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numba import njit

from recsvc.matching.reason_facts import Mask, tell
from recsvc.matching.reason_record import DISTANCE, LIKELY, SCORE, Told
from recsvc.matching.score import Scored
from recsvc.model.arrays import F32, F64, I8, I64, Columns, LeadColumns, MemberColumns
from recsvc.model.borrowed import borrowed
from recsvc.model.pair_world import PairWorld
from recsvc.model.segments import Table
from recsvc.model.snapshot import Snapshot
from recsvc.model.terms import INDEX

_DISTANCE = INDEX["distance_log_km"]


def told_leads(
    snapshot: Snapshot,
    members: MemberColumns,
    member: int,
    rows: I64,
    scored: Scored,
    page: I64,
    kinds: I8,
    silent: Mask,
) -> Told:
    """What is said on a page, of a member (local row) with listed leads.

    `page` are positions in `rows` (global rows) and in what they scored; `kinds` (int8[1, 4]) those
    of the member's places.
    """
    worlds = snapshot.pair_worlds

    def world(leads: LeadColumns) -> PairWorld:
        return worlds.of(members, leads)

    return _told(tell_leads, snapshot.leads, world, member, rows, scored, page, kinds, silent)


def told_members(
    snapshot: Snapshot,
    leads: LeadColumns,
    lead: int,
    rows: I64,
    scored: Scored,
    page: I64,
    kinds: I8,
    silent: Mask,
) -> Told:
    """The same of a lead (local row) with listed members; `kinds` int8[len(page), 4]."""
    worlds = snapshot.pair_worlds

    def world(members: MemberColumns) -> PairWorld:
        return worlds.of(members, leads)

    return _told(tell_members, snapshot.members, world, lead, rows, scored, page, kinds, silent)


def _told(
    tell_listed: Callable[..., None],
    table: Table[Columns],
    world: Callable[[Columns], PairWorld],
    one: int,
    rows: I64,
    scored: Scored,
    page: I64,
    kinds: I8,
    silent: Mask,
) -> Told:
    """One row (local) of a side with a page of the other side's table, segment by segment."""
    told = Told.empty(len(page))
    if not table.tail_count:
        tell_listed(world(table.base), one, rows, 0, *scored, page, kinds, silent, told.record)
        return told
    start = table.base_count
    late = rows[page] >= start
    for at, columns, first in ((~late, table.base, 0), (late, table.tail, start)):
        if at.any():
            part = Told.empty(int(at.sum())).record
            own = kinds if len(kinds) == 1 else kinds[at]
            tell_listed(world(columns), one, rows, first, *scored, page[at], own, silent, part)
            told.record[at] = part
    return told


@njit(cache=True, nogil=True)
def tell_leads(
    world: PairWorld,
    m: int,
    rows: I64,
    start: int,
    features: F32,
    terms: F32,
    scores: F32,
    page: I64,
    kinds: I8,
    silent: Mask,
    record: F64,
) -> None:
    """What is said of a member (local row) and the leads at `page`, into empty records.

    Rows of the world's leads begin at `start`.
    """
    features, terms, scores = borrowed((features, terms, scores))
    page, record = borrowed((page, record))
    local, own = (rows[page] - start).astype(np.int32), np.full(len(page), m, np.int32)
    members, leads, middles = world.members, world.leads, world.middles
    tell(members, own, leads, local, features, terms, page, middles, kinds, silent, record)
    _add_numbers(record, world, features, scores, page)


@njit(cache=True, nogil=True)
def tell_members(
    world: PairWorld,
    j: int,
    rows: I64,
    start: int,
    features: F32,
    terms: F32,
    scores: F32,
    page: I64,
    kinds: I8,
    silent: Mask,
    record: F64,
) -> None:
    """The same of a lead (local row) and the members at `page`."""
    features, terms, scores = borrowed((features, terms, scores))
    page, record = borrowed((page, record))
    local, own = (rows[page] - start).astype(np.int32), np.full(len(page), j, np.int32)
    members, leads, middles = world.members, world.leads, world.middles
    tell(members, local, leads, own, features, terms, page, middles, kinds, silent, record)
    _add_numbers(record, world, features, scores, page)


@njit(cache=True, nogil=True)
def _add_numbers(record: F64, world: PairWorld, features: F32, scores: F32, page: I64) -> None:
    calibration = world.calibration
    for i in range(len(page)):
        at = page[i]
        record[i, SCORE] = scores[at]
        record[i, LIKELY] = np.nan
        record[i, DISTANCE] = np.expm1(np.float64(features[at, _DISTANCE]))
    if len(calibration.scores):
        likely = np.interp(record[:, SCORE], calibration.scores, calibration.probabilities)
        record[:, LIKELY] = likely.astype(np.float32)

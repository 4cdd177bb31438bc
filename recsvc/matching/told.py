"""What the items of a page say: numbers and reasons, wherever their rows live."""

from __future__ import annotations

import numpy as np
from numba import njit

from recsvc.matching.reason_facts import Mask, tell
from recsvc.matching.reason_record import DISTANCE, F64, LIKELY, SCORE, Told
from recsvc.matching.score import Scored
from recsvc.model.arrays import F32, I8, I64, LeadColumns, MemberColumns
from recsvc.model.pair_world import PairWorld
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
    leads, worlds, told = snapshot.leads, snapshot.pair_worlds, Told.empty(len(page))
    base, record = worlds.of(members, leads.base), told.record
    if not leads.tail_count:
        tell_leads(base, member, rows, 0, *scored, page, kinds, silent, record)
        return told
    tail = worlds.of(members, leads.tail)
    late = rows[page] >= leads.base_count
    for at, world, start in ((~late, base, 0), (late, tail, leads.base_count)):
        if at.any():
            part = Told.empty(int(at.sum())).record
            tell_leads(world, member, rows, start, *scored, page[at], kinds, silent, part)
            record[at] = part
    return told


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
    members, worlds, told = snapshot.members, snapshot.pair_worlds, Told.empty(len(page))
    base, record = worlds.of(members.base, leads), told.record
    if not members.tail_count:
        tell_members(base, lead, rows, 0, *scored, page, kinds, silent, record)
        return told
    tail = worlds.of(members.tail, leads)
    late = rows[page] >= members.base_count
    for at, world, start in ((~late, base, 0), (late, tail, members.base_count)):
        if at.any():
            part = Told.empty(int(at.sum())).record
            tell_members(world, lead, rows, start, *scored, page[at], kinds[at], silent, part)
            record[at] = part
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

"""What the items of a page say: numbers and reasons, wherever their rows live."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from recsvc.matching.reason_facts import F64, Mask, tell
from recsvc.matching.score import Scored
from recsvc.model.arrays import F32, I8, I32, I64, LeadColumns, MemberColumns
from recsvc.model.pair_world import PairWorld
from recsvc.model.segments import Table
from recsvc.model.snapshot import Snapshot
from recsvc.model.terms import INDEX

_DISTANCE = INDEX["distance_log_km"]


class Told(NamedTuple):
    """Of n pairs, at most three reasons each, strongest first."""

    counts: I32  # [n] how many reasons
    fact: I32  # [n, 3, 4] group, fact, and its two numbers
    weight: F64  # [n, 3] sum of the group's terms
    numbers: F64  # [n, 3] score, claim probability, kilometres; NaN: not known


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
    parts = []
    for at, in_tail, start in _parts(snapshot.leads, rows, page):
        columns = snapshot.leads.tail if in_tail else snapshot.leads.base
        world = snapshot.pair_worlds.of(members, columns)
        told = Told(*tell_leads(world, member, rows, start, *scored, page[at], kinds, silent))
        parts.append((at, told))
    return _together(parts)


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
    parts = []
    for at, in_tail, start in _parts(snapshot.members, rows, page):
        columns = snapshot.members.tail if in_tail else snapshot.members.base
        world = snapshot.pair_worlds.of(columns, leads)
        told = Told(*tell_members(world, lead, rows, start, *scored, page[at], kinds[at], silent))
        parts.append((at, told))
    return _together(parts)


def _parts(table: Table[Any], rows: I64, page: I64) -> Iterator[tuple[I64, bool, int]]:
    """Places on the page in the base and in the tail: whether it is the tail, its first row."""
    base_count = table.base_count
    if not table.tail_count or not (late := rows[page] >= base_count).any():
        yield np.arange(len(page)), False, 0
        return
    if not late.all():
        yield np.flatnonzero(~late), False, 0
    yield np.flatnonzero(late), True, base_count


def _together(parts: list[tuple[I64, Told]]) -> Told:
    """The parts of a page, each where it belongs."""
    if len(parts) == 1:
        return parts[0][1]
    order = np.argsort(np.concatenate([at for at, _ in parts]))
    columns = zip(*(told for _, told in parts), strict=True)
    return Told(*(np.concatenate(column)[order] for column in columns))


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
) -> tuple[I32, I32, F64, F64]:
    """What is said of a member (local row) and the leads at `page`; those begin at `start`."""
    local, own = (rows[page] - start).astype(np.int32), np.full(len(page), m, np.int32)
    counts, fact, weight = tell(
        world.members, own, world.leads, local, features, terms, page, world.middles, kinds, silent
    )
    return counts, fact, weight, _numbers(world, features, scores, page)


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
) -> tuple[I32, I32, F64, F64]:
    """The same of a lead (local row) and the members at `page`."""
    local, own = (rows[page] - start).astype(np.int32), np.full(len(page), j, np.int32)
    counts, fact, weight = tell(
        world.members, local, world.leads, own, features, terms, page, world.middles, kinds, silent
    )
    return counts, fact, weight, _numbers(world, features, scores, page)


@njit(cache=True)
def _numbers(world: PairWorld, features: F32, scores: F32, page: I64) -> F64:
    calibration = world.calibration
    out = np.full((len(page), 3), np.nan)
    for i in range(len(page)):
        at = page[i]
        out[i, 0], out[i, 2] = scores[at], np.expm1(np.float64(features[at, _DISTANCE]))
    if len(calibration.scores):
        likely = np.interp(out[:, 0], calibration.scores, calibration.probabilities)
        out[:, 1] = likely.astype(np.float32)
    return out

"""One scored pair, with what is needed to say why it scored so."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from recsvc.model.arrays import F32, I8, I64, LeadColumns, MemberColumns
from recsvc.model.place_kinds import kinds_in
from recsvc.model.snapshot import Snapshot
from recsvc.model.terms import INDEX


@dataclass(frozen=True, slots=True)
class Pair:
    """One scored pair and where its two sides live (`member_row`, `lead_row` are local rows)."""

    members: MemberColumns
    member_row: int
    leads: LeadColumns
    lead_row: int
    features: F32  # [F]
    terms: F32  # [F]
    kinds: I8  # [PLACES] of the member's places
    you: str = "该委员"  # how the text calls the member


def kinds_of_member(snapshot: Snapshot, row: int) -> I8:
    """What the places of a member (global row) are (int8[1, PLACES])."""
    table = snapshot.place_kinds.kind
    return table[row : row + 1] if row < len(table) else _kinds_of(snapshot, row)[None]


def kinds_of_places(snapshot: Snapshot, rows: I64) -> I8:
    """What the places of members (global rows int64[n]) are (int8[n, PLACES])."""
    table = snapshot.place_kinds.kind
    if not snapshot.members.tail_count or len(rows) == 0 or rows.max() < len(table):
        return table[rows]
    return np.concatenate([kinds_of_member(snapshot, row) for row in rows.tolist()])


def _kinds_of(snapshot: Snapshot, row: int) -> I8:
    """Those of a member whose row came later; kept, for records change seldom."""
    record, known = snapshot.members.record(row), snapshot.later_place_kinds
    kinds = known.get(record)
    if kinds is None:
        kinds = known[record] = kinds_in(record)
    return kinds


def distance_km(pair: Pair) -> float | None:
    """Kilometres from the nearest of the member's places, None when unknown."""
    value = float(pair.features[INDEX["distance_log_km"]])
    return None if math.isnan(value) else math.expm1(value)

"""One scored pair, with what is needed to say why it scored so."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from features.entities import Member
from features.location import member_places
from recsvc.matching.reason_texts import PLACE_KINDS
from recsvc.model.arrays import F32, I8, I64, PLACES, LeadColumns, MemberColumns
from recsvc.model.snapshot import Snapshot
from recsvc.model.terms import INDEX
from recsvc.store.codec import decode_entity

_NOT_READ = -1


@dataclass(frozen=True, slots=True)
class Pair:
    """One scored pair and where its two sides live (`member_row`, `lead_row` are local rows)."""

    members: MemberColumns
    member_row: int
    leads: LeadColumns
    lead_row: int
    features: F32  # [F]
    terms: F32  # [F]
    member: Member | None  # the record: it names the kinds of the places
    you: str = "该委员"  # how the text calls the member


def member_record(snapshot: Snapshot, row: int) -> Member | None:
    """The record behind a member's global row."""
    member = decode_entity(Member, snapshot.members.record(row))
    return member if isinstance(member, Member) else None


def place_kinds(member: Member | None) -> I8:
    """Which of PLACE_KINDS each place in the columns is (int8[PLACES])."""
    found = np.zeros(PLACES, np.int8)
    for at, place in enumerate(member_places(member)[:PLACES] if member is not None else ()):
        found[at] = PLACE_KINDS.index(place.kind) if place.kind in PLACE_KINDS else 0
    return found


class PlaceKinds:
    """The kinds of members' places, kept: to read a record takes as long as to rank eight pairs."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._kept = np.full((snapshot.members.base_count, PLACES), _NOT_READ, np.int8)

    def of(self, rows: I64) -> I8:
        """Of members' global rows int64[n] (int8[n, PLACES])."""
        base = rows < len(self._kept)
        found = np.full((len(rows), PLACES), _NOT_READ, np.int8)
        found[base] = self._kept[rows[base]]
        for at in np.flatnonzero(found[:, 0] == _NOT_READ):
            row = int(rows[at])
            found[at] = place_kinds(member_record(self._snapshot, row))
            if row < len(self._kept):  # a tail row's record may be replaced: it is read anew
                self._kept[row] = found[at]
        return found


def distance_km(pair: Pair) -> float | None:
    """Kilometres from the nearest of the member's places, None when unknown."""
    value = float(pair.features[INDEX["distance_log_km"]])
    return None if math.isnan(value) else math.expm1(value)

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

_MOST_KEPT = 20_000


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
        self._kept: dict[int, I8] = {}

    def of_all(self, rows: I64) -> I8:
        """Of members' global rows int64[n] (int8[n, PLACES])."""
        found = np.zeros((len(rows), PLACES), np.int8)
        for at, row in enumerate(rows.tolist()):
            found[at] = self.of(row)
        return found

    def of(self, row: int) -> I8:
        """Of a member's global row (int8[PLACES]).

        A tail row's record may be replaced: it is read anew.
        """
        kinds = self._kept.get(row)
        if kinds is None:
            kinds = place_kinds(member_record(self._snapshot, row))
            if row < self._snapshot.members.base_count:
                if len(self._kept) >= _MOST_KEPT:
                    self._kept.clear()
                self._kept[row] = kinds
        return kinds


def distance_km(pair: Pair) -> float | None:
    """Kilometres from the nearest of the member's places, None when unknown."""
    value = float(pair.features[INDEX["distance_log_km"]])
    return None if math.isnan(value) else math.expm1(value)

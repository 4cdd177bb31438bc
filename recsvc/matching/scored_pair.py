"""One scored pair, with what is needed to say why it scored so."""

from __future__ import annotations

import math
from dataclasses import dataclass

from features.entities import Member
from features.location import member_places
from recsvc.model.arrays import F32, LeadColumns, MemberColumns
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


def place_kinds(member: Member | None) -> tuple[str, ...]:
    """HOME, WORK, …, in the order of the places in the columns."""
    return tuple(place.kind for place in member_places(member)) if member is not None else ()


class PlaceKinds:
    """The kinds of members' places, kept: to read a record takes as long as to rank eight pairs."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._kept: dict[int, tuple[str, ...]] = {}

    def of(self, row: int) -> tuple[str, ...]:
        """Of a member's global row. A tail row's record may be replaced: it is read anew."""
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

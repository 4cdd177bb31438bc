"""One scored pair, with what is needed to say why it scored so."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from features.entities import Member
from features.location import member_places
from recsvc.model.arrays import F32, LeadColumns, MemberColumns
from recsvc.model.snapshot import Snapshot
from recsvc.model.terms import INDEX
from recsvc.store.codec import decode_entity

Middles = dict[int, tuple[float, float] | None]
"""Region code -> its middle as columns hold it (radians); filled as regions are met."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One scored pair and where its two sides live (`member_row`, `lead_row` are local rows)."""

    members: MemberColumns
    member_row: int
    leads: LeadColumns
    lead_row: int
    features: F32 | list[float]  # [F]
    terms: F32 | list[float]  # [F]
    member: Member | None  # the record: it names the kinds of the places
    you: str = "该委员"  # how the text calls the member
    middles: Middles = field(default_factory=dict)
    place_kinds: tuple[str, ...] | None = None  # those of the member's places, when known already


def member_record(snapshot: Snapshot, row: int) -> Member | None:
    """The record behind a member's global row."""
    member = decode_entity(Member, snapshot.members.record(row))
    return member if isinstance(member, Member) else None


def place_kinds(member: Member | None) -> tuple[str, ...]:
    """HOME, WORK, …, in the order of the places in the columns."""
    return tuple(place.kind for place in member_places(member)) if member is not None else ()


def value_of(pair: Pair, feature: str) -> float:
    """The value of a feature, NaN when it cannot be known."""
    return float(pair.features[INDEX[feature]])


def strongest_of(pair: Pair, *features: str) -> str:
    """Which of the features moved the score most."""
    return max(features, key=lambda name: float(pair.terms[INDEX[name]]))


def distance_km(pair: Pair) -> float | None:
    """Kilometres from the nearest of the member's places, None when unknown."""
    value = float(pair.features[INDEX["distance_log_km"]])
    return None if math.isnan(value) else math.expm1(value)

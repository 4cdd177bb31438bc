"""What the places of members are: their homes, where they work, their studios (委员工作室)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from features.entities import Member
from features.location import member_places
from recsvc.model.arrays import I8, PLACES
from recsvc.model.bundle import Bundle
from recsvc.store.codec import decode_entity

PLACE_KINDS = ("", "HOME", "WORK", "STUDIO")
"""What a place of a member may be; the first is any other."""


class PlaceKinds(NamedTuple):
    """Of n members."""

    kind: I8  # [n, PLACES] which of PLACE_KINDS, in the order of the places in the columns


def kinds_in(record: bytes) -> I8:
    """Those of a member's record (int8[PLACES])."""
    member = decode_entity(Member, record)
    found = np.zeros(PLACES, np.int8)
    for at, place in enumerate(
        member_places(member)[:PLACES] if isinstance(member, Member) else ()
    ):
        found[at] = PLACE_KINDS.index(place.kind) if place.kind in PLACE_KINDS else 0
    return found


def place_kinds_of(bundle: Bundle) -> PlaceKinds:
    """Those of a bundle's members, as they were written or read now, one record after the other."""

    def build() -> PlaceKinds:
        kind = np.zeros((len(bundle.member_ids), PLACES), np.int8)
        for row in range(len(kind)):
            kind[row] = kinds_in(bundle.member_records[row])
        return PlaceKinds(kind)

    return bundle.tables.get("place_kinds", PlaceKinds, build)

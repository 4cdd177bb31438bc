"""Slices of members and leads that a gain must not be paid for with; the gate has their floors."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from recsvc.model.arrays import I32, LeadColumns, MemberColumns

HISTORIES = (
    ("0 events", 0, 0),
    ("1-3 events", 1, 3),
    ("4-20 events", 4, 20),
    ("21+ events", 21, 1 << 40),
)
"""By how much was known of a member."""
NEW_LEADS = "new leads"
RURAL, URBAN = "rural counties", "cities"
_COUNTY_LEVEL = 2
_FIRST_COUNTY, _FIRST_COUNTY_CITY = 21, 81
Mask = NDArray[np.bool_]


def member_cohorts(members: MemberColumns, rows: I32) -> Iterator[tuple[str, Mask]]:
    """Slices (bool[n]) of n members, by what was known of them and by where they live.

    The last two digits of a county's code tell counties (21 to 80) from districts and cities (GB/T
    2260); whose county is not known is in neither.
    """
    seen = members.events[rows]
    for name, low, high in HISTORIES:
        yield name, (seen >= low) & (seen <= high)
    county = members.region[rows, 0, _COUNTY_LEVEL]
    kind = county % 100
    rural = (kind >= _FIRST_COUNTY) & (kind < _FIRST_COUNTY_CITY)
    yield RURAL, (county >= 0) & rural
    yield URBAN, (county >= 0) & ~rural


def untouched(leads: LeadColumns) -> Mask:
    """The leads (bool[l]) that nobody had met."""
    return np.asarray((leads.events == 0) & (leads.exposures == 0))

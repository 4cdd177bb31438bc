"""What a scan needs to know of the lead, out of its row."""

from __future__ import annotations

import numpy as np
from numba import njit

from features.location import EARTH_RADIUS_KM
from recsvc.matching.member_scan.scope import Asked
from recsvc.model.arrays import F32, I32, LeadColumns

_MOST_TOPICS = 3
"""Of the lead's topics those that weigh most: each more is one more run a cell."""


@njit(cache=True)
def asked_of(leads: LeadColumns, row: int, topic_count: int) -> Asked:
    """What the scan asks of one lead (row of `leads`)."""
    latitude, longitude = float(leads.latitude_rad[row]), float(leads.longitude_rad[row])
    flat = np.cos(latitude) * EARTH_RADIUS_KM
    place = np.empty(3, np.float32)
    place[0], place[1] = flat * np.cos(longitude), flat * np.sin(longitude)
    place[2] = np.sin(latitude) * EARTH_RADIUS_KM
    return Asked(
        _heaviest(leads.topics[row], leads.topic_weights[row], topic_count),
        place,
        leads.region[row],
        int(leads.organization[row]),
        leads.vector[row],
        leads.text[row],
    )


@njit(cache=True)
def _heaviest(topics: I32, weights: F32, topic_count: int) -> I32:
    """The topics that weigh most, of equal ones the first."""
    kept = topics[(topics >= 0) & (topics < topic_count)]
    heavy = weights[(topics >= 0) & (topics < topic_count)]
    order = np.argsort(-heavy, kind="mergesort")
    return kept[order[:_MOST_TOPICS]]

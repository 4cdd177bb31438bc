"""What a scan needs to know of the lead, out of its row."""

from __future__ import annotations

import math

import numpy as np

from features.location import EARTH_RADIUS_KM
from recsvc.matching.member_scan.scope import Asked
from recsvc.model.arrays import LeadColumns

_MOST_TOPICS = 3
"""Of the lead's topics those that weigh most: each more is one more run a cell."""


def asked_of(leads: LeadColumns, row: int, topic_count: int) -> Asked:
    """What the scan asks of one lead (row of `leads`)."""
    latitude, longitude = float(leads.latitude_rad[row]), float(leads.longitude_rad[row])
    flat = math.cos(latitude)
    point = flat * math.cos(longitude), flat * math.sin(longitude), math.sin(latitude)
    weighed = zip(leads.topic_weights[row].tolist(), leads.topics[row].tolist(), strict=True)
    topics = sorted((-weight, topic) for weight, topic in weighed if 0 <= topic < topic_count)
    return Asked(
        np.array([topic for _, topic in topics[:_MOST_TOPICS]], np.int32),
        np.array(point, np.float32) * np.float32(EARTH_RADIUS_KM),
        leads.region[row],
        int(leads.organization[row]),
        leads.vector[row],
        leads.text[row],
    )

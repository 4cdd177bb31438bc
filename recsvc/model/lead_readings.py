"""What was read of leads nobody has touched: features and embedding, from text, topics and place.

Reading is the dearest part of taking a lead in, so the worker that accepts one keeps what it read
until the lead comes back to it in the change stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from features.columns import LeadFeatures
from features.entities import Lead
from recsvc.model.arrays import F32
from recsvc.model.bundle import Bundle

_MOST_KEPT = 8_192
"""Leads; about three kilobytes each."""


class LeadReading(NamedTuple):
    """Of n leads; `vectors` float32[n, d]."""

    features: LeadFeatures
    vectors: F32


def read_leads(bundle: Bundle, leads: Sequence[Lead]) -> LeadReading:
    """Reads each text once, whatever is made of it."""
    features, content = bundle.space.leads_with_content(leads)
    if bundle.content_map is None or not leads:
        nothing = np.tile(-bundle.fold_in.lead_mean, (len(leads), 1))
        return LeadReading(features, nothing)
    return LeadReading(features, bundle.content_map.vectors(content))


def joined(readings: Sequence[LeadReading]) -> LeadReading:
    """Several, at least one, one after the other."""
    columns = zip(*(reading.features for reading in readings), strict=True)
    features = LeadFeatures(*(np.concatenate(parts) for parts in columns))
    return LeadReading(features, np.concatenate([reading.vectors for reading in readings]))


class KeptReadings:
    """Readings of leads that are on their way through the store; the oldest go when it is full."""

    def __init__(self, most: int = _MOST_KEPT) -> None:
        self._most = most
        self._kept: dict[str, tuple[Lead, LeadReading, int]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, leads: Sequence[Lead], reading: LeadReading) -> None:
        """Keeps what was read of each lead."""
        for row, lead in enumerate(leads):
            self._kept.pop(lead.lead_id, None)
            self._kept[lead.lead_id] = lead, reading, row
        for oldest in list(self._kept)[: max(0, len(self._kept) - self._most)]:
            del self._kept[oldest]

    def take(self, leads: Sequence[Lead]) -> tuple[list[Lead], LeadReading, list[Lead]] | None:
        """Leads that were read with this very content, their reading, and the leads that were not.

        What is taken is kept no longer; None when there is nothing of any of them.
        """
        found, places, missing = [], [], []
        for lead in leads:
            kept = self._kept.pop(lead.lead_id, None)
            if kept is not None and kept[0] == lead:
                found.append(lead)
                places.append(kept[1:])
            else:
                missing.append(lead)
        return (found, _together(places), missing) if found else None


def _together(places: Sequence[tuple[LeadReading, int]]) -> LeadReading:
    """Single rows of several readings as one; at least one."""
    columns = (
        np.stack([reading.features[column][row] for reading, row in places])
        for column in range(len(LeadFeatures._fields))
    )
    vectors = np.stack([reading.vectors[row] for reading, row in places])
    return LeadReading(LeadFeatures(*columns), vectors)

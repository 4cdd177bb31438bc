"""The ranker's tables in the form in which a scan over many rows reads them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from recsvc.model.additive import AdditiveModel, table_value
from recsvc.model.arrays import F32
from recsvc.model.terms import INDEX
from recsvc.model.topic_terms import MEAN_LOG_KM

_DISTANCE = INDEX["distance_log_km"]
_ACTIVITY = INDEX["activity_log_km"]
_LEVELS = INDEX["shared_region_levels"]
_ORGANIZATION = INDEX["same_organization"]
_EMBEDDING = INDEX["embedding"]
_SLOPES = ("expertise_text", "interest_text", "answer_text", "place_by_topic", "stated_by_topic")
STEPS = 16
"""Entries of the distance tables for each square root of a kilometre."""

ENTRIES = 33 * STEPS
EMBEDDING_ENTRIES = 1024


class ScanTables(NamedTuple):
    """What the ranker says of distances, ready to look up: entries are 1/16 sqrt(km) apart."""

    home: F32  # [529] term of distance_log_km; last: not known
    activity: F32  # [529] term of activity_log_km; last: not known
    levels: F32  # [6] term of 0 to 4 shared region levels; last: not known
    organization: F32  # [3] term of another organization, the same one; last: not known
    embedding: F32  # [1024] term of the embedding, evenly spaced over its knots
    embedding_from: float
    embedding_per: float  # entries a unit
    embedding_above: float  # what a unit above the last knot adds
    away: F32  # [529] log-km from MEAN_LOG_KM; last: 0, not known
    expertise_text: float  # slopes of the three text terms
    interest_text: float  # and of the nearest single text: the mean of texts stands for each
    answer_text: float
    place_by_topic: float  # slopes of the terms that depend on a lead's topics and the distance
    stated_by_topic: float


def table_slope(model: AdditiveModel, feature: str) -> float:
    """How much a linear feature's table rises per unit, over its knots; 0 when it is not used."""
    at = INDEX[feature]
    count = int(model.counts[at])
    if count < 2:
        return 0.0
    rise = float(model.values[at, count - 1] - model.values[at, 0])
    return max(0.0, rise / float(model.knots[at, count - 1] - model.knots[at, 0]))


def scan_tables(model: AdditiveModel) -> ScanTables:
    """The tables of one ranker."""
    kilometres = (np.arange(ENTRIES) / STEPS) ** 2
    tables = np.empty((2, ENTRIES + 1), np.float32)
    for at, feature in enumerate((_DISTANCE, _ACTIVITY)):
        for entry, km in enumerate(kilometres):
            tables[at, entry] = table_value(model, feature, np.log1p(km))
        tables[at, ENTRIES] = table_value(model, feature, np.nan)
    slopes = {feature: table_slope(model, feature) for feature in _SLOPES}
    slopes["interest_text"] += table_slope(model, "own_text")
    away = np.append(np.log1p(kilometres) - MEAN_LOG_KM, 0.0).astype(np.float32)
    levels = [table_value(model, _LEVELS, x) for x in (0.0, 1.0, 2.0, 3.0, 4.0, np.nan)]
    same = [table_value(model, _ORGANIZATION, x) for x in (0.0, 1.0, np.nan)]
    places = (tables[0], tables[1], np.array(levels, np.float32), np.array(same, np.float32))
    return ScanTables(*places, *_embedding(model), away, *slopes.values())


def _embedding(model: AdditiveModel) -> tuple[F32, float, float, float]:
    count = max(int(model.counts[_EMBEDDING]), 1)
    first, last = float(model.knots[_EMBEDDING, 0]), float(model.knots[_EMBEDDING, count - 1])
    if not first < last < np.inf:
        first, last = 0.0, 1.0
    points = np.linspace(first, last, EMBEDDING_ENTRIES)
    terms = [table_value(model, _EMBEDDING, x) for x in points]
    above = float(model.slope_above[_EMBEDDING])
    return np.array(terms, np.float32), first, (EMBEDDING_ENTRIES - 1) / (last - first), above

"""The pair features: what the ranker knows about one member and one lead.

One kernel, used by training to learn the ranker and by the service to apply it, so that a feature
means the same in both. NaN means "cannot be known for this pair"; the ranker has a value for that.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from features.location import haversine_km
from recsvc.model.arrays import F32, I32, LeadColumns, MemberColumns

MICROSECONDS_PER_HOUR = 3_600_000_000.0


class Feature(NamedTuple):
    """A pair feature: its name, the group a reason speaks of, and how the ranker reads it.

    `linear` features are interpolated between knots, because steps would tie the best candidates.
    `monotone` is +1 (never lowers the score), -1 (never raises it) or 0.
    """

    name: str
    group: str
    linear: bool
    monotone: int


FEATURES: tuple[Feature, ...] = (
    Feature("embedding", "INTEREST", True, 1),
    Feature("expertise_text", "EXPERTISE", True, 1),
    Feature("interest_text", "INTEREST", True, 1),
    Feature("expertise_topics", "EXPERTISE", True, 1),
    Feature("interest_topics", "INTEREST", True, 1),
    Feature("sector_topics", "EXPERTISE", True, 1),
    Feature("distance_log_km", "PLACE", True, -1),
    Feature("activity_log_km", "PLACE", True, -1),
    Feature("shared_region_levels", "PLACE", False, 0),
    Feature("same_organization", "PLACE", False, 0),
    Feature("age_log_hours", "FRESHNESS", False, 0),
    Feature("urgency", "URGENCY", False, 0),
    Feature("willingness", "WILLINGNESS", True, 1),
    Feature("exposures_log", "WILLINGNESS", False, 0),
    Feature("lead_appeal", "APPEAL", True, 1),
    Feature("lead_popularity", "APPEAL", True, 0),
)
FEATURE_COUNT = len(FEATURES)
FEATURE_NAMES = tuple(f.name for f in FEATURES)
INDEX = {name: i for i, name in enumerate(FEATURE_NAMES)}


class TermContext(NamedTuple):
    """What the kernel needs beside the rows; learned by training, kept in the bundle."""

    sector_topics: F32  # [sectors, topics] log-odds of acting on the topic, centred
    member_rate_logit: float  # prior log-odds that a push is answered
    lead_rate_logit: float
    member_prior_strength: float  # pushes the prior is worth
    lead_prior_strength: float


@njit(cache=True, inline="always")
def _smoothed_logit(hits: float, trials: float, prior_logit: float, strength: float) -> float:
    rate = 1.0 / (1.0 + np.exp(-prior_logit))
    hits = min(hits, trials)
    p = (hits + rate * strength) / (trials + strength)
    p = min(max(p, 1e-5), 1.0 - 1e-5)
    return float(np.log(p / (1.0 - p)))


@njit(cache=True)
def smoothed_logit(hits: F32, trials: F32, prior_logit: float, strength: float) -> F32:
    """Log-odds (float32[n]) of `hits` in `trials`, shrunk to a prior worth `strength` trials."""
    out = np.empty(len(hits), np.float32)
    for i in range(len(hits)):
        out[i] = _smoothed_logit(hits[i], trials[i], prior_logit, strength)
    return out


@njit(cache=True, fastmath={"contract", "reassoc", "nsz"})
def _dot(a: F32, b: F32) -> float:
    total = np.float32(0.0)
    for i in range(len(a)):
        total += a[i] * b[i]
    return float(total)


@njit(cache=True)
def _overlap(topics_a: I32, weights_a: F32, topics_b: I32, weights_b: F32) -> float:
    """Inner product of two sparse rows (-1 padded); NaN when either is empty."""
    if topics_a[0] < 0 or topics_b[0] < 0:
        return np.nan
    total = 0.0
    for i in range(len(topics_a)):
        if topics_a[i] < 0:
            break
        for j in range(len(topics_b)):
            if topics_b[j] < 0:
                break
            if topics_a[i] == topics_b[j]:
                total += weights_a[i] * weights_b[j]
    return total


@njit(cache=True)
def nearest_place_km(lat: F32, lon: F32, lead_lat: float, lead_lon: float) -> float:
    """Great-circle distance (haversine, km) from the nearest of a member's places; NaN unknown."""
    best = np.inf
    for i in range(len(lat)):
        if np.isnan(lat[i]):
            continue
        best = min(best, haversine_km(lat[i], lon[i], lead_lat, lead_lon))
    return best if best < np.inf else np.nan


@njit(cache=True)
def _shared_levels(member_region: I32, lead_region: I32) -> float:
    """Levels (province … town) the lead shares with the member's best place; NaN unknown."""
    if lead_region[0] < 0:
        return np.nan
    best = -1.0
    for place in range(member_region.shape[0]):
        if member_region[place, 0] < 0:
            continue
        shared = 0.0
        for level in range(4):
            if member_region[place, level] < 0 or member_region[place, level] != lead_region[level]:
                break
            shared += 1.0
        best = max(best, shared)
    return best if best >= 0.0 else np.nan


@njit(cache=True)
def _sector_topics(sector: int, topics: I32, table: F32) -> float:
    """The best log-odds of the member's sector over the lead's topics; NaN unknown."""
    if sector < 0 or sector >= table.shape[0] or topics[0] < 0:
        return np.nan
    best = -np.inf
    for i in range(len(topics)):
        if topics[i] < 0:
            break
        if topics[i] < table.shape[1]:
            best = max(best, table[sector, topics[i]])
    return best if best > -np.inf else np.nan


@njit(cache=True)
def pair_features(
    members: MemberColumns,
    member_rows: I32,
    leads: LeadColumns,
    lead_rows: I32,
    now_us: NDArray[np.int64],
    context: TermContext,
) -> F32:
    """Features (float32[n, FEATURE_COUNT]) of n pairs of rows, each seen at its own `now_us`."""
    n = len(lead_rows)
    out = np.empty((n, FEATURE_COUNT), np.float32)
    for i in range(n):
        m, j = member_rows[i], lead_rows[i]
        row = out[i]
        row[0] = _dot(members.vector[m], leads.vector[j])
        row[1] = _dot(members.text[m], leads.text[j])
        row[2] = _dot(members.interest_text[m], leads.text[j])
        row[3] = _overlap(
            members.topics[m], members.topic_weights[m], leads.topics[j], leads.topic_weights[j]
        )
        row[4] = _overlap(
            members.interest_topics[m],
            members.interest_topic_weights[m],
            leads.topics[j],
            leads.topic_weights[j],
        )
        row[5] = _sector_topics(members.sector[m], leads.topics[j], context.sector_topics)
        row[6] = row[7] = np.nan
        if not np.isnan(leads.latitude_rad[j]):
            at = leads.latitude_rad[j], leads.longitude_rad[j]
            row[6] = np.log1p(
                nearest_place_km(members.latitude_rad[m], members.longitude_rad[m], at[0], at[1])
            )
            row[7] = np.log1p(
                nearest_place_km(
                    members.activity_latitude_rad[m],
                    members.activity_longitude_rad[m],
                    at[0],
                    at[1],
                )
            )
        row[8] = _shared_levels(members.region[m], leads.region[j])
        row[9] = np.nan
        if members.organization[m] >= 0 and leads.organization[j] >= 0:
            row[9] = 1.0 if members.organization[m] == leads.organization[j] else 0.0
        row[10] = np.nan
        if leads.create_time_us[j] != 0:
            age = (now_us[i] - leads.create_time_us[j]) / MICROSECONDS_PER_HOUR
            row[10] = np.log1p(max(0.0, age))
        row[11] = leads.urgency[j]
        row[12] = _smoothed_logit(
            members.claims[m],
            members.exposures[m],
            context.member_rate_logit,
            context.member_prior_strength,
        )
        row[13] = np.log1p(members.exposures[m])
        row[14] = _smoothed_logit(
            leads.claims[j],
            leads.exposures[j],
            context.lead_rate_logit,
            context.lead_prior_strength,
        )
        row[15] = np.log1p(leads.events[j])
    return out

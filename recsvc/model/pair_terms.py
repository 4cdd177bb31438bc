"""All features of pairs: what member and lead have in common, and what each brings by itself.

Numba's cache does not see an edit of `one_sided_terms`, which is compiled into `pair_features`:
delete the `*.nbi` files under the tree after one.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from features.location import haversine_km
from recsvc.model.arrays import F32, I8, I32, LeadColumns, MemberColumns
from recsvc.model.neighbours import place_of
from recsvc.model.one_sided_terms import of_lead, of_member
from recsvc.model.terms import FEATURE_COUNT, TermContext
from recsvc.model.topic_terms import place_by_topic, stated_by_topic

DENSITY_KM = 1.0
DENSITY_FLOOR = 1e-6


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
def _answers_on(asked: I32, sums: F32, information: F32, topics: I32, weights: F32) -> float:
    """How much more (log-odds) a member answers leads of these topics than others; NaN unknown.

    One Newton step of an effect of member and topic, with a standard normal prior.
    """
    if topics[0] < 0 or asked[0] < 0:
        return np.nan
    total = 0.0
    for i in range(len(topics)):
        if topics[i] < 0:
            break
        for j in range(len(asked)):
            if asked[j] < 0:
                break
            if asked[j] == topics[i]:
                total += weights[i] * sums[j] / (1.0 + information[j])
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
def nearest_place(lat: F32, lon: F32, lead_lat: float, lead_lon: float) -> int:
    """Which of a member's places is nearest, -1 when no distance is known."""
    best, at = np.inf, -1
    for i in range(len(lat)):
        km = haversine_km(lat[i], lon[i], lead_lat, lead_lon)
        if km < best:
            best, at = km, i
    return at


@njit(cache=True)
def _activity(
    lat: F32, lon: F32, share: F32, lead_lat: float, lead_lon: float
) -> tuple[float, float]:
    """log(1 + km) from the nearest place of activity, and log of how much goes on around a lead.

    What goes on at a place counts the less the farther it is: 1 / (1 + (km / DENSITY_KM)²). NaN for
    a member without such places.
    """
    best, around = np.inf, 0.0
    for i in range(len(lat)):
        if np.isnan(lat[i]):
            break
        km = haversine_km(lat[i], lon[i], lead_lat, lead_lon)
        best = min(best, km)
        around += share[i] / (1.0 + km * km / (DENSITY_KM * DENSITY_KM))
    if best == np.inf:
        return np.nan, np.nan
    return np.log1p(best), np.log(around + DENSITY_FLOOR)


@njit(cache=True, fastmath={"contract", "reassoc", "nsz"})
def _coded_dot(codes: I8, text: F32) -> float:
    total = np.float32(0.0)
    for i in range(len(text)):
        total += np.float32(codes[i]) * text[i]
    return float(total)


@njit(cache=True)
def _nearest_own(codes: I8, scales: F32, text: F32) -> float:
    """Cosine of a lead's text with the nearest of a member's own; NaN for a member without."""
    best = np.nan
    for i in range(len(scales)):
        if scales[i] == 0.0:
            break
        near = scales[i] * _coded_dot(codes[i], text)
        if i == 0 or near > best:
            best = near
    return best


@njit(cache=True)
def _co_taken(leads: I32, weights: F32, row: int) -> float:
    """How much a lead goes with those a member took; NaN when one side has nothing to compare."""
    if row < 0 or weights[0] == 0.0:
        return np.nan
    at = place_of(leads, row)
    return float(weights[at]) if at >= 0 else 0.0


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


@njit(cache=True, nogil=True)
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
        row[6] = row[7] = row[27] = np.nan
        if not np.isnan(leads.latitude_rad[j]):
            at = leads.latitude_rad[j], leads.longitude_rad[j]
            row[6] = np.log1p(
                nearest_place_km(members.latitude_rad[m], members.longitude_rad[m], at[0], at[1])
            )
            row[7], row[27] = _activity(
                members.activity_latitude_rad[m],
                members.activity_longitude_rad[m],
                members.activity_share[m],
                at[0],
                at[1],
            )
        row[8] = _shared_levels(members.region[m], leads.region[j])
        row[9] = np.nan
        if members.organization[m] >= 0 and leads.organization[j] >= 0:
            row[9] = 1.0 if members.organization[m] == leads.organization[j] else 0.0
        of_lead(leads, j, now_us[i], context, row)
        of_member(members, m, context, row)
        row[16] = _answers_on(
            members.answer_topics[m],
            members.answer_topic_sums[m],
            members.answer_topic_information[m],
            leads.topics[j],
            leads.topic_weights[j],
        )
        row[17] = _dot(members.answer_text[m], leads.text[j])
        row[23] = place_by_topic(
            context.topic_effects, row[6], leads.topics[j], leads.topic_weights[j]
        )
        row[24] = stated_by_topic(
            context.topic_effects,
            row[6],
            members.topics[m],
            leads.topics[j],
            leads.topic_weights[j],
        )
        row[25] = _nearest_own(members.own_text[m], members.own_text_scale[m], leads.text[j])
        row[26] = _co_taken(
            members.co_taken_leads[m], members.co_taken_weights[m], leads.neighbour_row[j]
        )
    return out

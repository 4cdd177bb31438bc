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
MICROSECONDS_PER_MONTH = 2_629_800_000_000.0
AUDIENCE_PRIOR = 3.0
"""How many leads of an average audience every member is taken to have met."""
APPEAL_PRIOR = 1.0
"""How many leads of an average appeal."""
LEAST_INFORMATION = 1e-6
"""Below it nobody has answered, but for rounding."""
MOST_MOVE = 2.0
"""Log-odds that willingness and appeal may move away from their trained values in a day."""


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
    Feature("age_log_hours", "FRESHNESS", True, 0),
    Feature("urgency", "URGENCY", True, 0),
    Feature("willingness", "WILLINGNESS", True, 1),
    Feature("exposures_log", "WILLINGNESS", False, 0),
    Feature("audience_met", "WILLINGNESS", True, 0),
    Feature("appeal_met", "WILLINGNESS", True, 0),
    Feature("answer_topics", "INTEREST", True, 1),
    Feature("answer_text", "INTEREST", True, 1),
    Feature("lead_appeal", "APPEAL", True, 1),
    Feature("content_appeal", "APPEAL", True, 1),
    Feature("lead_exposures_log", "APPEAL", False, 0),
    Feature("lead_popularity", "APPEAL", True, 0),
    Feature("topic_moment", "APPEAL", True, 1),
)
FEATURE_COUNT = len(FEATURES)
FEATURE_NAMES = tuple(f.name for f in FEATURES)
INDEX = {name: i for i, name in enumerate(FEATURE_NAMES)}
OF_LEAD = tuple(
    INDEX[name]
    for name in (
        "age_log_hours",
        "urgency",
        "lead_appeal",
        "content_appeal",
        "lead_exposures_log",
        "lead_popularity",
        "topic_moment",
    )
)
"""Features that are the same for every member."""
OF_MEMBER = tuple(
    INDEX[name] for name in ("willingness", "exposures_log", "audience_met", "appeal_met")
)
"""Features that are the same for every lead."""


class TermContext(NamedTuple):
    """What the kernel needs beside the rows; learned by training, kept in the bundle."""

    sector_topics: F32  # [sectors, topics] log-odds of acting on the topic, centred
    base_logit: float  # log-odds that a push is answered, see features.willingness
    slots: F32  # [features.willingness.SLOTS] log-odds of a place on a list, against a push
    member_precision: float  # of the prior of a member's willingness around 0
    lead_precision: float  # of that of a lead's appeal
    audience_mean: float  # mean audience_met of all answers
    appeal_weights: F32  # [dt] content_appeal = text @ appeal_weights + appeal_bias
    appeal_bias: float
    topic_moments: F32  # [topics, months] log-odds of a topic's leads lately, against all
    moments_from_us: int  # when the first month begins
    counted_until_us: int  # an exposure before this counts as answered (not taken) already


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
def _mean_over(values: F32, topics: I32, weights: F32) -> float:
    """Weighted mean of the values of a lead's topics; NaN when none is known."""
    total, weight = 0.0, 0.0
    for i in range(len(topics)):
        if topics[i] < 0:
            break
        if topics[i] < len(values):
            total += weights[i] * values[topics[i]]
            weight += weights[i]
    return total / weight if weight > 0.0 else np.nan


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
    return out


@njit(cache=True, inline="always")
def of_lead(leads: LeadColumns, j: int, now_us: int, context: TermContext, row: F32) -> None:
    """The features that are the same for every member."""
    row[10] = np.nan
    if leads.create_time_us[j] != 0:
        row[10] = np.log1p(max(0.0, (now_us - leads.create_time_us[j]) / MICROSECONDS_PER_HOUR))
    row[11] = leads.urgency[j]
    row[18] = np.nan
    known = leads.appeal_information[j]
    if known > LEAST_INFORMATION:
        row[18] = leads.appeal[j] + _moved(leads.appeal_moved[j], known + context.lead_precision)
    row[19] = leads.content_appeal[j]
    row[20] = np.log1p(leads.exposures[j])
    row[21] = np.log1p(leads.events[j])
    months = context.topic_moments.shape[1]
    if months > 0:
        month = int((now_us - context.moments_from_us) / MICROSECONDS_PER_MONTH)
        month = min(max(month, 0), months - 1)
        row[22] = _mean_over(
            context.topic_moments[:, month], leads.topics[j], leads.topic_weights[j]
        )
    else:
        row[22] = np.nan


@njit(cache=True, inline="always")
def of_member(members: MemberColumns, m: int, context: TermContext, row: F32) -> None:
    """The features that are the same for every lead."""
    row[12] = row[14] = row[15] = np.nan
    known = members.willingness_information[m]
    if known > LEAST_INFORMATION:
        moved = _moved(members.willingness_moved[m], known + context.member_precision)
        row[12] = members.willingness[m] + moved
        count, prior = members.answers[m], AUDIENCE_PRIOR
        row[14] = (members.audience_met[m] + prior * context.audience_mean) / (count + prior)
        row[15] = members.appeal_met[m] / (count + APPEAL_PRIOR)
    row[13] = np.log1p(members.exposures[m])


@njit(cache=True, inline="always")
def _moved(total: float, curvature: float) -> float:
    """One Newton step from the trained value, by all answers since."""
    return min(max(total / curvature, -MOST_MOVE), MOST_MOVE)


@njit(cache=True)
def lead_features(leads: LeadColumns, now_us: int, context: TermContext) -> F32:
    """Features (float32[n, F]) of all leads that are the same for every member; others NaN."""
    out = np.full((len(leads.alive), FEATURE_COUNT), np.nan, np.float32)
    for j in range(len(out)):
        of_lead(leads, j, now_us, context, out[j])
    return out


@njit(cache=True)
def member_features(members: MemberColumns, context: TermContext) -> F32:
    """Features (float32[n, F]) of all members that are the same for every lead; others NaN."""
    out = np.full((len(members.alive), FEATURE_COUNT), np.nan, np.float32)
    for m in range(len(out)):
        of_member(members, m, context, out[m])
    return out

"""Features of one side alone: of a lead, the same for every member, and the other way round."""

from __future__ import annotations

import numpy as np
from numba import njit

from recsvc.model.arrays import F32, I32, LeadColumns, MemberColumns
from recsvc.model.terms import FEATURE_COUNT, TermContext

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


@njit(cache=True, inline="always")
def of_lead(leads: LeadColumns, j: int, now_us: int, context: TermContext, row: F32) -> None:
    """The features that are the same for every member."""
    row[10] = log_age(leads.create_time_us[j], now_us)
    row[11] = leads.urgency[j]
    row[18] = moved_value(
        leads.appeal[j], leads.appeal_moved[j], leads.appeal_information[j], context.lead_precision
    )
    row[19] = leads.content_appeal[j]
    row[20] = np.log1p(leads.exposures[j])
    row[21] = np.log1p(leads.events[j])
    month = month_of(context.topic_moments, context.moments_from_us, now_us)
    row[22] = topic_moment(context.topic_moments, month, leads.topics[j], leads.topic_weights[j])


@njit(cache=True, inline="always")
def of_member(members: MemberColumns, m: int, context: TermContext, row: F32) -> None:
    """The features that are the same for every lead."""
    known = members.willingness_information[m]
    row[12] = moved_value(
        members.willingness[m], members.willingness_moved[m], known, context.member_precision
    )
    row[13] = np.log1p(members.exposures[m])
    row[14], row[15] = leads_met(
        members.audience_met[m],
        members.appeal_met[m],
        members.answers[m],
        known,
        context.audience_mean,
    )
    row[28] = members.embedding_level[m]


@njit(cache=True, forceinline=True)
def log_age(create_time_us: int, now_us: int) -> float:
    """log(1 + hours) since a lead was submitted; NaN unknown."""
    if create_time_us == 0:
        return np.nan
    return float(np.log1p(max(0.0, (now_us - create_time_us) / MICROSECONDS_PER_HOUR)))


@njit(cache=True, forceinline=True)
def moved_value(trained: float, moved: float, information: float, precision: float) -> float:
    """A trained value, one Newton step further by all answers since; NaN without an answer."""
    if not information > LEAST_INFORMATION:
        return np.nan
    return trained + min(max(moved / (information + precision), -MOST_MOVE), MOST_MOVE)


@njit(cache=True, forceinline=True)
def leads_met(
    audience: float, appeal: float, answers: float, information: float, audience_mean: float
) -> tuple[float, float]:
    """Mean audience and mean appeal of the leads a member was asked about; NaN without any."""
    if not information > LEAST_INFORMATION:
        return np.nan, np.nan
    audience = (audience + AUDIENCE_PRIOR * audience_mean) / (answers + AUDIENCE_PRIOR)
    return audience, appeal / (answers + APPEAL_PRIOR)


@njit(cache=True, forceinline=True)
def month_of(moments: F32, from_us: int, now_us: int) -> int:
    """Which column of the topics' moments (float32[topics, months]) holds now; -1 without any."""
    month = int((now_us - from_us) / MICROSECONDS_PER_MONTH)
    return int(min(max(month, 0), moments.shape[1] - 1))


@njit(cache=True, forceinline=True)
def topic_moment(moments: F32, month: int, topics: I32, weights: F32) -> float:
    """Weighted mean of what moves a lead's topics in a month; NaN when none is known."""
    total, weight = 0.0, 0.0
    for i in range(len(topics)):
        if topics[i] < 0 or month < 0:
            break
        if topics[i] < len(moments):
            total += weights[i] * moments[topics[i], month]
            weight += weights[i]
    return total / weight if weight > 0.0 else np.nan


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

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

"""All features of pairs: what member and lead have in common, and what each brings by itself.

Each family of features has a kernel that fills its columns for all pairs; rows are read from the
columns, and from the records of `pair_facts` where nothing changes by the day.

Numba's cache does not see an edit of a kernel that is compiled into another: delete the `*.nbi`
files under the tree after one.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from recsvc.model.arrays import F32, I32, LEAD_TOPICS, LeadColumns, MemberColumns
from recsvc.model.neighbours import place_of
from recsvc.model.one_sided_terms import (
    leads_met,
    log_age,
    month_of,
    moved_value,
    topic_moment,
)
from recsvc.model.pair_facts import (
    LEAD_APPEAL,
    LEAD_CONTENT,
    LEAD_CREATED,
    LEAD_NEIGHBOUR,
    LEAD_TOPIC,
    LEAD_WEIGHT,
    WILLINGNESS,
    Facts,
    empty_lead_facts,
    empty_member_facts,
    fill_leads,
    fill_members,
)
from recsvc.model.pair_places import fill_distances, fill_regions
from recsvc.model.pair_topics import fill_answers, fill_effects, fill_sectors, fill_topics
from recsvc.model.pair_words import fill_embeddings, fill_own_texts, fill_texts
from recsvc.model.terms import FEATURE_COUNT, TermContext

_CHUNK = 256
"""Pairs whose records are made at once, when nobody has them."""

I64 = NDArray[np.int64]


@njit(cache=True, nogil=True)
def pair_features(
    members: MemberColumns,
    member_rows: I32,
    leads: LeadColumns,
    lead_rows: I32,
    now_us: I64,
    context: TermContext,
) -> F32:
    """Features (float32[n, FEATURE_COUNT]) of n pairs of rows, each seen at its own `now_us`."""
    n = len(lead_rows)
    out = np.empty((n, FEATURE_COUNT), np.float32)
    size = min(n, _CHUNK)
    own, other = empty_member_facts(size), empty_lead_facts(size)
    for begin in range(0, n, _CHUNK):
        end = min(begin + _CHUNK, n)
        m, j = member_rows[begin:end], lead_rows[begin:end]
        member, at = _runs(m)
        lead, lead_at = _runs(j)
        fill_members(members, member, own)
        fill_leads(leads, lead, other)
        when = now_us[begin:end]
        fill_features(members, m, own, at, leads, j, other, lead_at, when, context, out[begin:end])
    return out


@njit(cache=True, nogil=True)
def _runs(rows: I32) -> tuple[I32, I32]:
    """Each row once that comes several times on end, and where in these each one is."""
    at, count = np.empty(len(rows), np.int32), 0
    once = np.empty(len(rows), np.int32)
    for i in range(len(rows)):
        if i == 0 or rows[i] != rows[i - 1]:
            once[count] = rows[i]
            count += 1
        at[i] = count - 1
    return once[:count], at


@njit(cache=True, nogil=True)
def fill_features(
    members: MemberColumns,
    m: I32,
    facts: Facts,
    at: I32,
    leads: LeadColumns,
    j: I32,
    lead_facts: Facts,
    lead_at: I32,
    now_us: I64,
    context: TermContext,
    out: F32,
) -> None:
    """Features of n pairs into float32[n, FEATURE_COUNT].

    Rows `m`, `j` (int32[n]) of the columns have the records `at`, `lead_at` of the facts.
    """
    exact, whole, number = facts.exact, facts.whole, facts.number
    lead_exact, lead_whole, lead_number = lead_facts.exact, lead_facts.whole, lead_facts.number
    fill_embeddings(out, members.vector, m, leads.vector, j)
    fill_texts(out, members.text, members.interest_text, members.answer_text, m, leads.text, j)
    fill_own_texts(out, members.own_text, m, number, at, leads.text, j)
    fill_distances(out, exact, number, at, lead_exact, lead_at)
    fill_regions(out, whole, at, lead_whole, lead_at)
    fill_topics(out, whole, number, at, lead_whole, lead_number, lead_at)
    fill_sectors(out, context.sector_topics, whole, at, lead_whole, lead_at)
    fill_answers(
        out,
        members.answer_topics,
        members.answer_topic_sums,
        members.answer_topic_information,
        m,
        lead_whole,
        lead_number,
        lead_at,
    )
    fill_effects(out, context.topic_effects, whole, at, lead_whole, lead_number, lead_at)
    _fill_co_taken(out, members.co_taken_leads, members.co_taken_weights, m, lead_whole, lead_at)
    _fill_of_members(out, members, m, number, at, context)
    _fill_of_leads(out, leads, j, lead_facts, lead_at, now_us, context)


@njit(cache=True, nogil=True)
def _fill_co_taken(out: F32, listed: I32, weights: F32, m: I32, leads: I32, lead_at: I32) -> None:
    """How much a lead goes with those a member took; NaN when one side has nothing to compare."""
    for i in range(len(m)):
        row, own = leads[lead_at[i], LEAD_NEIGHBOUR], m[i]
        out[i, 26] = np.nan
        if row >= 0 and weights[own, 0] != 0.0:
            at = place_of(listed[own], row)
            out[i, 26] = weights[own, at] if at >= 0 else 0.0


@njit(cache=True, forceinline=True)
def _fill_of_members(
    out: F32, members: MemberColumns, m: I32, number: F32, at: I32, context: TermContext
) -> None:
    """What a member brings to every lead; in a member's own list it is worked out once."""
    information, moved = members.willingness_information, members.willingness_moved
    audience, appeal, answers = members.audience_met, members.appeal_met, members.answers
    exposures, level = members.exposures, members.embedding_level
    precision, audience_mean = context.member_precision, context.audience_mean
    for i in range(len(m)):
        own = m[i]
        if i > 0 and m[i - 1] == own:
            for f in range(12, 16):
                out[i, f] = out[i - 1, f]
            out[i, 28] = out[i - 1, 28]
            continue
        trained, known = number[at[i], WILLINGNESS], information[own]
        out[i, 12] = moved_value(trained, moved[own], known, precision)
        out[i, 13] = np.log1p(exposures[own])
        out[i, 14], out[i, 15] = leads_met(
            audience[own], appeal[own], answers[own], known, audience_mean
        )
        out[i, 28] = level[own]


@njit(cache=True, forceinline=True)
def _fill_of_leads(
    out: F32,
    leads: LeadColumns,
    j: I32,
    facts: Facts,
    at: I32,
    now_us: I64,
    context: TermContext,
) -> None:
    """What a lead brings to every member; in a lead's own list it is worked out once."""
    urgency, exposures, events = leads.urgency, leads.exposures, leads.events
    information, moved = leads.appeal_information, leads.appeal_moved
    created, number, whole = facts.time, facts.number, facts.whole
    precision, moments, first = (
        context.lead_precision,
        context.topic_moments,
        context.moments_from_us,
    )
    for i in range(len(j)):
        row, a = j[i], at[i]
        if i > 0 and j[i - 1] == row and now_us[i - 1] == now_us[i]:
            out[i, 10], out[i, 11] = out[i - 1, 10], out[i - 1, 11]
            for f in range(18, 23):
                out[i, f] = out[i - 1, f]
            continue
        out[i, 10] = log_age(created[a, LEAD_CREATED], now_us[i])
        out[i, 11] = urgency[row]
        out[i, 18] = moved_value(number[a, LEAD_APPEAL], moved[row], information[row], precision)
        out[i, 19] = number[a, LEAD_CONTENT]
        out[i, 20] = np.log1p(exposures[row])
        out[i, 21] = np.log1p(events[row])
        month = month_of(moments, first, now_us[i])
        topics, weights = (
            whole[a, LEAD_TOPIC : LEAD_TOPIC + LEAD_TOPICS],
            number[a, LEAD_WEIGHT : LEAD_WEIGHT + LEAD_TOPICS],
        )
        out[i, 22] = topic_moment(moments, month, topics, weights)

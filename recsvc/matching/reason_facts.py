"""What can be said of each pair, as numbers: which groups of terms speak for it, and what the
pair's features show of each. `reason_texts` puts it into words.

Compiled, because a page states thirty facts and the interpreter takes 10 µs for one.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numba import njit
from numpy.typing import NDArray

from features.regions import Middles
from recsvc.model.arrays import F32, I8, I32, I64, LeadColumns, MemberColumns
from recsvc.model.pair_places import nearest_place
from recsvc.model.terms import FEATURES, INDEX

GROUPS = tuple(dict.fromkeys(feature.group for feature in FEATURES))
MOST_REASONS = 3
ALIKE = 0.1
"""Texts with a lower cosine are not called alike."""

_GROUP_OF = np.array([GROUPS.index(feature.group) for feature in FEATURES])
_WORTH_SAYING_KM = 30.0
_TENTHS_FROM_KM = 10.0

F64 = NDArray[np.float64]
Mask = NDArray[np.bool_]


class Fact(IntEnum):
    """A fact; what its two numbers `a` and `b` are."""

    NOTHING = 0
    SHARED_TOPICS = 1  # topics, the second -1 for none
    SECTOR = 2  # sector
    ALIKE_EXPERTISE = 3
    ANSWERED_TOPICS = 4  # topics
    ALIKE_ANSWERED = 5
    MET_TOPICS = 6  # topics
    ALIKE_MET_TEXT = 7
    ALIKE_MET = 8
    OTHERS = 9
    NEAR_PLACE = 10  # kind of the member's place, tenths of a kilometre
    SAME_REGION = 11  # levels shared, 1 to 4
    NEAR_ACTIVITY = 12  # 0, tenths of a kilometre
    OWN_ORGANIZATION = 13
    DAYS_OLD = 14  # days
    URGENCY = 15  # urgency
    EXPOSED = 16  # times shown, times claimed
    TAKEN_PART = 17  # times
    WANTED_CONTENT = 18
    ALIKE_OWN = 19
    TAKEN_TOGETHER = 20


# Compiled kernels take plain numbers for constants.
_NOTHING, _SHARED_TOPICS, _SECTOR, _ALIKE_EXPERTISE = map(int, list(Fact)[:4])
_ANSWERED_TOPICS, _ALIKE_ANSWERED, _MET_TOPICS, _ALIKE_MET_TEXT = map(int, list(Fact)[4:8])
_ALIKE_MET, _OTHERS, _NEAR_PLACE, _SAME_REGION, _NEAR_ACTIVITY = map(int, list(Fact)[8:13])
_OWN_ORGANIZATION, _DAYS_OLD, _URGENCY, _EXPOSED, _TAKEN_PART = map(int, list(Fact)[13:18])
_WANTED_CONTENT, _ALIKE_OWN, _TAKEN_TOGETHER = map(int, list(Fact)[18:21])
_EMBEDDING, _EXPERTISE_TEXT = INDEX["embedding"], INDEX["expertise_text"]
_INTEREST_TEXT, _EXPERTISE_TOPICS = INDEX["interest_text"], INDEX["expertise_topics"]
_INTEREST_TOPICS, _SECTOR_TOPICS = INDEX["interest_topics"], INDEX["sector_topics"]
_DISTANCE, _ACTIVITY = INDEX["distance_log_km"], INDEX["activity_log_km"]
_LEVELS, _SAME_ORGANIZATION = INDEX["shared_region_levels"], INDEX["same_organization"]
_AGE, _URGENCY_VALUE = INDEX["age_log_hours"], INDEX["urgency"]
_ANSWER_TOPICS, _ANSWER_TEXT = INDEX["answer_topics"], INDEX["answer_text"]
_CONTENT_APPEAL, _POPULARITY = INDEX["content_appeal"], INDEX["lead_popularity"]
_OWN_TEXT, _CO_TAKEN = INDEX["own_text"], INDEX["co_taken"]
_OF = {name: at for at, name in enumerate(GROUPS)}
_OF_EXPERTISE, _OF_INTEREST, _OF_PLACE = _OF["EXPERTISE"], _OF["INTEREST"], _OF["PLACE"]
_OF_FRESHNESS, _OF_URGENCY, _OF_APPEAL = _OF["FRESHNESS"], _OF["URGENCY"], _OF["APPEAL"]
_OF_WILLINGNESS = _OF["WILLINGNESS"]


@njit(cache=True, nogil=True)
def tell(
    members: MemberColumns,
    member_rows: I32,
    leads: LeadColumns,
    lead_rows: I32,
    features: F32,
    terms: F32,
    at: I64,
    middles: Middles,
    kinds: I8,
    silent: Mask,
) -> tuple[I32, I32, F64]:
    """The reasons of k pairs of local rows, at most three of each, strongest first.

    How many (int32[k]), what they are (int32[k, 3, 4]: group, fact, and its two numbers), and the
    sums of their groups' terms (float64[k, 3]). Features and terms of the pairs stand in the rows
    `at` (int64[k]) of float32[n, F]. Groups that raised the score come first; when none did, the
    one that lowered it least; a `silent` one (bool[groups]) only when nothing else can be said.
    `kinds` are those of the members' places: int8[k, 4], or [1, 4] when all pairs are one member's.
    """
    n = len(member_rows)
    count = np.zeros(n, np.int32)
    fact = np.zeros((n, MOST_REASONS, 4), np.int32)
    weight = np.zeros((n, MOST_REASONS))
    sums, tried, one = np.empty(len(silent)), np.empty(len(silent), np.bool_), np.empty(3, np.int32)
    for i in range(n):
        m, j, row = member_rows[i], lead_rows[i], at[i]
        x, own_terms = features[row], terms[row]
        places = kinds[min(i, len(kinds) - 1)]
        sums[:], tried[:] = 0.0, False
        for f in range(terms.shape[1]):
            sums[_GROUP_OF[f]] += own_terms[f]
        for _ in range(len(silent)):
            group = _next(sums, tried, silent)
            if count[i] and (sums[group] <= 0.0 or count[i] == MOST_REASONS or silent[group]):
                break
            tried[group] = True
            _fact(members, m, leads, j, x, own_terms, middles, places, group, one)
            if one[0] != _NOTHING:
                place = count[i]
                fact[i, place, 0], weight[i, place] = group, sums[group]
                for k in range(3):
                    fact[i, place, 1 + k] = one[k]
                count[i] += 1
    return count, fact, weight


@njit(cache=True)
def _next(sums: F64, tried: Mask, silent: Mask) -> int:
    """Of the groups not tried yet: loud ones first, strongest first, equal ones in their order."""
    best = -1
    for group in range(len(sums)):
        if tried[group]:
            continue
        louder = best < 0 or (silent[best] and not silent[group])
        if louder or (silent[best] == silent[group] and sums[group] > sums[best]):
            best = group
    return best


# Inlined: each call would be handed the sixty arrays of both sides.
@njit(cache=True, inline="always")
def _fact(
    members: MemberColumns,
    m: int,
    leads: LeadColumns,
    j: int,
    x: F32,
    terms: F32,
    middles: Middles,
    kinds: I8,
    group: int,
    out: I32,
) -> None:
    out[:] = 0
    if group == _OF_EXPERTISE:
        _expertise(members, m, leads, j, x, terms, out)
    elif group == _OF_INTEREST:
        _interest(members, m, leads, j, x, terms, out)
    elif group == _OF_PLACE:
        _place(members, m, leads, j, x, middles, kinds, out)
    elif group == _OF_FRESHNESS:
        if not np.isnan(x[_AGE]):
            out[0], out[1] = _DAYS_OLD, int(np.expm1(x[_AGE]) // 24)
    elif group == _OF_URGENCY:
        out[0], out[1] = _URGENCY, min(3, int(x[_URGENCY_VALUE]))
    elif group == _OF_WILLINGNESS:
        if np.rint(members.exposures[m]) > 0:
            out[0], out[1] = _EXPOSED, int(np.rint(members.exposures[m]))
            out[2] = int(np.rint(members.claims[m]))
    elif group == _OF_APPEAL:
        count = int(np.rint(np.expm1(x[_POPULARITY])))
        if count > 0:
            out[0], out[1] = _TAKEN_PART, count
        elif terms[_CONTENT_APPEAL] > 0.0:
            out[0] = _WANTED_CONTENT


@njit(cache=True, inline="always")
def _expertise(
    members: MemberColumns, m: int, leads: LeadColumns, j: int, x: F32, terms: F32, out: I32
) -> None:
    if _shared_topics(members.topics[m], members.topic_weights[m], leads.topics[j], out):
        out[0] = _SHARED_TOPICS
        return
    of_sector = terms[_SECTOR_TOPICS] > max(terms[_EXPERTISE_TOPICS], terms[_EXPERTISE_TEXT])
    if of_sector and x[_SECTOR_TOPICS] > 0.0:
        out[0], out[1] = _SECTOR, members.sector[m]
    elif x[_EXPERTISE_TEXT] > ALIKE:
        out[0] = _ALIKE_EXPERTISE


@njit(cache=True, inline="always")
def _interest(
    members: MemberColumns, m: int, leads: LeadColumns, j: int, x: F32, terms: F32, out: I32
) -> None:
    acted = members.events[m] > 0.0
    met = max(terms[_INTEREST_TOPICS], terms[_INTEREST_TEXT], terms[_EMBEDDING])
    alike = max(terms[_OWN_TEXT], terms[_CO_TAKEN])
    if alike > max(met, terms[_ANSWER_TOPICS], terms[_ANSWER_TEXT]):
        if terms[_OWN_TEXT] == alike and x[_OWN_TEXT] > ALIKE:
            out[0] = _ALIKE_OWN
            return
        if terms[_CO_TAKEN] == alike and x[_CO_TAKEN] > 0.0:
            out[0] = _TAKEN_TOGETHER
            return
    if max(terms[_ANSWER_TOPICS], terms[_ANSWER_TEXT]) > met:
        topics, sums = members.answer_topics[m], members.answer_topic_sums[m]
        if _shared_topics(topics, sums, leads.topics[j], out):
            out[0] = _ANSWERED_TOPICS
            return
        if acted and x[_ANSWER_TEXT] > 0.0:
            out[0] = _ALIKE_ANSWERED
            return
    topics, weights = members.interest_topics[m], members.interest_topic_weights[m]
    if terms[_INTEREST_TOPICS] >= terms[_EMBEDDING] and _shared_topics(
        topics, weights, leads.topics[j], out
    ):
        out[0] = _MET_TOPICS
    elif terms[_INTEREST_TEXT] >= terms[_EMBEDDING]:
        out[0] = _ALIKE_MET_TEXT if x[_INTEREST_TEXT] > ALIKE else _NOTHING
    else:
        out[0] = _ALIKE_MET if acted else _OTHERS


@njit(cache=True)
def _shared_topics(own: I32, weights: F32, other: I32, out: I32) -> bool:
    """The first two topics both sides have, of those that count for the member, into `out`."""
    found = 0
    out[1] = out[2] = -1
    for i in range(len(own)):
        if own[i] < 0 or found == 2:
            break
        if weights[i] <= 0.0:
            continue
        for k in range(len(other)):
            if other[k] == own[i]:
                out[1 + found] = own[i]
                found += 1
                break
    return found > 0


@njit(cache=True, inline="always")
def _place(
    members: MemberColumns,
    m: int,
    leads: LeadColumns,
    j: int,
    x: F32,
    middles: Middles,
    kinds: I8,
    out: I32,
) -> None:
    latitude, longitude = leads.latitude_rad[j], leads.longitude_rad[j]
    vague = _is_middle(leads.region[j], latitude, longitude, middles)
    lat, lon, regions = members.latitude_rad[m], members.longitude_rad[m], members.region[m]
    at = -1 if vague else nearest_place(lat, lon, latitude, longitude)
    if at >= 0 and not _is_middle(regions[at], lat[at], lon[at], middles):
        km = np.expm1(x[_DISTANCE])
        if km <= _WORTH_SAYING_KM or not x[_LEVELS] >= 1.0:
            out[0], out[1], out[2] = _NEAR_PLACE, kinds[at], _tenths(km)
            return
    if x[_LEVELS] >= 1.0:
        out[0], out[1] = _SAME_REGION, int(x[_LEVELS])
    elif not vague and np.expm1(x[_ACTIVITY]) <= _WORTH_SAYING_KM:
        out[0], out[2] = _NEAR_ACTIVITY, _tenths(np.expm1(x[_ACTIVITY]))
    elif x[_SAME_ORGANIZATION] == 1.0:
        out[0] = _OWN_ORGANIZATION


@njit(cache=True)
def _tenths(km: float) -> int:
    """A distance as people say it: never nothing, whole kilometres from ten on."""
    return 10 * int(np.rint(km)) if km >= _TENTHS_FROM_KM else max(1, int(np.rint(km * 10.0)))


@njit(cache=True)
def _is_middle(region: I32, latitude: float, longitude: float, middles: Middles) -> bool:
    """Whether a place is but the middle of its region: no distance from it is true in words."""
    for level in range(len(region) - 1, -1, -1):
        at = np.searchsorted(middles.code, region[level])
        if region[level] >= 0 and at < len(middles.code) and middles.code[at] == region[level]:
            return bool(
                middles.latitude_rad[at] == latitude and middles.longitude_rad[at] == longitude
            )
    return False

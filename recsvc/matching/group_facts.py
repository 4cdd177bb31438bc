"""What the features of pairs show, group by group: a fact and its two numbers for each pair.

Group by group over all pairs, because a compiled function counts references to every array it is
handed: handed the sixty columns of both sides once a fact, it did little else.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numba import njit

from features.regions import Middles
from recsvc.model.arrays import F32, I8, I32, I64, U8
from recsvc.model.pair_places import nearest_place
from recsvc.model.terms import INDEX

ALIKE = 0.1
"""Texts with a lower cosine are not called alike."""

_WORTH_SAYING_KM = 30.0
_TENTHS_FROM_KM = 10.0


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
    LIKELY_TOPICS = 21  # topics, the second -1 for none


# Compiled kernels take plain numbers for constants.
_NOTHING, _SHARED_TOPICS, _SECTOR, _ALIKE_EXPERTISE = map(int, list(Fact)[:4])
_ANSWERED_TOPICS, _ALIKE_ANSWERED, _MET_TOPICS, _ALIKE_MET_TEXT = map(int, list(Fact)[4:8])
_ALIKE_MET, _OTHERS, _NEAR_PLACE, _SAME_REGION, _NEAR_ACTIVITY = map(int, list(Fact)[8:13])
_OWN_ORGANIZATION, _DAYS_OLD, _URGENCY, _EXPOSED, _TAKEN_PART = map(int, list(Fact)[13:18])
_WANTED_CONTENT, _ALIKE_OWN, _TAKEN_TOGETHER, _LIKELY_TOPICS = map(int, list(Fact)[18:22])
_EMBEDDING, _EXPERTISE_TEXT = INDEX["embedding"], INDEX["expertise_text"]
_INTEREST_TEXT, _EXPERTISE_TOPICS = INDEX["interest_text"], INDEX["expertise_topics"]
_INTEREST_TOPICS, _SECTOR_TOPICS = INDEX["interest_topics"], INDEX["sector_topics"]
_DISTANCE, _ACTIVITY = INDEX["distance_log_km"], INDEX["activity_log_km"]
_LEVELS, _SAME_ORGANIZATION = INDEX["shared_region_levels"], INDEX["same_organization"]
_AGE, _URGENCY_VALUE = INDEX["age_log_hours"], INDEX["urgency"]
_ANSWER_TOPICS, _ANSWER_TEXT = INDEX["answer_topics"], INDEX["answer_text"]
_CONTENT_APPEAL, _POPULARITY = INDEX["content_appeal"], INDEX["lead_popularity"]
_OWN_TEXT, _CO_TAKEN = INDEX["own_text"], INDEX["co_taken"]


@njit(cache=True, nogil=True)
def say_expertise(
    out: I32,
    m: I32,
    own: I32,
    weights: F32,
    named: U8,
    sector: I32,
    j: I32,
    topics: I32,
    features: F32,
    terms: F32,
    at: I64,
) -> None:
    """Of pairs of rows (int32[n] each) into int32[n, 3]; their features stand in the rows `at`."""
    for i in range(len(m)):
        x, term = features[at[i]], terms[at[i]]
        known, chances, count = own[m[i]], weights[m[i]], named[m[i]]
        if _shared_topics(known[:count], chances[:count], topics[j[i]], out[i]):
            out[i, 0] = _SHARED_TOPICS
            continue
        of_sector = term[_SECTOR_TOPICS] > max(term[_EXPERTISE_TOPICS], term[_EXPERTISE_TEXT])
        if of_sector and x[_SECTOR_TOPICS] > 0.0:
            out[i, 0], out[i, 1] = _SECTOR, sector[m[i]]
        elif _shared_topics(known[count:], chances[count:], topics[j[i]], out[i]):
            out[i, 0] = _LIKELY_TOPICS
        elif x[_EXPERTISE_TEXT] > ALIKE:
            out[i, 0] = _ALIKE_EXPERTISE


@njit(cache=True, nogil=True)
def say_answers(
    out: I32,
    m: I32,
    events: F32,
    asked: I32,
    sums: F32,
    j: I32,
    topics: I32,
    features: F32,
    terms: F32,
    at: I64,
) -> None:
    """Interest that shows in what a member answers, wrote or took on; nothing where more in what
    was met."""
    for i in range(len(m)):
        x, term = features[at[i]], terms[at[i]]
        met = max(term[_INTEREST_TOPICS], term[_INTEREST_TEXT], term[_EMBEDDING])
        answered = max(term[_ANSWER_TOPICS], term[_ANSWER_TEXT])
        alike = max(term[_OWN_TEXT], term[_CO_TAKEN])
        if alike > max(met, answered):
            if term[_OWN_TEXT] == alike and x[_OWN_TEXT] > ALIKE:
                out[i, 0] = _ALIKE_OWN
                continue
            if term[_CO_TAKEN] == alike and x[_CO_TAKEN] > 0.0:
                out[i, 0] = _TAKEN_TOGETHER
                continue
        if answered > met:
            if _shared_topics(asked[m[i]], sums[m[i]], topics[j[i]], out[i]):
                out[i, 0] = _ANSWERED_TOPICS
            elif events[m[i]] > 0.0 and x[_ANSWER_TEXT] > 0.0:
                out[i, 0] = _ALIKE_ANSWERED


@njit(cache=True, nogil=True)
def say_interest(
    out: I32,
    m: I32,
    events: F32,
    own: I32,
    weights: F32,
    j: I32,
    topics: I32,
    features: F32,
    terms: F32,
    at: I64,
) -> None:
    """Interest that shows in what a member met, where nothing was said of answers."""
    for i in range(len(m)):
        if out[i, 0] != _NOTHING:
            continue
        x, term = features[at[i]], terms[at[i]]
        if term[_INTEREST_TOPICS] >= term[_EMBEDDING] and _shared_topics(
            own[m[i]], weights[m[i]], topics[j[i]], out[i]
        ):
            out[i, 0] = _MET_TOPICS
        elif term[_INTEREST_TEXT] >= term[_EMBEDDING]:
            out[i, 0] = _ALIKE_MET_TEXT if x[_INTEREST_TEXT] > ALIKE else _NOTHING
        else:
            out[i, 0] = _ALIKE_MET if events[m[i]] > 0.0 else _OTHERS


@njit(cache=True, nogil=True)
def say_place(
    out: I32,
    m: I32,
    lat: F32,
    lon: F32,
    regions: I32,
    kinds: I8,
    j: I32,
    latitude: F32,
    longitude: F32,
    region: I32,
    middles: Middles,
    features: F32,
    at: I64,
) -> None:
    """The nearest place (kind int8[n, 4], or [1, 4] of all), a region, or where they are active."""
    for i in range(len(m)):
        x, own, other = features[at[i]], m[i], j[i]
        vague = _is_middle(region, other, latitude[other], longitude[other], middles)
        near = -1
        if not vague:
            near = nearest_place(lat[own], lon[own], latitude[other], longitude[other])
        if near >= 0 and not _is_middle(
            regions[own], near, lat[own, near], lon[own, near], middles
        ):
            km = np.expm1(x[_DISTANCE])
            if km <= _WORTH_SAYING_KM or not x[_LEVELS] >= 1.0:
                out[i, 0], out[i, 2] = _NEAR_PLACE, _tenths(km)
                out[i, 1] = kinds[min(i, len(kinds) - 1), near]
                continue
        if x[_LEVELS] >= 1.0:
            out[i, 0], out[i, 1] = _SAME_REGION, int(x[_LEVELS])
        elif not vague and np.expm1(x[_ACTIVITY]) <= _WORTH_SAYING_KM:
            out[i, 0], out[i, 2] = _NEAR_ACTIVITY, _tenths(np.expm1(x[_ACTIVITY]))
        elif x[_SAME_ORGANIZATION] == 1.0:
            out[i, 0] = _OWN_ORGANIZATION


@njit(cache=True, nogil=True)
def say_of_lead(
    freshness: I32, urgency: I32, appeal: I32, features: F32, terms: F32, at: I64
) -> None:
    """What a lead brings by itself, into int32[n, 3] each."""
    for i in range(len(at)):
        x = features[at[i]]
        if not np.isnan(x[_AGE]):
            freshness[i, 0], freshness[i, 1] = _DAYS_OLD, int(np.expm1(x[_AGE]) // 24)
        urgency[i, 0], urgency[i, 1] = _URGENCY, min(3, int(x[_URGENCY_VALUE]))
        count = int(np.rint(np.expm1(x[_POPULARITY])))
        if count > 0:
            appeal[i, 0], appeal[i, 1] = _TAKEN_PART, count
        elif terms[at[i], _CONTENT_APPEAL] > 0.0:
            appeal[i, 0] = _WANTED_CONTENT


@njit(cache=True, nogil=True)
def say_willingness(out: I32, m: I32, exposures: F32, claims: F32) -> None:
    """How often a member was shown a lead and took it on."""
    for i in range(len(m)):
        shown = int(np.rint(exposures[m[i]]))
        if shown > 0:
            out[i, 0], out[i, 1], out[i, 2] = _EXPOSED, shown, int(np.rint(claims[m[i]]))


@njit(cache=True, forceinline=True)
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


@njit(cache=True)
def _tenths(km: float) -> int:
    """A distance as people say it: never nothing, whole kilometres from ten on."""
    return 10 * int(np.rint(km)) if km >= _TENTHS_FROM_KM else max(1, int(np.rint(km * 10.0)))


@njit(cache=True)
def _is_middle(regions: I32, row: int, latitude: float, longitude: float, middles: Middles) -> bool:
    """Whether a place (row of int32[n, 4]) is but its region's middle: no distance is true then."""
    for level in range(regions.shape[1] - 1, -1, -1):
        code = regions[row, level]
        if code < 0:
            continue
        at = np.searchsorted(middles.code, code)
        if at < len(middles.code) and middles.code[at] == code:
            return bool(
                middles.latitude_rad[at] == latitude and middles.longitude_rad[at] == longitude
            )
    return False

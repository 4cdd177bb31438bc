"""What can be said of each pair, as numbers: which groups of terms speak for it, and what the
pair's features show of each. `reason_texts` puts it into words.

Compiled, because a page states thirty facts and the interpreter takes 10 µs for one.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from features.regions import Middles
from recsvc.matching.group_facts import (
    say_answers,
    say_expertise,
    say_interest,
    say_of_lead,
    say_place,
    say_willingness,
)
from recsvc.matching.reason_record import COUNT, FACT, FACT_NUMBERS, MOST_REASONS, WEIGHT
from recsvc.model.arrays import F32, F64, I8, I32, I64, LeadColumns, MemberColumns
from recsvc.model.terms import FEATURES

GROUPS = tuple(dict.fromkeys(feature.group for feature in FEATURES))
_GROUP_OF = np.array([GROUPS.index(feature.group) for feature in FEATURES])

Mask = NDArray[np.bool_]


_OF = {name: at for at, name in enumerate(GROUPS)}
_OF_EXPERTISE, _OF_INTEREST, _OF_PLACE = _OF["EXPERTISE"], _OF["INTEREST"], _OF["PLACE"]
_OF_FRESHNESS, _OF_URGENCY, _OF_APPEAL = _OF["FRESHNESS"], _OF["URGENCY"], _OF["APPEAL"]
_OF_WILLINGNESS = _OF["WILLINGNESS"]


@njit(cache=True, nogil=True, forceinline=True)
def tell(
    members: MemberColumns,
    m: I32,
    leads: LeadColumns,
    j: I32,
    features: F32,
    terms: F32,
    at: I64,
    middles: Middles,
    kinds: I8,
    silent: Mask,
    record: F64,
) -> None:
    """The reasons of k pairs of local rows, at most three of each, strongest first.

    They go into empty records (float64[k, NUMBERS], see `reason_record`). Features and terms of the
    pairs stand in the rows `at` (int64[k]) of float32[n, F]. Groups that raised the score come
    first; when none did, the one that lowered it least; a `silent` one (bool[groups]) only when
    nothing else can be said.
    `kinds` are those of the members' places: int8[k, 4], or [1, 4] when all pairs are one member's.
    """
    said = np.zeros((len(silent), len(m), 3), np.int32)
    topics, events = leads.topics, members.events
    own, weights, named = members.topics, members.topic_weights, members.topics_named
    expertise, sector = said[_OF_EXPERTISE], members.sector
    say_expertise(expertise, m, own, weights, named, sector, j, topics, features, terms, at)
    interest, asked, sums = said[_OF_INTEREST], members.answer_topics, members.answer_topic_sums
    say_answers(interest, m, events, asked, sums, j, topics, features, terms, at)
    own, weights = members.interest_topics, members.interest_topic_weights
    say_interest(interest, m, events, own, weights, j, topics, features, terms, at)
    say_place(
        said[_OF_PLACE],
        m,
        members.latitude_rad,
        members.longitude_rad,
        members.region,
        kinds,
        j,
        leads.latitude_rad,
        leads.longitude_rad,
        leads.region,
        middles,
        features,
        at,
    )
    freshness, urgency, appeal = said[_OF_FRESHNESS], said[_OF_URGENCY], said[_OF_APPEAL]
    say_of_lead(freshness, urgency, appeal, features, terms, at)
    say_willingness(said[_OF_WILLINGNESS], m, members.exposures, members.claims)
    _strongest(said, terms, at, silent, record)


@njit(cache=True, nogil=True)
def _strongest(said: I32, terms: F32, at: I64, silent: Mask, record: F64) -> None:
    """Of what can be said (int32[groups, k, 3]) the reasons of each pair."""
    groups, n = said.shape[0], said.shape[1]
    whole = record.view(np.int32)
    sums, tried = np.empty(groups), np.empty(groups, np.bool_)
    for i in range(n):
        sums[:], tried[:] = 0.0, False
        for f in range(terms.shape[1]):
            sums[_GROUP_OF[f]] += terms[at[i], f]
        for _ in range(groups):
            group = _next(sums, tried, silent)
            count = whole[i, COUNT]
            if count and (sums[group] <= 0.0 or count == MOST_REASONS or silent[group]):
                break
            tried[group] = True
            if said[group, i, 0] != 0:
                at_fact = FACT + count * FACT_NUMBERS
                whole[i, at_fact], record[i, WEIGHT + count] = group, sums[group]
                for k in range(3):
                    whole[i, at_fact + 1 + k] = said[group, i, k]
                whole[i, COUNT] += 1


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

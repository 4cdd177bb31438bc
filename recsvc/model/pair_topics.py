"""What the topics of a lead mean to a member."""

from __future__ import annotations

import numpy as np
from numba import njit

from recsvc.model.arrays import F32, I32, LEAD_TOPICS, MEMBER_TOPICS
from recsvc.model.pair_facts import (
    INTEREST,
    INTEREST_WEIGHTS,
    LEAD_TOPIC,
    LEAD_WEIGHT,
    SECTOR,
    TOPIC_WEIGHTS,
    TOPICS,
)
from recsvc.model.topic_terms import MEAN_LOG_KM

_FAST = {"contract", "reassoc", "nsz"}


@njit(cache=True, forceinline=True, fastmath=_FAST)
def _weight_of(topic: int, whole: I32, number: F32, at: int, topics: int, weights: int) -> float:
    """The weight of a topic in one of a member's lists, 0 when it is not in it.

    All sixteen are compared: without a branch that is two vector instructions.
    """
    found = np.float32(0.0)
    for k in range(MEMBER_TOPICS):
        found += number[at, weights + k] if whole[at, topics + k] == topic else np.float32(0.0)
    return float(found)


@njit(cache=True, forceinline=True)
def _states(topic: int, whole: I32, at: int) -> bool:
    found = False
    for k in range(MEMBER_TOPICS):
        found |= whole[at, TOPICS + k] == topic
    return found


@njit(cache=True, nogil=True)
def fill_topics(
    out: F32, whole: I32, number: F32, at: I32, leads: I32, weights: F32, lead_at: I32
) -> None:
    """Features 3 and 4: inner products of a lead's topics with those stated and those met.

    `whole`, `number` are the members' records, `leads`, `weights` the leads'. NaN when either side
    has none.
    """
    for i in range(len(at)):
        own, other = at[i], lead_at[i]
        stated = met = np.float32(0.0)
        for t in range(LEAD_TOPICS):
            topic, weight = leads[other, LEAD_TOPIC + t], weights[other, LEAD_WEIGHT + t]
            if topic < 0:
                break
            stated += weight * _weight_of(topic, whole, number, own, TOPICS, TOPIC_WEIGHTS)
            met += weight * _weight_of(topic, whole, number, own, INTEREST, INTEREST_WEIGHTS)
        nothing = leads[other, LEAD_TOPIC] < 0
        out[i, 3] = np.nan if nothing or whole[own, TOPICS] < 0 else stated
        out[i, 4] = np.nan if nothing or whole[own, INTEREST] < 0 else met


@njit(cache=True, nogil=True)
def fill_sectors(out: F32, table: F32, whole: I32, at: I32, leads: I32, lead_at: I32) -> None:
    """Feature 5: the best log-odds of the member's sector over the lead's topics; NaN unknown."""
    for i in range(len(at)):
        sector, best = whole[at[i], SECTOR], -np.inf
        for t in range(LEAD_TOPICS if 0 <= sector < table.shape[0] else 0):
            topic = leads[lead_at[i], LEAD_TOPIC + t]
            if topic < 0:
                break
            if topic < table.shape[1]:
                best = max(best, table[sector, topic])
        out[i, 5] = best if best > -np.inf else np.nan


@njit(cache=True, nogil=True)
def fill_answers(
    out: F32,
    asked: I32,
    sums: F32,
    information: F32,
    m: I32,
    leads: I32,
    weights: F32,
    lead_at: I32,
) -> None:
    """Feature 16: how much more (log-odds) a member answers leads of these topics; NaN unknown.

    One Newton step of an effect of member and topic, with a standard normal prior.
    """
    for i in range(len(m)):
        own, other, total = m[i], lead_at[i], 0.0
        if leads[other, LEAD_TOPIC] < 0 or asked[own, 0] < 0:
            out[i, 16] = np.nan
            continue
        for t in range(LEAD_TOPICS):
            topic = leads[other, LEAD_TOPIC + t]
            if topic < 0:
                break
            for k in range(MEMBER_TOPICS):
                if asked[own, k] == topic:
                    weight = weights[other, LEAD_WEIGHT + t]
                    total += weight * sums[own, k] / (1.0 + information[own, k])
        out[i, 16] = total


@njit(cache=True, nogil=True)
def fill_effects(
    out: F32, effects: F32, whole: I32, at: I32, leads: I32, weights: F32, lead_at: I32
) -> None:
    """Features 23 and 24 (see `topic_terms`), once feature 6 is known; NaN unknown.

    How much more place speaks for a lead of these topics than for others, and how much more it
    speaks for a member to state just these topics.
    """
    for i in range(len(at)):
        own, other = at[i], lead_at[i]
        log_km = float(out[i, 6])
        slope, stated, total = 0.0, 0.0, 0.0
        away = log_km - MEAN_LOG_KM
        extra = 0.0 if np.isnan(log_km) else away
        for t in range(LEAD_TOPICS):
            topic, weight = leads[other, LEAD_TOPIC + t], weights[other, LEAD_WEIGHT + t]
            if topic < 0:
                break
            total += weight
            if topic < len(effects):
                slope += weight * effects[topic, 0]
                if _states(topic, whole, own):
                    stated += weight * (effects[topic, 1] + effects[topic, 2] * extra)
        unknown = leads[other, LEAD_TOPIC] < 0 or len(effects) == 0
        out[i, 23] = np.nan if unknown else slope / total * away
        out[i, 24] = np.nan if unknown or whole[own, TOPICS] < 0 else stated / total

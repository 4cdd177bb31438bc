"""What a member is worth to any lead, and how much more to leads of some topics."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from recsvc.model.additive import AdditiveModel, add_table_values, table_value
from recsvc.model.arrays import F32, I32, I64, MemberColumns
from recsvc.model.joint_terms import joint_value
from recsvc.model.one_sided_terms import of_member
from recsvc.model.terms import FEATURE_COUNT, INDEX, OF_MEMBER, TermContext

LEAST_GAIN = 0.1
"""A topic that raises a member's score by less (log-odds) is like any other topic."""
MOST_TOPICS = 8
"""So many of a member's topics are told apart, those that raise the score most."""

_EXPERTISE = INDEX["expertise_topics"]
_INTEREST = INDEX["interest_topics"]
_ANSWERS = INDEX["answer_topics"]
_SECTOR = INDEX["sector_topics"]


class Worth(NamedTuple):
    """Terms of n members without a lead, and with a lead of one topic."""

    alone: F32  # [n] whatever the lead
    other: F32  # [n] a lead of a topic that the member has nothing to do with
    start: I64  # [n + 1] into the two arrays below
    topic: I32  # [r] topics that matter to the member
    worth: F32  # [r] a lead of that topic


@njit(cache=True)
def member_worth(
    model: AdditiveModel, context: TermContext, members: MemberColumns, row: int
) -> float:
    """The terms of a member that no lead changes."""
    features = np.empty(FEATURE_COUNT, np.float32)
    of_member(members, row, context, features)
    total = 0.0
    for feature in OF_MEMBER:
        total += table_value(model, feature, features[feature])
    for p in range(len(model.joint_features)):
        x, y = features[model.joint_features[p, 0]], features[model.joint_features[p, 1]]
        total += joint_value(x, y, model.joint_knots, model.joint_values, p)
    return total


def worth_of_members(
    model: AdditiveModel, context: TermContext, members: MemberColumns, topic_count: int
) -> Worth:
    """The worth of all members."""
    sectors = _sector_terms(model, context, topic_count)
    alone, other, counts, topic, worth = _all(model, context, members, sectors)
    start = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=start[1:])
    used = np.arange(MOST_TOPICS) < counts[:, None]
    return Worth(alone, other, start, topic[used], worth[used])


def _sector_terms(model: AdditiveModel, context: TermContext, topic_count: int) -> F32:
    """Terms (float32[sectors + 1, topics]) of a sector and a topic; last: sector not known."""
    known = context.sector_topics.shape
    values = np.full((known[0] + 1, topic_count), np.nan, np.float32)
    width = min(known[1], topic_count)
    values[:-1, :width] = context.sector_topics[:, :width]
    terms = np.zeros(values.size, np.float32)
    add_table_values(model, _SECTOR, values.ravel(), terms)
    return terms.reshape(values.shape)


@njit(cache=True, nogil=True)
def _all(
    model: AdditiveModel, context: TermContext, members: MemberColumns, sectors: F32
) -> tuple[F32, F32, I32, I32, F32]:
    n, count = len(members.alive), sectors.shape[1]
    alone = np.empty(n, np.float32)
    other = np.empty(n, np.float32)
    counts = np.zeros(n, np.int32)
    topic = np.empty((n, MOST_TOPICS), np.int32)
    worth = np.empty((n, MOST_TOPICS), np.float32)
    average = np.zeros(len(sectors), np.float32)
    for s in range(len(sectors) if count else 0):
        average[s] = sectors[s].mean()
    gain = np.empty(count, np.float32)
    for m in range(n):
        sector = members.sector[m]
        sector = sector if 0 <= sector < len(sectors) - 1 else len(sectors) - 1
        for t in range(count):
            gain[t] = sectors[sector, t] - average[sector]
        alone[m] = member_worth(model, context, members, m)
        total = float(alone[m] + average[sector])
        total += _add_gains(model, _EXPERTISE, members.topics[m], members.topic_weights[m], gain)
        total += _add_gains(
            model, _INTEREST, members.interest_topics[m], members.interest_topic_weights[m], gain
        )
        answered = members.answer_topic_sums[m] / (
            np.float32(1.0) + members.answer_topic_information[m]
        )
        total += _add_gains(model, _ANSWERS, members.answer_topics[m], answered, gain)
        other[m] = total
        matters = np.flatnonzero(gain >= LEAST_GAIN)
        if len(matters) > MOST_TOPICS:
            matters = matters[np.argsort(-gain[matters])[:MOST_TOPICS]]
        counts[m] = len(matters)
        for at in range(len(matters)):
            topic[m, at] = matters[at]
            worth[m, at] = total + gain[matters[at]]
    return alone, other, counts, topic, worth


@njit(cache=True)
def _add_gains(model: AdditiveModel, feature: int, topics: I32, weights: F32, gain: F32) -> float:
    """Adds what each topic says beyond the term of any other topic, which is returned."""
    if topics[0] < 0:
        return table_value(model, feature, np.nan)
    other = table_value(model, feature, 0.0)
    for i in range(len(topics)):
        if 0 <= topics[i] < len(gain):
            gain[topics[i]] += np.float32(table_value(model, feature, float(weights[i])) - other)
    return other

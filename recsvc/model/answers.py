"""What one more answer says: who is willing, what is wanted, and what a member answers to.

An answer is a pair that was pushed or shown and whose outcome is known. Training takes in a whole
log of them (`training.answers`) and finds the best values; the service adds one at a time and reads
the values one Newton step further (`recsvc.model.one_sided_terms`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from features.willingness import answer_chance
from recsvc.model.arrays import F32, LeadColumns, MemberColumns
from recsvc.model.history import Met
from recsvc.model.terms import TermContext


class Answer(NamedTuple):
    """One answer: where the pair was exposed (see features.willingness), and what came of it."""

    slot: int
    taken: bool


def answer_of(met: Met, counted_until_us: int) -> Answer | None:
    """What a pair's events say: a claim after the exposure, a dismissal, or silence.

    Silence is an answer when it was old enough in training; until the next training it is none.
    """
    if not met.exposed:
        return None
    if met.claimed:
        return Answer(met.slot, True) if met.claimed_us >= met.exposed_us else None
    if met.dismissed or met.exposed_us <= counted_until_us:
        return Answer(met.slot, False)
    return None


def add_answer(
    members: MemberColumns,
    member: int,
    leads: LeadColumns,
    lead: int,
    answer: Answer,
    sign: int,
    context: TermContext,
) -> None:
    """Adds an answer (sign 1) to the columns of both sides (local rows), or takes it out (-1).

    Everything is a sum of what each answer says against the *trained* values, so the order in
    which answers come does not matter.
    """
    _add(members, member, leads, lead, answer.slot, float(answer.taken), float(sign), context)


@njit(cache=True)
def _add(members, m, leads, j, slot, taken, sign, context):  # type: ignore[no-untyped-def]
    log_odds = context.base_logit + context.slots[slot]
    p = answer_chance(log_odds + members.willingness[m] + leads.appeal[j])
    residual, information = sign * (taken - p), sign * p * (1.0 - p)
    members.answers[m] += sign
    members.willingness_information[m] += information
    members.willingness_moved[m] += residual
    members.audience_met[m] += sign * leads.audience_log[j]
    members.appeal_met[m] += sign * leads.appeal[j]
    leads.appeal_information[j] += information
    leads.appeal_moved[j] += residual
    for i in range(members.answer_text.shape[1]):
        members.answer_text[m, i] += residual * leads.text[j, i]
    for i in range(leads.topics.shape[1]):
        if leads.topics[j, i] < 0:
            break
        weight = leads.topic_weights[j, i]
        at = _place_of(members, m, leads.topics[j, i])
        members.answer_topic_sums[m, at] += weight * residual
        members.answer_topic_information[m, at] += weight * weight * information


@njit(cache=True)
def _place_of(members, m, topic):  # type: ignore[no-untyped-def]
    """Where a member's topic stands; a new one takes a free place, or that of the smallest sum."""
    topics, sums = members.answer_topics[m], members.answer_topic_sums[m]
    least = 0
    for at in range(len(topics)):
        if topics[at] == topic:
            return at
        if topics[at] < 0:
            least = at
            break
        if abs(sums[at]) < abs(sums[least]):
            least = at
    topics[least], sums[least] = topic, 0.0
    members.answer_topic_information[m, least] = 0.0
    return least


def content_appeal(text: F32, context: TermContext) -> F32:
    """What texts (float32[n, dt]) say of the appeal of their leads (float32[n])."""
    found: F32 = (text @ context.appeal_weights + context.appeal_bias).astype(np.float32)
    return found

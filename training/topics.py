"""How each topic is doing: at all, in this season, and lately, when everybody had enough of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from recsvc.model.arrays import F32, I32, I64, LeadColumns
from recsvc.model.one_sided_terms import MICROSECONDS_PER_MONTH
from training.config import AnswerConfig
from training.effects import COSINE, ONE, SINE, Effects, season

MOST_TOPICS = 5_000
MONTHS_AHEAD = 12
"""The seasons to come are told in advance."""


@dataclass(frozen=True)
class TopicMoments:
    """`values` float32[topics, months]: log-odds of each topic at the beginning of each month."""

    values: F32
    from_us: int


def topic_shares(leads: LeadColumns) -> sparse.csr_matrix:
    """float32[leads, topics]: the weights of each lead's topics, summing to 1 (or none)."""
    row, column = np.nonzero(leads.topics >= 0)
    topic, weight = leads.topics[row, column], leads.topic_weights[row, column]
    shape = (len(leads.topics), int(topic.max(initial=-1)) + 1)
    shares = sparse.csr_matrix((weight, (row, topic)), shape=shape)
    total = np.asarray(shares.sum(axis=1)).ravel()
    return sparse.diags(1.0 / np.maximum(total, 1e-9)) @ shares


def topic_moments(
    effects: Effects, lead: I32, time_us: I64, leads: LeadColumns, config: AnswerConfig
) -> TopicMoments:
    """What each topic is worth, with its season, and what it was taken more up to each month.

    `lead` int32[n] and `time_us` int64[n] are of the pairs that the effects were found from. Lately
    fades by a half-life; a month sees what came before it only, so an example of that month does
    not see itself.
    """
    own = effects.topics - effects.everybody[: effects.topics.shape[1]]
    span_us = int(np.ptp(time_us)) if len(time_us) else 0
    if not 2 <= len(own) <= MOST_TOPICS or not len(time_us):
        return TopicMoments(np.zeros((len(own), 0), np.float32), 0)
    from_us = int(time_us.min())
    if span_us <= 0:
        return TopicMoments(own[:, [ONE]], from_us)
    lately = _lately(effects, lead, time_us - from_us, leads, config)
    begin_us = from_us + (np.arange(lately.shape[1]) + 0.5) * MICROSECONDS_PER_MONTH
    cosine, sine = season(begin_us)
    values = own[:, [ONE]] + own[:, [COSINE]] * cosine + own[:, [SINE]] * sine + lately
    return TopicMoments(values.astype(np.float32), from_us)


def _lately(
    effects: Effects, lead: I32, after_us: I64, leads: LeadColumns, config: AnswerConfig
) -> F32:
    """float32[topics, months]: what effects leave of the topics' answers up to each month."""
    shares = topic_shares(leads)
    month = (after_us / MICROSECONDS_PER_MONTH).astype(np.int64)
    last = int(month.max()) + 1
    shape = len(leads.topics), last + 1
    rest, known = (
        (shares.T @ sparse.csr_matrix((of, (lead, month)), shape=shape)).toarray()
        for of in (effects.rest, effects.information)
    )
    keep = 0.5 ** (1.0 / config.moment_half_life_months)
    values = np.zeros((rest.shape[0], last + 1 + MONTHS_AHEAD), np.float32)
    for at in range(1, values.shape[1]):
        if at > last:
            values[:, at] = keep * values[:, at - 1]
            continue
        rest[:, at] += keep * rest[:, at - 1]
        known[:, at] += keep * known[:, at - 1]
        values[:, at] = rest[:, at - 1] / (config.moment_precision + known[:, at - 1])
    return values

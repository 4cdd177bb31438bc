"""How each topic is doing lately: what is in season, what everybody has had enough of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.special import expit

from features.willingness import Answers, Willingness
from recsvc.model.arrays import F32, I64, LeadColumns
from recsvc.model.one_sided_terms import MICROSECONDS_PER_MONTH
from training.config import AnswerConfig

MOST_TOPICS = 5_000


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


class Response(NamedTuple):
    """One way to respond to pairs, what is expected of it, and what it is worth.

    `worth`: what one log-odds of a claim is in log-odds of this response.
    """

    answers: Answers
    found: Willingness
    worth: float


def topic_moments(
    responses: Sequence[Response], time_us: I64, leads: LeadColumns, config: AnswerConfig
) -> TopicMoments:
    """How much more each topic was taken up to each month, fading by a half-life.

    A month sees what came before it only, so an example of that month does not see itself.
    """
    shares = topic_shares(leads)
    span_us = int(time_us.max(initial=0)) - int(time_us.min(initial=0)) if len(time_us) else 0
    if not 2 <= shares.shape[1] <= MOST_TOPICS or span_us <= 0:
        return TopicMoments(np.zeros((shares.shape[1], 0), np.float32), 0)
    from_us = int(time_us.min())
    month = ((time_us - from_us) / MICROSECONDS_PER_MONTH).astype(np.int64)
    shape = len(leads.topics), int(month.max()) + 2
    rest, known = np.zeros((2, shares.shape[1], shape[1]))
    for answers, found, worth in responses:
        log_odds = found.base + found.slots[answers.slot] + found.members[answers.member]
        p, place = expit(log_odds), (answers.lead, month)
        residual = worth * answers.weight * (answers.taken - p)
        information = worth**2 * answers.weight * p * (1.0 - p)
        rest += (shares.T @ sparse.csr_matrix((residual, place), shape=shape)).toarray()
        known += (shares.T @ sparse.csr_matrix((information, place), shape=shape)).toarray()
    keep = 0.5 ** (1.0 / config.moment_half_life_months)
    values = np.zeros(rest.shape, np.float32)
    for at in range(1, shape[1]):
        rest[:, at] += keep * rest[:, at - 1]
        known[:, at] += keep * known[:, at - 1]
        values[:, at] = rest[:, at - 1] / (config.moment_precision + known[:, at - 1])
    return TopicMoments(values, from_us)

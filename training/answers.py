"""From the answers of a log to columns: see `recsvc.model.answers`, which goes on from there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit
from scipy import sparse
from scipy.special import expit
from sklearn.linear_model import Ridge, RidgeCV

from features.interest import decay
from features.willingness import Answers, Willingness, fit_willingness
from recsvc.model.answers import content_appeal
from recsvc.model.arrays import F32, I32, MEMBER_TOPICS, LeadColumns, MemberColumns
from recsvc.model.terms import TermContext
from training.config import AnswerConfig
from training.effects import Effects, Said, asked_of, fit_effects
from training.exposures import MICROSECONDS_PER_DAY, Pairs, weights_of
from training.topics import topic_moments


class Response(NamedTuple):
    """One way to respond to pairs, what is expected of it, and what it is worth.

    `worth`: what one log-odds of a claim is in log-odds of this response.
    """

    answers: Answers
    found: Willingness
    worth: float


class Residuals(NamedTuple):
    """Of n answers: answer minus its chance, and p(1 - p), both weighed (float32[n])."""

    residual: F32
    information: F32


def learn_answers(
    pairs: Pairs,
    members: MemberColumns,
    leads: LeadColumns,
    sector_topics: F32,
    has_times: bool,
    attribution_days: float,
    config: AnswerConfig,
) -> TermContext:
    """Fills the answer columns of both sides; gives the context with which they are read."""
    answers = answers_of(pairs, pairs.label)
    found = _fitted(answers, members, leads, config)
    responses = [Response(answers, found, 1.0)]
    if pairs.opened is not None:
        opened = answers_of(pairs, pairs.opened)
        closer = _fitted(opened, members, leads, config)
        responses.append(Response(opened, closer, config.opening_worth))
    precisions = config.willingness_deviation**-2.0, config.appeal_deviation**-2.0
    members.willingness[:], leads.appeal[:] = found.members, found.leads
    members.willingness_information[:] = found.member_information - precisions[0]
    leads.appeal_information[:] = found.lead_information - precisions[1]
    end_us = int(pairs.time_us.max(initial=0))
    half_life = config.half_life_days if has_times else math.inf
    _profiles(
        answers, _residuals(responses, decay(pairs.time_us, end_us, half_life)), members, leads
    )
    effects = _effects(pairs, responses, members, leads)
    weights, bias = _content_weights(leads, effects, config)
    moments = topic_moments(effects, pairs.lead, pairs.time_us, leads, config)
    window_us = int(attribution_days * MICROSECONDS_PER_DAY) if has_times else 0
    context = TermContext(
        sector_topics=sector_topics,
        base_logit=found.base,
        slots=found.slots,
        member_precision=precisions[0],
        lead_precision=precisions[1],
        audience_mean=_meet(answers, members, leads),
        appeal_weights=weights,
        appeal_bias=bias,
        topic_moments=moments.values,
        topic_effects=effects.by_topic,
        moments_from_us=moments.from_us,
        counted_until_us=end_us - window_us,
    )
    leads.content_appeal[:] = content_appeal(leads.text, context)
    return context


def answers_of(pairs: Pairs, taken: F32) -> Answers:
    """Pairs as answers of one kind (float32[n], 0 or 1)."""
    slot = np.zeros(len(pairs), np.int32) if pairs.slot is None else pairs.slot
    return Answers(pairs.member, pairs.lead, slot, taken, weights_of(pairs))


def _fitted(
    answers: Answers, members: MemberColumns, leads: LeadColumns, config: AnswerConfig
) -> Willingness:
    deviations = config.willingness_deviation, config.appeal_deviation
    return fit_willingness(answers, len(members.alive), len(leads.alive), *deviations)


def _residuals(responses: Sequence[Response], worth: F32) -> Residuals:
    """What all kinds of responses say together of a log-odds of a claim: slopes and curvatures."""
    residual, information = np.zeros(len(worth)), np.zeros(len(worth))
    for response in responses:
        answers, found = response.answers, response.found
        log_odds = found.base + found.slots[answers.slot]
        p = expit(log_odds + found.members[answers.member] + found.leads[answers.lead])
        residual += response.worth * answers.weight * (answers.taken - p)
        information += response.worth**2 * answers.weight * p * (1.0 - p)
    return Residuals(
        (worth * residual).astype(np.float32), (worth * information).astype(np.float32)
    )


def _meet(answers: Answers, members: MemberColumns, leads: LeadColumns) -> float:
    """Whom and what each member was asked about; gives the mean log audience of all answers."""
    leads.audience_log[:] = np.log(np.maximum(leads.exposures, 1.0))
    log_audience = leads.audience_log[answers.lead]
    count = np.bincount(answers.member, minlength=len(members.alive))
    members.answers[:] = count
    members.audience_met[:] = np.bincount(answers.member, log_audience, len(count))
    members.appeal_met[:] = np.bincount(answers.member, leads.appeal[answers.lead], len(count))
    return float(log_audience.mean()) if len(log_audience) else 0.0


def _profiles(
    answers: Answers, found: Residuals, members: MemberColumns, leads: LeadColumns
) -> None:
    """What each member answers to: sums over topics and over text."""
    shape = len(members.alive), len(leads.alive)
    at = answers.member, answers.lead
    residual = sparse.csr_matrix((found.residual, at), shape=shape)
    information = sparse.csr_matrix((found.information, at), shape=shape)
    members.answer_text[:] = residual @ leads.text
    row, column = np.nonzero(leads.topics >= 0)
    topic, weight = leads.topics[row, column], leads.topic_weights[row, column]
    width = int(topic.max(initial=-1)) + 1
    sums = residual @ sparse.csr_matrix((weight, (row, topic)), shape=(shape[1], width))
    known = information @ sparse.csr_matrix((weight**2, (row, topic)), shape=(shape[1], width))
    sums.sort_indices()
    known.sort_indices()
    _keep_strongest(
        sums.indptr,
        sums.indices,
        sums.data,
        known.data,
        members.answer_topics,
        members.answer_topic_sums,
        members.answer_topic_information,
    )


@njit(cache=True)
def _keep_strongest(starts, topics, sums, known, out_topics, out_sums, out_known):  # type: ignore[no-untyped-def]
    """The greatest sums of each member, of either sign; both matrices have the same entries."""
    for m in range(len(starts) - 1):
        own = np.abs(sums[starts[m] : starts[m + 1]])
        order = np.argsort(-own, kind="mergesort")[:MEMBER_TOPICS]
        for place in range(len(order)):
            at = starts[m] + order[place]
            out_topics[m, place] = topics[at]
            out_sums[m, place] = sums[at]
            out_known[m, place] = known[at]


def _effects(
    pairs: Pairs, responses: Sequence[Response], members: MemberColumns, leads: LeadColumns
) -> Effects:
    """What all kinds of responses say of topics, places and leads."""
    answers = responses[0].answers
    return fit_effects(
        asked_of(pairs.member, pairs.lead, pairs.time_us, members, leads),
        answers.slot,
        answers.weight,
        [Said(response.answers.taken, response.worth) for response in responses],
        int(leads.topics.max(initial=-1)) + 1,
        len(members.alive),
        len(leads.alive),
    )


def _content_weights(
    leads: LeadColumns, effects: Effects, config: AnswerConfig
) -> tuple[F32, float]:
    """Ridge regression of the leads' appeal on their text; zeros when there is little to see.

    How much the text may say is chosen by generalised cross-validation.
    """
    information = effects.lead_information
    known: I32 = np.flatnonzero(information > 0.0).astype(np.int32)
    if len(known) < config.fewest_leads:
        return np.zeros(leads.text.shape[1], np.float32), 0.0
    variance, seen = float(effects.deviations[1]) ** 2, information[known]
    free = effects.leads[known] * (1.0 + 1.0 / (variance * seen))
    worth = 1.0 / (variance + 1.0 / seen)
    some = slice(None, None, max(1, len(known) // config.most_tried_leads))
    tried = RidgeCV(alphas=config.content_ridges).fit(
        leads.text[known][some], free[some], sample_weight=worth[some]
    )
    ridge = Ridge(alpha=tried.alpha_)
    ridge.fit(leads.text[known], free, sample_weight=worth)
    return ridge.coef_.astype(np.float32), float(ridge.intercept_)

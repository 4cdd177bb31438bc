"""What topics change, found again in answers that were drawn with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from recsvc.model.arrays import (
    F32,
    I32,
    I64,
    LeadColumns,
    MemberColumns,
    Widths,
    empty_leads,
    empty_members,
)
from recsvc.model.pair_facts import lead_facts, member_facts
from recsvc.model.pair_topics import fill_effects
from recsvc.model.terms import FEATURE_COUNT, INDEX
from recsvc.model.topic_terms import MEAN_LOG_KM, stated_share
from training.config import AnswerConfig
from training.effects import COLUMNS, NEAR, Asked, Effects, Said, asked_of, fit_effects
from training.topics import MONTHS_AHEAD, topic_moments

TOPICS, MEMBERS, LEADS, PAIRS = 8, 120, 400, 30_000
YEAR_US = int(365.25 * 86_400e6)


@dataclass(frozen=True)
class World:
    """Pairs of one topic each; how far people come depends on the topic."""

    members: MemberColumns
    leads: LeadColumns
    member: I32
    lead: I32
    time_us: I64

    @property
    def asked(self) -> Asked:
        return asked_of(self.member, self.lead, self.time_us, self.members, self.leads)


def world(years: float = 6.0) -> World:
    rng = np.random.default_rng(5)
    members, leads = empty_members(MEMBERS, Widths(2, 3)), empty_leads(LEADS, Widths(2, 3))
    members.latitude_rad[:, 0] = rng.uniform(0.48, 0.52, MEMBERS)
    members.longitude_rad[:, 0] = rng.uniform(1.96, 2.0, MEMBERS)
    leads.latitude_rad[:] = rng.uniform(0.48, 0.52, LEADS)
    leads.longitude_rad[:] = rng.uniform(1.96, 2.0, LEADS)
    members.topics[:, 0] = rng.integers(0, TOPICS, MEMBERS)
    leads.topics[:, 0], leads.topic_weights[:, 0] = rng.integers(0, TOPICS, LEADS), 0.8
    return World(
        members,
        leads,
        rng.integers(0, MEMBERS, PAIRS).astype(np.int32),
        rng.integers(0, LEADS, PAIRS).astype(np.int32),
        np.sort(rng.integers(0, int(years * YEAR_US), PAIRS)),
    )


def fitted(one: World, log_odds: NDArray[np.floating], kinds: int = 1) -> Effects:
    rng = np.random.default_rng(6)
    said = [
        Said((rng.random(PAIRS) < expit(log_odds / (k + 1))).astype(np.float32), 1.0 / (k + 1))
        for k in range(kinds)
    ]
    nothing, ones = np.zeros(PAIRS, np.int32), np.ones(PAIRS, np.float32)
    return fit_effects(one.asked, nothing, ones, said, TOPICS, MEMBERS, LEADS)


def test_how_far_people_come_is_learned_by_topic_and_pooled() -> None:
    one = world()
    slope = np.linspace(-1.2, -0.2, TOPICS)
    topic = one.leads.topics[one.lead, 0]
    near = one.asked.columns[:, NEAR]
    found = fitted(one, -1.0 + slope[topic] * near, kinds=2)
    np.testing.assert_allclose(found.topics[:, NEAR], slope, atol=0.25)
    assert np.corrcoef(found.by_topic[:, 0], slope)[0, 1] > 0.95
    alike = fitted(one, -1.0 - 0.7 * near)
    assert np.abs(alike.by_topic[:, 0]).max() < 0.1
    assert alike.deviations[2 + NEAR] < found.deviations[2 + NEAR] / 2


def test_unwanted_topics_are_told_from_unwilling_members() -> None:
    one = world()
    rng = np.random.default_rng(7)
    willing, wanted = rng.normal(size=MEMBERS), np.linspace(-1.0, 1.0, TOPICS)
    found = fitted(one, -1.0 + willing[one.member] + wanted[one.leads.topics[one.lead, 0]])
    assert np.corrcoef(found.members, willing)[0, 1] > 0.9
    moments = topic_moments(found, one.lead, one.time_us, one.leads, AnswerConfig())
    assert np.corrcoef(moments.values[:, 40], wanted)[0, 1] > 0.95


def test_seasons_are_told_in_advance() -> None:
    one = world()
    topic = one.leads.topics[one.lead, 0]
    swing = np.where(topic == 3, np.cos(2 * np.pi * one.time_us / YEAR_US), 0.0)
    found = fitted(one, -1.0 + swing)
    moments = topic_moments(found, one.lead, one.time_us, one.leads, AnswerConfig())
    ahead = moments.values[3, -MONTHS_AHEAD:]
    assert ahead.max() > 0.5
    assert ahead.min() < -0.5
    assert np.abs(moments.values[5, -MONTHS_AHEAD:]).max() < 0.3


def test_a_short_log_has_no_seasons() -> None:
    short = world(years=1.0).asked.columns
    assert not short[:, [COLUMNS.index("cosine"), COLUMNS.index("sine")]].any()


def test_a_month_does_not_see_itself() -> None:
    one = world()
    found = fitted(one, np.full(PAIRS, -1.0))
    last = one.time_us > one.time_us[-1] - 86_400_000_000
    shifted = replace_rest(found, last)
    before, after = (
        topic_moments(e, one.lead, one.time_us, one.leads, AnswerConfig()).values
        for e in (found, shifted)
    )
    changed = np.flatnonzero((before != after).any(axis=0))
    assert changed[0] == before.shape[1] - MONTHS_AHEAD - 1


def replace_rest(effects: Effects, rows: NDArray[np.bool_]) -> Effects:
    return effects._replace(rest=effects.rest + rows.astype(np.float32))


def test_terms_of_topics() -> None:
    effects = np.array([[-0.5, 1.0, 0.2], [0.5, 0.0, 0.0]], np.float32)
    topics, weights = np.array([0, 1, -1], np.int32), np.array([0.6, 0.2, 0.0], np.float32)
    stated = np.array([0, -1], np.int32)
    assert np.isclose(stated_share(stated, topics, weights), 0.75)
    away = MEAN_LOG_KM + 2.0
    place, known = effects_of(effects, away, stated, topics, weights)
    assert np.isclose(place, (-0.75 * 0.5 + 0.25 * 0.5) * 2)
    assert np.isclose(known, 0.75 * (1.0 + 0.4))
    place, known = effects_of(effects, np.nan, stated, topics, weights)
    assert np.isnan(place)
    assert np.isclose(known, 0.75)
    place, known = effects_of(effects, away, stated[1:], topics, weights)
    assert not np.isnan(place)
    assert np.isnan(known)
    assert np.isnan(effects_of(effects[:0], away, stated, topics, weights)).all()


def effects_of(
    effects: F32, log_km: float, stated: I32, topics: I32, weights: F32
) -> tuple[float, float]:
    """place_by_topic and stated_by_topic of one pair."""
    members, leads = empty_members(1, Widths(1, 1)), empty_leads(1, Widths(1, 1))
    members.topics[0, : len(stated)] = stated
    leads.topics[0, : len(topics)], leads.topic_weights[0, : len(weights)] = topics, weights
    own, lead = member_facts(members), lead_facts(leads)
    out, row = np.full((1, FEATURE_COUNT), log_km, np.float32), np.zeros(1, np.int32)
    fill_effects(out, effects, own.whole, row, lead.whole, lead.number, row)
    return float(out[0, INDEX["place_by_topic"]]), float(out[0, INDEX["stated_by_topic"]])

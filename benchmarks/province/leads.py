"""Leads: what they are about, where, how urgent, by whom; no words yet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.province.arrays import Bools, Floats, Groups, Ints, weighted_rows
from benchmarks.province.config import (
    DAY_US,
    HOUR_US,
    LOCAL_OFFSET_US,
    ProvinceConfig,
    stream,
)
from benchmarks.province.geography import Geography
from benchmarks.province.lexicon import STYLES, Lexicon
from benchmarks.province.members import Members, rural_weights
from benchmarks.province.organizations import Organizations

SOURCES = ("MICRO_SUGGESTION", "ONLINE_MESSAGE", "STUDIO_MESSAGE", "HOTLINE")
_GROWTH = 1.6
"""How much faster leads come in at the end than at the start, as a log-rate."""


@dataclass(frozen=True, slots=True)
class Leads:
    """Structure of arrays, L rows in order of `create_us`."""

    create_us: NDArray[np.int64]
    county: NDArray[np.int32]
    town: NDArray[np.int32]
    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]
    organization: NDArray[np.int32]
    topic: NDArray[np.int16]
    second_topic: NDArray[np.int16]
    """-1: none; else it has `second_weight` of the lead."""
    second_weight: NDArray[np.float64]
    facet: NDArray[np.int16]
    style: NDArray[np.int8]
    urgency: NDArray[np.int8]
    appeal: NDArray[np.float64]
    capacity: NDArray[np.int16]
    """How many may claim it, 0: any number."""
    author: NDArray[np.int64]
    """A member's row, or -1 - the citizen's number."""
    source: NDArray[np.int8]
    listed: NDArray[np.int16]
    """int16[L, 2]: topics that the platform lists, -1 padded; a quarter of leads list none."""
    told_topic: NDArray[np.int16]
    """The topic its words are about: nearly always `topic`."""
    untouched: NDArray[np.bool_]
    """Among the newest, kept away from everybody until the end."""

    def __len__(self) -> int:
        return len(self.create_us)


def make_leads(
    config: ProvinceConfig,
    lexicon: Lexicon,
    g: Geography,
    organizations: Organizations,
    members: Members,
    seed: int,
) -> Leads:
    """Draws all leads; every part has its own stream."""
    n, rng = config.leads, stream(seed, "leads")
    create = _create_times(stream(seed, "lead times"), config)
    county = weighted_rows(rng, g.lead_weight, n).astype(np.int32)
    town = g.towns_in(rng, county)
    latitude, longitude = g.points_in(rng, town)
    topic, second = _topics(rng, lexicon, g.county_kind[county])
    level = rng.choice(3, n, p=[0.05, 0.15, 0.80]).astype(np.int8)
    urgency = rng.normal(lexicon.trait("urgency")[topic] - 0.2, 0.8).round().clip(0, 3)
    untouched = (np.arange(n) >= n - 1.25 * config.open_target) & (
        rng.random(n) < config.untouched_share
    )
    off_topic = rng.random(n) < 0.04
    return Leads(
        create_us=create,
        county=county,
        town=town.astype(np.int32),
        latitude=np.asarray(latitude, np.float64),
        longitude=np.asarray(longitude, np.float64),
        organization=organizations.of_level(level, county, g),
        topic=topic,
        second_topic=second,
        second_weight=np.where(second >= 0, rng.uniform(0.2, 0.45, n), 0.0),
        facet=_facets(rng, lexicon, topic),
        style=rng.choice(len(STYLES), n, p=[0.35, 0.3, 0.22, 0.13]).astype(np.int8),
        urgency=urgency.astype(np.int8),
        appeal=0.2 * rng.normal(size=n),
        capacity=rng.choice([0, 1, 2, 3], n, p=[0.45, 0.40, 0.10, 0.05]).astype(np.int16),
        author=_authors(stream(seed, "authors"), config, members, county, topic, create, untouched),
        source=rng.choice(len(SOURCES), n, p=[0.45, 0.3, 0.15, 0.1]).astype(np.int8),
        listed=_listed(rng, topic, second, len(lexicon.topics)),
        told_topic=np.where(off_topic, rng.permutation(topic), topic).astype(np.int16),
        untouched=untouched,
    )


def _create_times(rng: np.random.Generator, config: ProvinceConfig) -> NDArray[np.int64]:
    """Ascending, ever denser over the years, mostly by day, fewer at weekends; whole seconds."""
    n, span = config.leads, config.end_time_us - config.start_time_us
    share = np.log1p(rng.random(n) * np.expm1(_GROWTH)) / _GROWTH
    local = config.start_time_us + (share * span).astype(np.int64) + LOCAL_OFFSET_US
    day = local // DAY_US
    weekend = (day + 3) % 7 >= 5
    day = np.where(weekend & (rng.random(n) < 0.5), day - 2, day)
    hour = np.clip(rng.normal(14.5, 4.5, n), 0.0, 23.99)
    moment = day * DAY_US + (hour * HOUR_US).astype(np.int64) - LOCAL_OFFSET_US
    earliest, latest = config.start_time_us, config.end_time_us - HOUR_US
    # Wrapped, not clipped: no crowd of leads at the very first and last instant.
    moment = np.where(moment < earliest, moment + 3 * DAY_US, moment)
    moment = np.where(moment > latest, moment - 3 * DAY_US, moment)
    return np.sort(moment) // 1_000_000 * 1_000_000


def _topics(
    rng: np.random.Generator, lexicon: Lexicon, kind: Ints
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Main topic by the county's kind, and for a third a second one, mostly of the same group."""
    n = len(kind)
    edges = np.cumsum(rural_weights(lexicon), axis=1)
    topic = (rng.random(n)[:, None] > edges[kind][:, :-1]).sum(axis=1)
    weights = np.where(lexicon.related, 1.0, 0.04)
    np.fill_diagonal(weights, 0.0)
    edges = np.cumsum(weights / weights.sum(axis=1, keepdims=True), axis=1)
    second = (rng.random(n)[:, None] > edges[topic][:, :-1]).sum(axis=1)
    second = np.where(rng.random(n) < 0.3, second, -1)
    return topic.astype(np.int16), second.astype(np.int16)


def _facets(rng: np.random.Generator, lexicon: Lexicon, topic: Ints) -> NDArray[np.int16]:
    """A facet row of each topic."""
    labels = np.array([facet.topic for facet in lexicon.facets])
    groups = Groups(labels, len(lexicon.topics))
    return groups.draw(topic, rng.random(len(topic))).astype(np.int16)


def _listed(rng: np.random.Generator, topic: Ints, second: Ints, count: int) -> NDArray[np.int16]:
    """A quarter lists nothing, 3 % something wrong, the others the main topic, some the second."""
    n = len(topic)
    first = np.where(rng.random(n) < 0.03, rng.integers(0, count, n), topic)
    also = np.where((rng.random(n) < 0.6) & (second != first), second, -1)
    listed = np.stack([first, also], axis=1)
    listed[rng.random(n) < 0.25] = -1
    return listed.astype(np.int16)


def _authors(
    rng: np.random.Generator,
    config: ProvinceConfig,
    members: Members,
    county: Ints,
    topic: Ints,
    create: Ints,
    untouched: Bools,
) -> NDArray[np.int64]:
    """A quarter are raised by members: neighbours or experts, the more willing of three drawn."""
    n = len(county)
    neighbours = Groups(members.county, int(max(members.county.max(), county.max())) + 1)
    stating = Groups(members.stated[:, 0], int(max(members.stated.max(), topic.max())) + 1)
    best = np.full(n, -1, np.int64)
    best_score: Floats = np.full(n, -np.inf)
    for _ in range(3):
        near, expert = (
            neighbours.draw(county, rng.random(n)),
            stating.draw(topic, rng.random(n)),
        )
        drawn = np.where(rng.random(n) < 0.6, near, expert)
        able = (drawn >= 0) & members.here(drawn, create)
        score = np.where(able, members.willingness[drawn], -np.inf)
        best = np.where(score > best_score, drawn, best)
        best_score = np.maximum(score, best_score)
    # An untouched lead has no event at all, so nobody on the member list wrote it.
    by_member = (rng.random(n) < 0.25) & (best >= 0) & ~untouched
    citizens = rng.integers(0, max(config.leads * 2 // 3, 1), n)
    return np.where(by_member, best, -1 - citizens)

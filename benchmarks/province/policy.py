"""The logging policy: who was pushed what and who saw which list, with propensities.

It is not random, and it is not good: a mix of nearest, stated topic and chance.

A push wave of lead l makes n draws with replacement; one draw finds member m with

    q(m | l) = 0.45 K[county_l, county_m] / size(county_m)                       nearest
             + 0.35 [m states the listed topic] (0.5 [same city] / size(topic, city)
                                               + 0.5 / size(topic))              topic
             + 0.20 / members                                                    chance

K falls off by exp(-distance / 25 km) between counties, rows sum to one. A lead that lists no topic
gives its 0.35 to nearest. Masked, absent and already pushed members are left out after the draw, so
the logged propensity of those who remain is exactly 1 - (1 - q) ** n.

A list (session) makes 10 draws with replacement from up to 64 open leads by
pi = 0.4 softmax(-d / 20 km) + 0.35 softmax(2.5 [topic match]) + 0.25 / candidates; repetitions are
dropped, order is the slot. Its propensity is 1 - (1 - pi) ** 10, given the candidates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.province.arrays import Bools, Floats, Groups, Ints
from benchmarks.province.geography import Geography
from benchmarks.province.leads import Leads
from benchmarks.province.members import Members

NEAR, TOPIC, CHANCE = 0.45, 0.35, 0.20
_LIST_MIX = (0.40, 0.35, 0.25)
SLOTS = 10


@dataclass(frozen=True)
class PushPolicy:
    """Draws members for leads; `propensity` is the law of those draws."""

    geography: Geography
    members: Members
    leads: Leads
    by_county: Groups
    by_topic: Groups
    by_topic_city: Groups
    kernel: NDArray[np.float64]
    topic_count: int

    def draw(self, rng: np.random.Generator, leads: Ints) -> NDArray[np.int64]:
        """One member row for each lead row (int64[n]); -1 where the draw found nobody."""
        n = len(leads)
        topic = self.leads.listed[leads, 0].astype(np.int64)
        mode = rng.random(n)
        county = self.leads.county[leads]
        edges = np.cumsum(self.kernel, axis=1)
        target = (rng.random(n)[:, None] > edges[county][:, :-1]).sum(axis=1)
        near = self.by_county.draw(target, rng.random(n))
        anywhere = self.by_topic.draw(np.maximum(topic, 0), rng.random(n))
        city = self.geography.county_city[county]
        same_city = self.by_topic_city.draw(
            np.maximum(topic, 0) + self.topic_count * city, rng.random(n)
        )
        expert = np.where(rng.random(n) < 0.5, same_city, anywhere)
        random = rng.integers(0, len(self.members), n)
        first = np.where((mode < NEAR) | (topic < 0), near, expert)
        return np.where(mode < NEAR + TOPIC, first, random)

    def propensity(self, members: Ints, leads: Ints) -> NDArray[np.float64]:
        """q(m | l) of one draw, float64[n]."""
        topic = self.leads.listed[leads, 0].astype(np.int64)
        county, home = self.leads.county[leads], self.members.county[members]
        near = self.kernel[county, home] / np.maximum(self.by_county.sizes[home], 1)
        states = (self.members.stated[members] == topic[:, None]).any(axis=1) & (topic >= 0)
        city = self.geography.county_city[county]
        same = self.geography.county_city[home] == city
        key = np.maximum(topic, 0)
        local = self.by_topic_city.sizes[key + self.topic_count * city]
        expert = 0.5 * same / np.maximum(local, 1)
        expert = states * (expert + 0.5 / np.maximum(self.by_topic.sizes[key], 1))
        q = NEAR * near + CHANCE / len(self.members)
        return np.asarray(q + TOPIC * np.where(topic < 0, near, expert))


def make_push_policy(
    geography: Geography, members: Members, leads: Leads, topic_count: int
) -> PushPolicy:
    """Groups the members as the policy looks them up."""
    columns = members.stated.shape[1]
    rows = np.repeat(np.arange(len(members)), columns)
    topic = members.stated.astype(np.int64).ravel()
    city = geography.county_city[members.county[rows]]
    by_county = Groups(members.county, len(geography.county_codes))
    kernel = np.exp(-geography.distances_km() / 25.0) * (by_county.sizes > 0)
    return PushPolicy(
        geography=geography,
        members=members,
        leads=leads,
        by_county=by_county,
        by_topic=Groups(topic, topic_count, rows),
        by_topic_city=Groups(
            np.where(topic >= 0, topic + topic_count * city, -1),
            topic_count * len(geography.city_codes),
            rows,
        ),
        kernel=kernel / kernel.sum(axis=1, keepdims=True),
        topic_count=topic_count,
    )


def draw_lists(
    rng: np.random.Generator, distance_km: Floats, matches: Bools, usable: Bools
) -> tuple[NDArray[np.int64], NDArray[np.int16], NDArray[np.float64]]:
    """Lists out of candidates: arrays [sessions, candidates] in, [sessions, 10] out.

    Gives the candidate's column (-1: none), its slot (-1: none) and its propensity.
    """
    scores = (-distance_km / 20.0, 2.5 * matches, np.zeros(usable.shape))
    pi = sum(w * _softmax(s, usable) for w, s in zip(_LIST_MIX, scores, strict=True))
    edges = np.cumsum(np.asarray(pi), axis=1)
    drawn = rng.random((len(usable), SLOTS)) * edges[:, -1:]
    columns = (drawn[:, :, None] >= edges[:, None, :-1]).sum(axis=2)
    first = np.ones(columns.shape, bool)
    for slot in range(1, SLOTS):
        first[:, slot] = (columns[:, :slot] != columns[:, slot : slot + 1]).all(axis=1)
    first &= usable.any(axis=1, keepdims=True)
    slot_of = np.where(first, np.cumsum(first, axis=1) - 1, -1).astype(np.int16)
    chance = np.take_along_axis(np.asarray(pi), columns, axis=1)
    return np.where(first, columns, -1), slot_of, 1.0 - (1.0 - np.minimum(chance, 1.0)) ** SLOTS


def _softmax(scores: Floats, usable: Bools) -> Floats:
    """Row-wise over the usable columns; a row without any is all zero."""
    safe = np.where(usable, scores, -np.inf)
    top = safe.max(axis=1, keepdims=True)
    raised = np.where(usable, np.exp(safe - np.where(np.isfinite(top), top, 0.0)), 0.0)
    return np.asarray(raised / np.maximum(raised.sum(axis=1, keepdims=True), 1e-300))

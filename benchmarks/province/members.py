"""Members: who they are, where they live, what they know, want and tend to do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.province.arrays import Bools, Floats, Ints, weighted_rows
from benchmarks.province.config import DAY_US, ProvinceConfig, stream
from benchmarks.province.geography import Geography
from benchmarks.province.lexicon import STYLES, Lexicon
from benchmarks.province.organizations import Organizations

MAX_TOPICS, MAX_FACETS, MAX_PLACES = 4, 6, 3
PLACE_KINDS = ("HOME", "WORK", "STUDIO")
_RURAL_PULL = np.array([-0.8, 0.2, 0.8])
"""How far a county of each kind (district, county-level city, county) leans to rural topics."""


@dataclass(frozen=True, slots=True)
class Members:
    """Structure of arrays, M rows. Fields after `weekly_limit` are truth and in no table."""

    county: NDArray[np.int32]
    organization: NDArray[np.int32]
    sector: NDArray[np.int16]
    retired: NDArray[np.bool_]
    latitude: NDArray[np.float64]
    """float64[M, 3]: home, work, studio; NaN where there is none."""
    longitude: NDArray[np.float64]
    town: NDArray[np.int32]
    """int32[M, 3]: town rows of the places, -1 where there is none."""
    stated: NDArray[np.int16]
    """int16[M, 4]: topics that the profile states, -1 padded."""
    join_us: NDArray[np.int64]
    leave_us: NDArray[np.int64]
    """When an inactive member stopped; the end of time for the others."""
    weekly_limit: NDArray[np.int16]
    """-1: not set."""
    expertise: NDArray[np.float32]
    """float32[M, topics], 0..1."""
    facets: NDArray[np.int16]
    """int16[M, 6]: facets known well, -1 padded."""
    willingness: NDArray[np.float64]
    willingness_phase: NDArray[np.float64]
    early_interest: NDArray[np.float32]
    """float32[M, topics]; turns into `late_interest` around `turn_us`, over `turn_days`."""
    late_interest: NDArray[np.float32]
    turn_us: NDArray[np.int64]
    turn_days: NDArray[np.float64]
    taste: NDArray[np.float32]
    """float32[M, styles]."""

    def __len__(self) -> int:
        return len(self.county)

    def here(self, rows: Ints, time_us: Ints) -> Bools:
        """bool[n]: has that member joined, and not left, at that time?"""
        return np.asarray((self.join_us[rows] <= time_us) & (time_us < self.leave_us[rows]))


def make_members(
    config: ProvinceConfig, lexicon: Lexicon, g: Geography, organizations: Organizations, seed: int
) -> Members:
    """Draws all members; every part has its own stream."""
    n, rng = config.members, stream(seed, "members")
    county = weighted_rows(rng, g.member_weight, n).astype(np.int32)
    level = rng.choice(3, n, p=[0.08, 0.22, 0.70]).astype(np.int8)
    sector = weighted_rows(rng, np.array([s.share for s in lexicon.sectors]), n).astype(np.int16)
    retired = rng.random(n) < np.array([s.retired for s in lexicon.sectors])[sector]
    town, latitude, longitude = _places(stream(seed, "places"), g, county)
    know = stream(seed, "expertise")
    topics = _expert_topics(know, lexicon, sector, g.county_kind[county])
    expertise = _levels(know, topics, len(lexicon.topics))
    want = stream(seed, "interest")
    early, late = _interests(want, lexicon, expertise)
    join, leave = _tenures(stream(seed, "tenure"), config)
    limit = rng.choice([-1, 3, 5, 7, 10], n, p=[0.7, 0.08, 0.1, 0.07, 0.05])
    return Members(
        county=county,
        organization=organizations.of_level(level, county, g),
        sector=sector,
        retired=retired,
        latitude=latitude,
        longitude=longitude,
        town=town,
        stated=_stated(know, topics, len(lexicon.topics)),
        join_us=join,
        leave_us=leave,
        weekly_limit=limit.astype(np.int16),
        expertise=expertise,
        facets=_facets(know, lexicon, topics),
        willingness=_willingness(stream(seed, "willingness"), retired),
        willingness_phase=rng.random(n) * 2 * np.pi,
        early_interest=early,
        late_interest=late,
        turn_us=rng.integers(config.start_time_us, config.end_time_us, n),
        turn_days=rng.uniform(40, 200, n),
        taste=(0.3 * want.normal(size=(n, len(STYLES)))).astype(np.float32),
    )


def _places(
    rng: np.random.Generator, g: Geography, county: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.float64]]:
    """Home, work (a quarter of members, half of these in another county nearby), studio (few)."""
    n = len(county)
    near = np.argsort(g.distances_km(), axis=1)[:, : min(6, len(g.county_codes))]
    elsewhere = near[county, rng.integers(0, near.shape[1], n)]
    where = [county, np.where(rng.random(n) < 0.5, elsewhere, county), county]
    has = [np.ones(n, bool), rng.random(n) < 0.25, rng.random(n) < 0.06]
    towns = np.full((n, MAX_PLACES), -1, np.int32)
    points = np.full((2, n, MAX_PLACES), np.nan)
    for kind in range(MAX_PLACES):
        town = g.towns_in(rng, where[kind])
        lat, lon = g.points_in(rng, town)
        towns[:, kind] = np.where(has[kind], town, -1)
        points[0, :, kind] = np.where(has[kind], lat, np.nan)
        points[1, :, kind] = np.where(has[kind], lon, np.nan)
    return towns, points[0], points[1]


def rural_weights(lexicon: Lexicon) -> Floats:
    """float64[3, topics]: how often each topic comes from a county of each kind."""
    weights = lexicon.trait("share") * np.exp(np.outer(_RURAL_PULL, lexicon.trait("rural")))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _expert_topics(
    rng: np.random.Generator, lexicon: Lexicon, sector: Ints, kind: Ints
) -> NDArray[np.int16]:
    """int16[M, 4]: one to four topics known, mostly the sector's; -1 padded, no repetition."""
    n, count = len(sector), len(lexicon.topics)
    home = np.full((len(lexicon.sectors), count), 0.0)
    for row, each in enumerate(lexicon.sectors):
        home[row, list(each.topics)] = 1.0 / len(each.topics)
    pull = np.log(0.65 * home[sector] + 0.35 * rural_weights(lexicon)[kind] + 1e-9)
    # Gumbel noise added to log-weights and sorted: a draw without replacement.
    order = np.argsort(-(pull + rng.gumbel(size=(n, count))), axis=1)[:, :MAX_TOPICS]
    size = rng.choice([1, 2, 3, 4], n, p=[0.3, 0.35, 0.25, 0.1])
    return np.where(np.arange(MAX_TOPICS) < size[:, None], order, -1).astype(np.int16)


def _levels(rng: np.random.Generator, topics: NDArray[np.int16], count: int) -> NDArray[np.float32]:
    """How well each topic is known: 0.5-1 for the first, less for the others, 0 elsewhere."""
    level = rng.uniform(0.5, 1.0, topics.shape) * np.array([1.0, 0.8, 0.65, 0.5])
    dense = np.zeros((len(topics), count + 1), np.float32)
    np.put_along_axis(dense, topics.astype(np.int64), level.astype(np.float32), axis=1)
    return dense[:, :count]


def _facets(
    rng: np.random.Generator, lexicon: Lexicon, topics: NDArray[np.int16]
) -> NDArray[np.int16]:
    """int16[M, 6]: facets of the topics known, up to two of each of the first three."""
    sizes = np.array([len(rows) for rows in lexicon.facets_of] + [1])
    starts = np.concatenate([np.cumsum(sizes[:-1]) - sizes[:-1], [0]])
    chosen = topics[:, np.repeat(np.arange(3), 2)]
    rows = starts[chosen] + (rng.random(chosen.shape) * sizes[chosen]).astype(np.int64)
    kept = (chosen >= 0) & (rng.random(chosen.shape) < 0.8)
    return np.where(kept, rows, -1).astype(np.int16)


def _stated(rng: np.random.Generator, topics: NDArray[np.int16], count: int) -> NDArray[np.int16]:
    """What the profile states: a seventh is missing, and some is claimed wrongly."""
    shown = np.where(rng.random(topics.shape) < 0.85, topics, -1)
    wrong = rng.random(topics.shape) < np.array([0.0, 0.0, 0.05, 0.05])
    result = np.where(wrong & (shown < 0), rng.integers(0, count, topics.shape), shown)
    for column in range(1, MAX_TOPICS):
        again = (result[:, :column] == result[:, column : column + 1]).any(axis=1)
        result[again, column] = -1
    result[rng.random(len(result)) < 0.07] = -1
    return result.astype(np.int16)


def _interests(
    rng: np.random.Generator, lexicon: Lexicon, expertise: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Interests at first and later: some of what is known, whole groups of topics, single topics.

    No table states them; they show in what a member did. Half of each changes over time.
    """
    names = sorted({topic.group for topic in lexicon.topics})
    group = np.array([names.index(topic.group) for topic in lexicon.topics])
    n, count = expertise.shape

    def groups() -> Floats:
        return 0.5 * rng.normal(size=(n, len(names)))

    def singles() -> Floats:
        return np.where(rng.random((n, count)) < 0.06, rng.gamma(2.0, 0.4, (n, count)), -0.05)

    wide, narrow = groups(), singles()
    later_wide = np.where(rng.random(wide.shape) < 0.5, wide, groups())
    later_narrow = np.where(rng.random(narrow.shape) < 0.5, narrow, singles())
    early = 0.6 * expertise + wide[:, group] + narrow
    late = 0.6 * expertise + later_wide[:, group] + later_narrow
    return early.astype(np.float32), late.astype(np.float32)


def _willingness(rng: np.random.Generator, retired: Bools) -> NDArray[np.float64]:
    """Student's t with 4 degrees of freedom: a few members answer nearly everything."""
    raw = 0.75 * rng.standard_t(4, len(retired)) + np.where(retired, 0.25, 0.0)
    return np.clip(raw, -3.5, 3.0)


def _tenures(
    rng: np.random.Generator, config: ProvinceConfig
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """A third join during the span, a tenth in its last 45 days; 4 % left in the last year."""
    n, span = config.members, config.end_time_us - config.start_time_us
    before = config.start_time_us - rng.integers(DAY_US, 1500 * DAY_US, n)
    during = config.start_time_us + (rng.random(n) * span).astype(np.int64)
    lately = config.end_time_us - rng.integers(DAY_US, 45 * DAY_US, n)
    share = rng.random(n)
    join = np.where(share < 0.57, before, np.where(share < 0.90, during, lately))
    left = config.end_time_us - (rng.random(n) * min(span, 365 * DAY_US)).astype(np.int64)
    gone = (rng.random(n) < 0.04) & (left > join + 30 * DAY_US)
    leave = np.where(gone, left, np.iinfo(np.int64).max)
    return join // 1000 * 1000, leave

"""Sessions: a member opens the application and sees a list of open leads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.province.arrays import Bools, Floats, Ints, weighted_rows
from benchmarks.province.config import DAY_US, YEAR_DAYS, ProvinceConfig, stream
from benchmarks.province.conflicts import Masks
from benchmarks.province.exposures import NEVER, Exposures, at_hour, decide
from benchmarks.province.policy import draw_lists
from benchmarks.province.truth import Truth

CANDIDATES = 64
BLOCK = 1 << 13
_OLDEST_DAYS = 45


def session_lists(
    config: ProvinceConfig,
    truth: Truth,
    masks: Masks,
    filled_us: NDArray[np.int64],
    count: int,
    seed: int,
) -> Exposures:
    """Lists of `count` sessions. Leads that were filled (`filled_us`, int64[L]) are not shown.

    Blocks have streams of their own: the first n sessions are the same whatever `count` is, as far
    as whole blocks go.
    """
    parts: list[Exposures] = []
    for start in range(0, max(count, 1), BLOCK):
        rng = stream(seed, f"sessions {start}")
        member, time_us = _openings(rng, config, truth)
        here = min(BLOCK, count - start)
        member, time_us = member[:here], time_us[:here]
        candidates, usable = _candidates(rng, config, truth, masks, member, time_us, filled_us)
        parts.append(_lists(rng, truth, member, time_us, candidates, usable, start))
    return Exposures.concat(parts)


def _openings(
    rng: np.random.Generator, config: ProvinceConfig, truth: Truth
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Who opens the application and when, BLOCK rows; the willing come far more often."""
    members, leads = truth.members, truth.leads
    # Activity has a tail of its own: some only look. It is a hash of the seed, not of the block.
    habit = stream(truth.seed, "habits").gamma(0.8, size=len(members))
    member = weighted_rows(rng, habit * np.exp(0.6 * members.willingness), BLOCK)
    anchor = leads.create_us[rng.integers(0, len(leads), BLOCK)]
    day = anchor + (rng.exponential(3.0, BLOCK) * DAY_US).astype(np.int64)
    evening = np.where(rng.random(BLOCK) < 0.6, rng.normal(20.3, 1.0, BLOCK), 0.0)
    working = np.where(evening > 0, evening, rng.normal(12.8, 1.2, BLOCK))
    hour = np.where(members.retired[member], rng.normal(11.5, 2.8, BLOCK), working)
    return member, np.minimum(at_hour(day, hour.clip(6, 23.5)), config.end_time_us)


def _candidates(
    rng: np.random.Generator,
    config: ProvinceConfig,
    truth: Truth,
    masks: Masks,
    member: Ints,
    time_us: Ints,
    filled_us: NDArray[np.int64],
) -> tuple[NDArray[np.int64], Bools]:
    """Lead rows [sessions, candidates], recent ones more often, and which of them are usable."""
    leads = truth.leads
    a_day = len(leads) / (config.years * YEAR_DAYS)
    mean_back = max(5.0 * a_day, 8.0)
    newest = np.searchsorted(leads.create_us, time_us) - 1
    back = rng.exponential(mean_back, (len(member), CANDIDATES)).astype(np.int64)
    rows = np.sort(newest[:, None] - back, axis=1)
    usable = rows >= 0
    usable[:, 1:] &= rows[:, 1:] != rows[:, :-1]
    rows = np.maximum(rows, 0)
    clock = time_us[:, None]
    usable &= (filled_us[rows] > clock) & ~leads.untouched[rows]
    usable &= clock - leads.create_us[rows] < _OLDEST_DAYS * DAY_US
    usable &= (truth.members.here(member, time_us) & (time_us < config.end_time_us))[:, None]
    flat = np.repeat(member, CANDIDATES)
    usable &= masks.allowed(flat, rows.ravel()).reshape(rows.shape)
    return rows, usable


def _lists(
    rng: np.random.Generator,
    truth: Truth,
    member: Ints,
    time_us: Ints,
    candidates: Ints,
    usable: Bools,
    first_session: int,
) -> Exposures:
    flat = np.repeat(member, CANDIDATES)
    rows = candidates.ravel()
    distance: Floats = truth.distance_km(flat, rows).reshape(candidates.shape)
    listed = truth.leads.listed[rows, 0]
    match = (truth.members.stated[flat] == listed[:, None]).any(axis=1) & (listed >= 0)
    columns, slots, chance = draw_lists(rng, distance, match.reshape(candidates.shape), usable)
    session, place = np.nonzero(columns >= 0)
    shown = candidates[session, columns[session, place]]
    return decide(
        rng,
        truth,
        member[session],
        shown,
        time_us[session],
        slots[session, place],
        chance[session, place],
        session=first_session + session,
    )


def filled_times(capacity: Ints, exposures: Exposures) -> NDArray[np.int64]:
    """When each lead's last place is taken by these exposures (int64[L]); NEVER if it is not."""
    claims = exposures.select(exposures.claim_us < NEVER)
    order = np.lexsort((claims.claim_us, claims.lead))
    lead, time_us = claims.lead[order], claims.claim_us[order]
    starts = np.searchsorted(lead, np.arange(len(capacity)))
    last = starts + capacity - 1
    enough = (capacity > 0) & (last < len(lead))
    safe = np.minimum(last, max(len(lead) - 1, 0))
    enough[enough] = lead[safe[enough]] == np.flatnonzero(enough)
    return np.where(enough, time_us[safe] if len(lead) else NEVER, NEVER)

"""Push waves: a few members first, the next wave when nobody has claimed by the deadline."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.province.arrays import Ints
from benchmarks.province.config import DAY_US, HOUR_US, ProvinceConfig, stream
from benchmarks.province.conflicts import Masks
from benchmarks.province.exposures import NEVER, Exposures, decide, in_office_hours
from benchmarks.province.policy import PushPolicy
from benchmarks.province.truth import Truth

WAVES = 3
PUSH_SHARE = 0.33
"""Rows of PUSHED among all events, roughly."""
_DEADLINE_DAYS = np.array([4.0, 3.0, 1.5, 0.75])
"""Until the next wave, by urgency."""
_DRAWS_OF_WAVES = 2.35
"""Draws over all waves for one draw in the first (not every lead sees them all)."""


def push_waves(
    config: ProvinceConfig, policy: PushPolicy, truth: Truth, masks: Masks, seed: int
) -> Exposures:
    """All pushes with what they would lead to, races among lists not yet regarded."""
    leads = truth.leads
    rng = stream(seed, "pushes")
    draws = _draw_counts(rng, config, leads.urgency.astype(np.int64))
    waiting = np.exp(np.log(5.0) + 0.8 * rng.normal(size=len(leads))) * HOUR_US
    send = in_office_hours(rng, leads.create_us + waiting.astype(np.int64))
    active = np.flatnonzero(~leads.untouched & (draws > 0))
    parts: list[Exposures] = []
    claimed = np.full(len(leads), NEVER)
    for wave in range(WAVES):
        active = active[send[active] < config.end_time_us]
        part = _one_wave(rng, policy, truth, masks, active, draws, send, wave)
        parts.append(_new_pairs(part, parts))
        np.minimum.at(claimed, parts[-1].lead, parts[-1].claim_us)
        gap = (_DEADLINE_DAYS[leads.urgency] * DAY_US).astype(np.int64)
        send = in_office_hours(rng, send + gap)
        active = active[claimed[active] > send[active]]
    return Exposures.concat(parts)


def _draw_counts(
    rng: np.random.Generator, config: ProvinceConfig, urgency: Ints
) -> NDArray[np.int64]:
    """Draws of each lead's first wave: at least one on average, more for urgent leads."""
    mean = PUSH_SHARE * config.events / config.leads / _DRAWS_OF_WAVES
    by_urgency = mean * (1 + 0.3 * urgency) / (1 + 0.3 * urgency.mean())
    floor = np.floor(np.minimum(by_urgency, 1.0))
    return np.asarray(floor + rng.poisson(by_urgency - floor), np.int64)


def _one_wave(
    rng: np.random.Generator,
    policy: PushPolicy,
    truth: Truth,
    masks: Masks,
    active: Ints,
    draws: Ints,
    send: Ints,
    wave: int,
) -> Exposures:
    lead = np.repeat(active, draws[active])
    member = policy.draw(rng, lead)
    lead, member = lead[member >= 0], member[member >= 0]
    pair = np.unique(np.stack([lead, member], axis=1), axis=0)
    lead, member = pair[:, 0], pair[:, 1]
    free = truth.members.here(member, send[lead]) & masks.allowed(member, lead)
    lead, member = lead[free], member[free]
    chance = 1.0 - (1.0 - policy.propensity(member, lead)) ** draws[lead]
    slot = np.full(len(lead), -1)
    return decide(rng, truth, member, lead, send[lead], slot, chance, wave=wave)


def _new_pairs(part: Exposures, earlier: list[Exposures]) -> Exposures:
    """Without those pushed in an earlier wave."""
    if not earlier:
        return part
    seen = np.concatenate([e.member * (1 << 32) + e.lead for e in earlier])
    return part.select(~np.isin(part.member * (1 << 32) + part.lead, seen))

"""The whole log: waves, sessions, races, what followed; and what became of the leads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.province.config import DAY_US, HOUR_US, ProvinceConfig, stream
from benchmarks.province.conflicts import Masks
from benchmarks.province.exposures import Exposures, milliseconds
from benchmarks.province.followups import Events, follow
from benchmarks.province.geography import Geography
from benchmarks.province.policy import make_push_policy
from benchmarks.province.pushes import push_waves
from benchmarks.province.race import Settled, settle
from benchmarks.province.sessions import filled_times, session_lists
from benchmarks.province.truth import Truth
from features.entities import EventKind, LeadState

_EVENTS_A_SESSION = 11.0
"""A first guess; the number of sessions is then set by what a tenth of them brought."""


@dataclass(frozen=True, slots=True)
class Log:
    """Events, and the exposures (with their outcomes) that they follow from."""

    events: Events
    settled: Settled


@dataclass(frozen=True, slots=True)
class Fates:
    """What became of each lead by the end, L rows."""

    state: NDArray[np.uint8]
    close_us: NDArray[np.int64]
    """0: not closed."""
    support_count: NDArray[np.int64]


def make_log(
    config: ProvinceConfig, geography: Geography, truth: Truth, masks: Masks, seed: int
) -> Log:
    """Simulates the log; the number of sessions is chosen so that `config.events` is met."""
    policy = make_push_policy(geography, truth.members, truth.leads, len(truth.expertise_weight))
    pushes = push_waves(config, policy, truth, masks, seed)
    filled = filled_times(truth.leads.capacity, pushes)

    def run(sessions: int) -> Log:
        lists = session_lists(config, truth, masks, filled, sessions, seed)
        every = Exposures.concat([pushes, lists])
        settled = settle(config, truth.leads.capacity, every)
        return Log(follow(config, truth, settled, seed), settled)

    guess = max(int(config.events / _EVENTS_A_SESSION / 2), 50)
    log = run(guess)
    for _ in range(2):
        without = len(log.events) - int((log.settled.exposures.session >= 0).sum() * 1.3)
        a_session = max((len(log.events) - without) / guess, 1.0)
        guess = max(guess + round((config.events - len(log.events)) / a_session), 1)
        log = run(guess)
    return log


def make_fates(config: ProvinceConfig, truth: Truth, log: Log, seed: int) -> Fates:
    """States, closing times and support: the newest stay open, the others are closed."""
    leads, events, rng = truth.leads, log.events, stream(seed, "fates")
    n = len(leads)
    last, resolved = np.zeros(n, np.int64), np.zeros(n, np.int64)
    named = events.lead >= 0
    np.maximum.at(last, events.lead[named], events.time_us[named])
    done = events.kind == EventKind.RESOLVED
    np.maximum.at(resolved, events.lead[done], events.time_us[done])
    filled = log.settled.filled_us < config.end_time_us
    waiting = ~filled & (resolved == 0)
    from_newest = np.cumsum(waiting[::-1])[::-1]
    recent = from_newest <= config.open_target
    withdrawn = ~recent & (rng.random(n) < 0.02)
    state = np.full(n, LeadState.CLOSED, np.uint8)
    state[withdrawn] = LeadState.WITHDRAWN
    state[recent & waiting] = LeadState.OPEN
    state[recent & filled & (resolved == 0)] = LeadState.CLAIMED
    lived = milliseconds(np.exp(np.log(40) + 0.5 * rng.normal(size=n)) * DAY_US)
    close = np.maximum(leads.create_us + lived, last + HOUR_US)
    close = np.where(recent, np.maximum(resolved, last) + HOUR_US, close)
    close = np.minimum(close, config.end_time_us)
    is_open = (state == LeadState.OPEN) | (state == LeadState.CLAIMED)
    supported = events.lead[events.kind == EventKind.SUPPORTED]
    citizens = rng.poisson(np.exp(0.4 + 0.5 * leads.urgency + leads.appeal))
    citizens[leads.untouched] = rng.poisson(0.3, int(leads.untouched.sum()))
    return Fates(state, np.where(is_open, 0, close), citizens + np.bincount(supported, minlength=n))

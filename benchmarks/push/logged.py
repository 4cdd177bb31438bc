"""A policy judged on a log that another policy made, by inverse propensity weighting.

The log says who was pushed a lead (with the chance of that push) and who took it. A policy that
would choose members with chances of its own is worth, per lead pushed,

    sum over logged pushes of w claimed,   w = pi(member | lead) / propensity,

divided by the sum of w (self-normalised: Swaminathan & Joachims 2015): the claims a push would have
brought under that policy. Weights are clipped; the interval is a bootstrap over leads, because the
pushes of one lead race each other. `effective` says how many logged pushes speak for the policy:
with few of them the interval says little, whatever its width.

Who lost a race or was asked too late to tell is left out, as in training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.entities import EventKind
from features.errors import DataError
from features.events import EventLog

CLIP = 50.0
_SAMPLES = 1_000
_WINDOW_US = 7 * 86_400_000_000


class LoggedPushes(NamedTuple):
    """n pushes with known propensity; rows of the data set."""

    member: NDArray[np.int32]
    lead: NDArray[np.int32]
    time_us: NDArray[np.int64]
    propensity: NDArray[np.float64]
    claimed: NDArray[np.bool_]


@dataclass(frozen=True)
class Estimate:
    """Claims a push under a policy, with its 95 % interval."""

    value: float
    low: float
    high: float
    effective: float
    pushes: int


def logged_pushes(events: EventLog, capacity: NDArray[np.int32]) -> LoggedPushes:
    """The pushes of a log that have a propensity and an outcome.

    `capacity` int32[leads], 0 = unlimited. Raises DataError when no push has a propensity.
    """
    pushed = np.flatnonzero(
        (events.kind == EventKind.PUSHED) & (events.propensity > 0) & (events.lead >= 0)
    )
    if len(pushed) == 0:
        raise DataError("the log has no PUSHED event with a propensity: nothing can be weighed")
    claims = np.flatnonzero((events.kind == EventKind.CLAIMED) & (events.lead >= 0))
    claim_key = _keys(events.member[claims], events.lead[claims])
    key = _keys(events.member[pushed], events.lead[pushed])
    claimed = np.isin(key, claim_key)
    full_us = _full_times(events, claims, capacity)[events.lead[pushed]]
    time_us = events.time_us[pushed]
    lost = ~claimed & (full_us < time_us + _WINDOW_US)
    recent = ~claimed & (time_us > events.time_us[-1] - _WINDOW_US)
    told = ~lost & ~recent
    return LoggedPushes(
        events.member[pushed][told],
        events.lead[pushed][told],
        time_us[told],
        events.propensity[pushed][told].astype(np.float64),
        claimed[told],
    )


def estimate(pushes: LoggedPushes, chance: NDArray[np.float64], seed: int) -> Estimate:
    """What a policy that makes each logged push with `chance` (float64[n]) would get a push."""
    weight = np.minimum(chance / pushes.propensity, CLIP)
    if not weight.any():
        return Estimate(float("nan"), float("nan"), float("nan"), 0.0, len(weight))
    _, group = np.unique(pushes.lead, return_inverse=True)
    count = int(group.max()) + 1
    gain = np.bincount(group, weight * pushes.claimed, minlength=count)
    total = np.bincount(group, weight, minlength=count)
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(count, np.full(count, 1.0 / count), size=_SAMPLES)
    below = draws @ total
    values = (draws @ gain)[below > 0] / below[below > 0]
    low, high = np.percentile(values, [2.5, 97.5])
    effective = float(weight.sum() ** 2 / (weight**2).sum())
    value = float(gain.sum() / total.sum())
    return Estimate(value, float(low), float(high), effective, len(weight))


def _keys(member: NDArray[np.int32], lead: NDArray[np.int32]) -> NDArray[np.int64]:
    return member.astype(np.int64) << 32 | lead.astype(np.int64)


def _full_times(
    events: EventLog, claims: NDArray[np.int64], capacity: NDArray[np.int32]
) -> NDArray[np.int64]:
    """When each lead's last place went (int64[leads]); the far future where it did not."""
    full = np.full(len(capacity), np.iinfo(np.int64).max // 2)
    counts = np.zeros(len(capacity), np.int64)
    for at in claims.tolist():  # in order of time
        lead = int(events.lead[at])
        counts[lead] += 1
        if counts[lead] == capacity[lead]:
            full[lead] = events.time_us[at]
    return full

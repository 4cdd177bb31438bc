"""Exposures: who was pushed or shown a lead, when, where on the list, and how likely that was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from benchmarks.province.arrays import Bools, Floats, Ints
from benchmarks.province.config import DAY_US, HOUR_US, LOCAL_OFFSET_US
from benchmarks.province.truth import Truth

NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Exposures:
    """Structure of arrays. Outcomes are decided when an exposure is made, by one uniform a row."""

    member: NDArray[np.int64]
    lead: NDArray[np.int64]
    time_us: NDArray[np.int64]
    position: NDArray[np.int16]
    """-1: a push; else the 0-based slot of a list."""
    wave: NDArray[np.int16]
    session: NDArray[np.int64]
    """Number of the list; -1 for a push."""
    propensity: NDArray[np.float64]
    probability: NDArray[np.float64]
    """The truth's P(claim)."""
    claim_us: NDArray[np.int64]
    """When the member would claim; NEVER when they would not."""

    def __len__(self) -> int:
        return len(self.member)

    def select(self, which: Bools | Ints) -> Exposures:
        """The rows of a mask or an order."""
        return Exposures(*(getattr(self, f.name)[which] for f in fields(self)))

    @staticmethod
    def concat(parts: Sequence[Exposures]) -> Exposures:
        """All rows of all parts in order."""
        columns = ([getattr(part, f.name) for part in parts] for f in fields(Exposures))
        return Exposures(*(np.concatenate(column) for column in columns))

    def first_of_each_pair(self) -> Exposures:
        """Nobody gets the same lead twice: the earliest exposure of a pair stays (time order)."""
        order = np.argsort(self.time_us, kind="stable")
        key = self.member[order] * (1 << 32) + self.lead[order]
        first = np.unique(key, return_index=True)[1]
        return self.select(order[np.sort(first)])


def decide(
    rng: np.random.Generator,
    truth: Truth,
    member: Ints,
    lead: Ints,
    time_us: Ints,
    position: Ints,
    propensity: Floats,
    *,
    wave: int = 0,
    session: Ints | None = None,
) -> Exposures:
    """Makes exposures and decides by the ground truth who would claim, and when."""
    n = len(member)
    probability = truth.claim_probability(member, lead, time_us, position)
    would = rng.random(n) < probability
    delay_days = np.minimum(np.exp(np.log(0.6) + 1.2 * rng.normal(size=n)), 6.0 + rng.random(n))
    claim = time_us + milliseconds(np.maximum(delay_days, 0.002) * DAY_US)
    return Exposures(
        member=np.asarray(member, np.int64),
        lead=np.asarray(lead, np.int64),
        time_us=np.asarray(time_us, np.int64),
        position=np.asarray(position, np.int16),
        wave=np.full(n, wave, np.int16),
        session=np.full(n, -1, np.int64) if session is None else np.asarray(session, np.int64),
        propensity=np.asarray(propensity, np.float64),
        probability=probability,
        claim_us=np.where(would, claim, NEVER),
    )


def milliseconds(duration_us: Floats | Ints) -> NDArray[np.int64]:
    """Microseconds cut to whole milliseconds, as the tables write them."""
    return np.asarray(duration_us, np.int64) // 1000 * 1000


def at_hour(time_us: Ints, hour: Floats) -> NDArray[np.int64]:
    """The same local day at that hour (0-24), a day later where that would be earlier."""
    local = np.asarray(time_us, np.int64) + LOCAL_OFFSET_US
    moment = local // DAY_US * DAY_US + milliseconds(np.asarray(hour) * HOUR_US)
    return np.where(moment < local, moment + DAY_US, moment) - LOCAL_OFFSET_US


def in_office_hours(rng: np.random.Generator, time_us: Ints) -> NDArray[np.int64]:
    """Times moved on to 8-20 h local: pushes do not come at night."""
    hour = (np.asarray(time_us, np.int64) + LOCAL_OFFSET_US) % DAY_US / HOUR_US
    day = (hour >= 8) & (hour < 20)
    return np.where(day, milliseconds(time_us), at_hour(time_us, rng.uniform(8.0, 10.0, len(hour))))

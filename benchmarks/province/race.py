"""Races: who of those who would claim a lead gets it, and what nobody can tell yet.

A lead with a capacity goes to the first who claim. Somebody who would have claimed later finds it
taken: the log has the exposure (and that they opened it) but no claim, the truth says LOST_RACE.
Who would claim after the end of the log is TOO_RECENT. Both are censored, not refusals.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from benchmarks.province.arrays import Ints
from benchmarks.province.config import HOUR_US, ProvinceConfig
from benchmarks.province.exposures import NEVER, Exposures
from benchmarks.province.sessions import filled_times

_STALE_US = 12 * HOUR_US
"""A list stays on a member's screen for half a day; then a taken lead is gone from it."""


class Outcome(IntEnum):
    """What came of an exposure; LOST_RACE and TOO_RECENT are censored."""

    NOTHING = 0
    CLAIMED = 1
    LOST_RACE = 2
    TOO_RECENT = 3


@dataclass(frozen=True, slots=True)
class Settled:
    """Exposures that really took place, and what came of each (uint8[n], see Outcome)."""

    exposures: Exposures
    outcome: NDArray[np.uint8]
    filled_us: NDArray[np.int64]
    """int64[L]: when the lead's last place went; NEVER if it did not."""


def settle(config: ProvinceConfig, capacity: Ints, exposures: Exposures) -> Settled:
    """Drops what would not have been sent any more, and decides every race."""
    every = exposures.first_of_each_pair()
    first_claim = np.full(len(capacity), NEVER)
    np.minimum.at(first_claim, every.lead, every.claim_us)
    # The order matters: a claim by somebody who was never asked must not fill a lead.
    every = every.select((every.wave == 0) | (every.time_us < first_claim[every.lead]))
    filled = filled_times(capacity, every)
    stale = np.where(every.position < 0, 0, _STALE_US)
    kept = every.select(every.time_us - stale < filled[every.lead])
    outcome = np.full(len(kept), Outcome.NOTHING, np.uint8)
    would = kept.claim_us < NEVER
    outcome[would] = Outcome.CLAIMED
    outcome[would & (kept.claim_us >= config.end_time_us)] = Outcome.TOO_RECENT
    lost = would & (_claim_rank(kept) >= np.where(capacity > 0, capacity, NEVER)[kept.lead])
    outcome[lost & (filled[kept.lead] < config.end_time_us)] = Outcome.LOST_RACE
    return Settled(kept, outcome, filled)


def _claim_rank(exposures: Exposures) -> NDArray[np.int64]:
    """int64[n]: 0 for the first who would claim the lead, 1 for the next, and so on."""
    order = np.lexsort((exposures.claim_us, exposures.lead))
    lead = exposures.lead[order]
    starts = np.searchsorted(lead, lead)
    rank = np.empty(len(lead), np.int64)
    rank[order] = np.arange(len(lead)) - starts
    return rank

"""Answers in a log: pairs that were pushed or shown and whose outcome is known.

Censored pairs are no answers: too young to tell, or of a lead that somebody else took first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from features.entities import EventKind
from features.events import EventLog
from features.willingness import slot_of
from recsvc.model.arrays import F32, I32, I64
from training.config import SplitConfig
from training.split import SHOWN

MICROSECONDS_PER_DAY = 86_400_000_000


@dataclass(frozen=True)
class Pairs:
    """n labelled pairs: rows, the instant each is seen at, and whether the member took it."""

    member: I32
    lead: I32
    time_us: I64
    label: F32
    slot: I32 | None = None
    """Where it was shown (see features.willingness); None: not known of any."""

    def __len__(self) -> int:
        return len(self.member)

    def select(self, kept: NDArray[np.bool_] | I32) -> Pairs:
        """The pairs where a mask (bool[n]) is true, or at these places (int32[])."""
        slot = None if self.slot is None else self.slot[kept]
        return Pairs(self.member[kept], self.lead[kept], self.time_us[kept], self.label[kept], slot)


def exposed_pairs(later: EventLog, capacity: I32, config: SplitConfig) -> Pairs:
    """Each pair that was pushed or shown, once, labelled by whether a claim followed.

    Censored pairs are left out: exposed less than the attribution window before the log's end, or
    of a lead whose capacity (int32[leads], -1 unlimited) others had used up within the window, or
    claimed before it was exposed. Who dismissed a lead has answered in any case.
    """
    shown = _once(later.select(np.isin(later.kind, SHOWN) & (later.lead >= 0)))
    claims = later.of_kind(EventKind.CLAIMED)
    claims = claims.select(claims.lead >= 0)
    nothing = np.zeros(len(shown), np.float32)
    pairs = Pairs(shown.member, shown.lead, shown.time_us, nothing, slot_of(shown.position))
    claimed_us = _last_claims(pairs, claims)
    answered = claimed_us >= pairs.time_us
    pairs = replace(pairs, label=answered.astype(np.float32))
    censored = (claimed_us >= 0) & ~answered
    if later.has_times:
        window = int(config.attribution_days * MICROSECONDS_PER_DAY)
        young = pairs.time_us > later.time_us[-1] - window
        open_ = young | _lost(pairs, _once(claims), capacity, window)
        censored |= ~answered & open_ & ~_dismissed(pairs, later)
    return pairs.select(~censored)


def _pair_keys(member: I32, lead: I32) -> I64:
    return member.astype(np.int64) << 32 | lead


def _once(events: EventLog) -> EventLog:
    """The first event of each pair."""
    _, first = np.unique(_pair_keys(events.member, events.lead), return_index=True)
    kept = np.zeros(len(events), bool)
    kept[first] = True
    return events.select(kept)


def _dismissed(pairs: Pairs, events: EventLog) -> NDArray[np.bool_]:
    refused = events.of_kind(EventKind.DISMISSED)
    return np.isin(_pair_keys(pairs.member, pairs.lead), _pair_keys(refused.member, refused.lead))


def _last_claims(pairs: Pairs, claims: EventLog) -> I64:
    """When each pair was claimed last (int64[n]), -1 for never."""
    keys, last = np.unique(_pair_keys(claims.member, claims.lead)[::-1], return_index=True)
    times = np.append(claims.time_us[::-1][last], -1)
    wanted = _pair_keys(pairs.member, pairs.lead)
    at = np.searchsorted(keys, wanted)
    known = np.append(keys, -1)[at] == wanted
    found: I64 = np.where(known, times[at], -1)
    return found


def _lost(pairs: Pairs, claims: EventLog, capacity: I32, window: int) -> NDArray[np.bool_]:
    """Pairs whose lead was full before the member's window was over."""
    full_time = np.full(len(capacity), np.iinfo(np.int64).max, np.int64)
    order = np.lexsort((claims.time_us, claims.lead))
    lead, time_us = claims.lead[order], claims.time_us[order]
    place = np.arange(len(lead)) - np.searchsorted(lead, lead)
    fills = (capacity[lead] > 0) & (place == capacity[lead] - 1)
    full_time[lead[fills]] = time_us[fills]
    lost: NDArray[np.bool_] = full_time[pairs.lead] < pairs.time_us + window
    return lost

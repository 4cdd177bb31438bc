"""Answers in a log: pairs that were pushed or shown and whose outcome is known.

Silence is a refusal in so far as there was time to answer: see `exposed_pairs`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from features.entities import EventKind
from features.events import EventLog
from features.willingness import slot_of
from recsvc.model.arrays import F32, I32, I64
from training.config import SplitConfig
from training.split import SHOWN, pair_keys

MICROSECONDS_PER_DAY = 86_400_000_000
LOOKED = (EventKind.OPENED, EventKind.COMMENTED, EventKind.SUPPORTED)
FEWEST_DELAYS = 100
LEAST_WEIGHT = 0.05
KNOWN_WEIGHT = 0.5
"""What weighs more than this counts as answered where answers cannot be weighed."""


@dataclass(frozen=True)
class Pairs:
    """n labelled pairs: rows, the instant each is seen at, and whether the member took it."""

    member: I32
    lead: I32
    time_us: I64
    label: F32
    slot: I32 | None = None
    """Where it was shown (see features.willingness); None: not known of any."""
    weight: F32 | None = None
    """How much of an answer it is, 0 to 1; None: each is one."""
    opened: F32 | None = None
    """Whether the member looked closer, or took it; None: the log does not say of any."""

    def __len__(self) -> int:
        return len(self.member)

    def select(self, kept: NDArray[np.bool_] | I32) -> Pairs:
        """The pairs where a mask (bool[n]) is true, or at these places (int32[])."""
        slot = None if self.slot is None else self.slot[kept]
        weight = None if self.weight is None else self.weight[kept]
        opened = None if self.opened is None else self.opened[kept]
        sides = self.member[kept], self.lead[kept]
        return Pairs(*sides, self.time_us[kept], self.label[kept], slot, weight, opened)


def joined(parts: Sequence[Pairs]) -> Pairs:
    """Pairs one after the other; what is not known of all parts is known of none."""
    slots, weights, opened = (
        [getattr(part, name) for part in parts] for name in ("slot", "weight", "opened")
    )
    return Pairs(
        np.concatenate([part.member for part in parts]),
        np.concatenate([part.lead for part in parts]),
        np.concatenate([part.time_us for part in parts]),
        np.concatenate([part.label for part in parts]),
        None if any(x is None for x in slots) else np.concatenate(slots),
        None if any(x is None for x in weights) else np.concatenate(weights),
        None if any(x is None for x in opened) else np.concatenate(opened),
    )


def weights_of(pairs: Pairs) -> F32:
    """The weights of pairs (float32[n])."""
    return np.ones(len(pairs), np.float32) if pairs.weight is None else pairs.weight


def shares_of(pairs: Pairs) -> F32:
    """1 / how often each pair is there (float32[n]): seen with several states, it counts once."""
    keys = pair_keys(pairs.member, pairs.lead)
    _, at, count = np.unique(keys, return_inverse=True, return_counts=True)
    return np.asarray(1.0 / count[at], np.float32)


def exposed_pairs(later: EventLog, capacity: I32, config: SplitConfig) -> Pairs:
    """Each pair that was pushed or shown, once, labelled by whether a claim followed.

    What was claimed before it was exposed is left out. Silence within the attribution window is
    censored when the log ends or when others use up the lead's capacity (int32[leads], -1
    unlimited): it counts as much of a refusal as of the claims there are would have come by then.
    (Leaving it out instead would keep the claims of contested leads and none of the refusals.) Who
    dismissed a lead has answered.
    """
    shown = _once(later.select(np.isin(later.kind, SHOWN) & (later.lead >= 0)))
    claims = later.of_kind(EventKind.CLAIMED)
    claims = claims.select(claims.lead >= 0)
    nothing = np.zeros(len(shown), np.float32)
    pairs = Pairs(shown.member, shown.lead, shown.time_us, nothing, slot_of(shown.position))
    claimed_us = _last_claims(pairs, claims)
    answered = claimed_us >= pairs.time_us
    pairs = replace(pairs, label=answered.astype(np.float32))
    weight = np.ones(len(pairs), np.float32)
    if later.has_times:
        until_us = np.minimum(_full_us(_once(claims), capacity)[pairs.lead], later.time_us[-1])
        window = int(config.attribution_days * MICROSECONDS_PER_DAY)
        delays = (claimed_us - pairs.time_us)[answered]
        silent = ~answered & ~_dismissed(pairs, later)
        weight[silent] = _answered_by((until_us - pairs.time_us)[silent], delays, window)
    weight[(claimed_us >= 0) & ~answered] = 0.0
    opened = _opened(pairs, later)
    return replace(pairs, weight=weight, opened=opened).select(weight >= LEAST_WEIGHT)


def _opened(pairs: Pairs, events: EventLog) -> F32 | None:
    """Which pairs (float32[n]) were opened, commented on, supported or claimed."""
    if not (events.kind == EventKind.OPENED).any():
        return None
    closer = events.of_kind(*LOOKED)
    found = np.isin(pair_keys(pairs.member, pairs.lead), pair_keys(closer.member, closer.lead))
    return np.maximum(found, pairs.label).astype(np.float32)


def _answered_by(waited_us: I64, delays_us: I64, window_us: int) -> F32:
    """The share (float32[n]) of all claims within the window that come as fast as this or faster.

    `delays_us` int64[claims]; with few of them, claims count as spread evenly over the window.
    """
    share = np.clip(waited_us / max(window_us, 1), 0.0, 1.0)
    within = np.sort(delays_us[delays_us < window_us])
    if len(within) >= FEWEST_DELAYS:
        share = np.where(share < 1.0, np.searchsorted(within, waited_us) / len(within), 1.0)
    return share.astype(np.float32)


def _once(events: EventLog) -> EventLog:
    """The first event of each pair."""
    _, first = np.unique(pair_keys(events.member, events.lead), return_index=True)
    kept = np.zeros(len(events), bool)
    kept[first] = True
    return events.select(kept)


def _dismissed(pairs: Pairs, events: EventLog) -> NDArray[np.bool_]:
    refused = events.of_kind(EventKind.DISMISSED)
    return np.isin(pair_keys(pairs.member, pairs.lead), pair_keys(refused.member, refused.lead))


def _last_claims(pairs: Pairs, claims: EventLog) -> I64:
    """When each pair was claimed last (int64[n]), -1 for never."""
    keys, last = np.unique(pair_keys(claims.member, claims.lead)[::-1], return_index=True)
    times = np.append(claims.time_us[::-1][last], -1)
    wanted = pair_keys(pairs.member, pairs.lead)
    at = np.searchsorted(keys, wanted)
    known = np.append(keys, -1)[at] == wanted
    found: I64 = np.where(known, times[at], -1)
    return found


def _full_us(claims: EventLog, capacity: I32) -> I64:
    """When the last place of each lead (int64[leads]) went; the end of time when it did not."""
    full_time = np.full(len(capacity), np.iinfo(np.int64).max, np.int64)
    order = np.lexsort((claims.time_us, claims.lead))
    lead, time_us = claims.lead[order], claims.time_us[order]
    place = np.arange(len(lead)) - np.searchsorted(lead, lead)
    fills = (capacity[lead] > 0) & (place == capacity[lead] - 1)
    full_time[lead[fills]] = time_us[fills]
    return full_time

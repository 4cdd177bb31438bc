"""Cutting a log into an early and a later part, without a future in the past.

With times, the later part is the end of the log (and, where there are exposures, some leads as a
whole). Without times it is chosen by a hash: of the pair,
and for as large a share of leads as have no event at all, of the lead, so that the later part holds
untouched leads as often as the service will meet them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.entities import ACTIONS, EXPOSURES, INTERESTS
from features.events import EventLog
from training.config import SplitConfig

Mask = NDArray[np.bool_]
ANSWERS = np.array(sorted(INTERESTS | ACTIONS), np.uint8)
SHOWN = np.array(sorted(EXPOSURES), np.uint8)
MOST_COLD_SHARE = 0.5
"""However few leads were touched, half of the examples are about such."""


@dataclass(frozen=True)
class Split:
    """The early part, the later part, and the instant between them (0 without times)."""

    early: EventLog
    later: EventLog
    cut_time_us: int


def split_log(events: EventLog, lead_count: int, config: SplitConfig, seed: int) -> Split:
    """Cuts `events`; both parts keep the order of the log."""
    if not len(events):
        return Split(events, events, 0)
    if events.has_times:
        return _by_time(events, lead_count, config, seed)
    cold_share = min(cold_share_of(events, lead_count), MOST_COLD_SHARE)
    pair = pair_hash(events.member, events.lead, seed)
    cold = pair_hash(np.zeros_like(events.lead), events.lead, seed + 1)
    # Of the later part, a share like that of untouched leads is cut by whole leads.
    by_lead = cold < config.later_share * cold_share
    later = by_lead | (pair < config.later_share * (1.0 - cold_share))
    return Split(events.select(~later), events.select(later), 0)


def cold_share_of(events: EventLog, lead_count: int) -> float:
    """The share of leads without any event."""
    touched = np.unique(events.lead[events.lead >= 0])
    return 1.0 - len(touched) / max(lead_count, 1)


def _by_time(events: EventLog, lead_count: int, config: SplitConfig, seed: int) -> Split:
    """The end of the log; of a log with exposures also everything about some of the leads.

    These leads teach, what comes after the cut judges: the end alone would teach with a state that
    grows staler every day, and little of it. A lead's own events tell nothing of other leads.
    Half of the leads are held out from the middle of their lives on: taught with untouched leads
    alone, whose vectors are guessed from their content and short, the ranker overrated what the
    embedding says of the others (simulated province 4,000 x 8,000, taught so, two seeds: their
    lists held .63 and .61 of the oracle's expected claims, now .72 and .66; of new leads .777 and
    .763, now .776 and .766).
    """
    exposed = bool(np.isin(events.kind, SHOWN).any())
    share = config.judged_share if exposed else config.later_share
    at = int(len(events) * (1.0 - share))
    # At least the first instant is early, however much happened in it.
    at = max(at, int(np.searchsorted(events.time_us, events.time_us[0], "right")))
    cut = int(events.time_us[at])
    later = events.time_us >= cut
    if exposed:
        lead = pair_hash(np.zeros_like(events.lead), events.lead, seed + 1)
        from_us = held_from_us(events, lead_count, config.whole_share, seed)
        taught = (events.lead >= 0) & (lead < config.taught_share)
        later |= taught & (begun_us(events) >= from_us[events.lead])
    return Split(events.select(~later), events.select(later), cut)


def held_from_us(events: EventLog, lead_count: int, whole: float, seed: int) -> NDArray[np.int64]:
    """From when on each lead is held out (int64[leads]): from one of its exposures, drawn evenly.

    A share `whole` of the leads is held out from the beginning.
    """
    every = np.arange(lead_count, dtype=np.int32)
    shown = events.select(np.isin(events.kind, SHOWN) & (events.lead >= 0))
    order = np.argsort(shown.lead, kind="stable")
    first = np.searchsorted(shown.lead[order], every)
    count = np.bincount(shown.lead, minlength=lead_count)
    nobody = np.zeros_like(every)
    part = pair_hash(every, nobody, seed + 5)
    some = (count > 0) & (pair_hash(every, nobody, seed + 4) >= whole)
    at = first + (part * count).astype(np.int64)
    from_us = np.full(lead_count, np.iinfo(np.int64).min)
    from_us[some] = shown.time_us[order[at[some]]]
    return from_us


def begun_us(events: EventLog) -> NDArray[np.int64]:
    """When the pair of each event was first exposed (int64[n]), or had its first event.

    By it a pair is held out as a whole: an exposure whose answer alone is held out would pass for
    a refusal.
    """
    pair = pair_keys(events.member, events.lead)
    shown = np.isin(events.kind, SHOWN)
    order = np.lexsort((events.time_us, ~shown, pair))
    _, first, at = np.unique(pair[order], return_index=True, return_inverse=True)
    begun = np.empty(len(events), np.int64)
    begun[order] = events.time_us[order][first][at]
    return begun


def halves(rows: NDArray[np.int32], seed: int) -> Mask:
    """True for about half of the rows' identities (int32[n]), always the same half."""
    return pair_hash(rows, np.zeros_like(rows), seed + 2) < 0.5


def pair_keys(member: NDArray[np.int32], lead: NDArray[np.int32]) -> NDArray[np.int64]:
    """One number a pair (int64[n]), ascending by member and then lead."""
    return member.astype(np.int64) << 32 | lead


def pair_hash(
    first: NDArray[np.int32], second: NDArray[np.int32], seed: int
) -> NDArray[np.float64]:
    """A number in [0, 1) a pair (float64[n]), the same for the same pair and seed.

    Source: the finaliser of SplitMix64 (Steele, Lea & Flood 2014).
    """
    with np.errstate(over="ignore"):
        x = first.astype(np.uint64) << np.uint64(32) | second.astype(np.uint64) & np.uint64(
            0xFFFFFFFF
        )
        x += np.uint64(seed & 0xFFFFFFFF) * np.uint64(0x9E3779B97F4A7C15)
        x ^= x >> np.uint64(30)
        x *= np.uint64(0xBF58476D1CE4E5B9)
        x ^= x >> np.uint64(27)
        x *= np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
    return (x >> np.uint64(11)).astype(np.float64) / float(1 << 53)

"""Examples for the ranker: pairs of the later part of a log, seen with the state of the early part.

A log with exposures teaches claim or no claim of what was pushed or shown. A log without them
teaches what a member chose over leads that retrieval would have offered instead.
"""

from __future__ import annotations

import numpy as np

from features.entities import EventKind
from features.events import EventLog
from recsvc.model.arrays import F32, I32, I64
from recsvc.model.pair_terms import pair_features
from training.config import ExampleConfig
from training.exposures import Pairs, joined
from training.state import State, sample_rows


def features_of(state: State, pairs: Pairs) -> F32:
    """Pair features (float32[n, F]) with a state's columns."""
    return pair_features(
        state.members, pairs.member, state.leads, pairs.lead, pairs.time_us, state.context
    )


CHOICES = (EventKind.CLAIMED, EventKind.SUPPORTED, EventKind.COMMENTED, EventKind.RESOLVED)


def chosen_pairs(state: State, later: EventLog, kinds: tuple[EventKind, ...] = CHOICES) -> Pairs:
    """Each pair of the later part that the member chose and had not met before, once."""
    good = later.of_kind(*kinds)
    good = good.select(good.lead >= 0)
    width = len(state.leads.alive)
    key = good.member.astype(np.int64) * width + good.lead
    _, first = np.unique(key, return_index=True)
    counts = np.diff(state.history.member_start)
    known = np.repeat(np.arange(len(counts)), counts).astype(np.int64) * width
    known += state.history.lead
    first = first[~np.isin(key[first], known)]
    return Pairs(
        good.member[first],
        good.lead[first],
        good.time_us[first],
        np.ones(len(first), np.float32),
    )


def with_negatives(state: State, chosen: Pairs, config: ExampleConfig, seed: int) -> Pairs:
    """The chosen pairs of some members, and for each member leads they could have been offered.

    They are drawn evenly from all leads there were: among the best by embedding alone a high score
    would speak against a pair (foursquare_nyc, Recall@20 of half the best, weighted by the chance
    of being drawn, drawn evenly: .075, .086, .097).
    """
    who = np.unique(chosen.member)
    who = who[sample_rows(len(who), config.most_members, seed)]
    chosen = chosen.select(np.isin(chosen.member, who))
    rng = np.random.default_rng(seed)
    parts = [chosen]
    for begin in range(0, len(who), 256):
        block = who[begin : begin + 256]
        size = len(block), config.negatives_per_member
        member = np.repeat(block, config.negatives_per_member)
        lead = rng.integers(0, len(state.leads.alive), size).astype(np.int32).ravel()
        parts.append(_as_negatives(state, chosen, member, lead))
    return joined(parts)


def with_other_members(state: State, authored: Pairs, config: ExampleConfig, seed: int) -> Pairs:
    """The authored pairs, and for each lead random members who might have written it instead.

    Asked from the lead's side, because an author meets the lead at its first instant: anything
    about the lead alone would give the answer away.
    """
    rng = np.random.default_rng(seed)
    count = config.negatives_per_member
    member = rng.integers(0, len(state.members.alive), (len(authored), count)).astype(np.int32)
    other = (member != authored.member[:, None]).ravel()
    return Pairs(
        np.concatenate([authored.member, member.ravel()[other]]),
        np.concatenate([authored.lead, np.repeat(authored.lead, count)[other]]),
        np.concatenate([authored.time_us, np.repeat(authored.time_us, count)[other]]),
        np.concatenate([authored.label, np.zeros(int(other.sum()), np.float32)]),
    )


def _as_negatives(state: State, chosen: Pairs, member: I32, lead: I32) -> Pairs:
    """Offered pairs seen at the instant of one of the member's choices, without what they met."""
    order = np.argsort(chosen.member, kind="stable")
    at = order[np.searchsorted(chosen.member[order], member)]
    time_us = chosen.time_us[at]
    width = len(state.leads.alive)
    key = member.astype(np.int64) * width + lead
    met = np.concatenate([_met(state, np.unique(member), width), _keys(chosen, width)])
    kept = ~np.isin(key, met) & (state.leads.create_time_us[lead] <= time_us)
    _, first = np.unique(key, return_index=True)
    unique = np.zeros(len(key), bool)
    unique[first] = True
    kept &= unique
    return Pairs(member[kept], lead[kept], time_us[kept], np.zeros(int(kept.sum()), np.float32))


def _keys(pairs: Pairs, width: int) -> I64:
    return pairs.member.astype(np.int64) * width + pairs.lead


def _met(state: State, members: I32, width: int) -> I64:
    start = state.history.member_start
    parts = [
        np.int64(m) * width + state.history.lead[start[m] : start[m + 1]].astype(np.int64)
        for m in members.tolist()
    ]
    return np.concatenate([np.empty(0, np.int64), *parts])

"""A member's profile, folded in from their history as training would have made it."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from features.activity import activity_places
from features.entities import Event
from features.events import EventLog
from features.interest import event_weights, interest_text, interest_topics
from features.own_texts import own_texts, own_weights
from recsvc.model.arrays import F32, I8, I32, LEAD_TOPICS, LeadColumns
from recsvc.model.bundle import InterestRule
from recsvc.model.neighbours import co_taken
from recsvc.model.snapshot import Snapshot


class Profile(NamedTuple):
    """What a history says of one member: columns of the same names."""

    vector: F32  # [d]
    embedding_level: float
    interest_text: F32  # [dt]
    interest_topics: I32  # [16]
    interest_topic_weights: F32  # [16]
    activity_latitude_rad: F32  # [4]
    activity_longitude_rad: F32  # [4]
    activity_share: F32  # [4]
    own_text: I8  # [8, dt]
    own_text_scale: F32  # [8]
    co_taken_leads: I32  # [64]
    co_taken_weights: F32  # [64]


def half_life(rule: InterestRule) -> float:
    """Half-life in days; infinite when the log has no times: nothing may decay."""
    return rule.half_life_days if rule.has_times else math.inf


def pair_strength(weights: F32) -> F32:
    """What a pair counts (float32[n]) by the sum of its events' weights: a repeat adds less."""
    return np.log2(1.0 + np.maximum(weights, 0.0)).astype(np.float32)


def fold_profile(snapshot: Snapshot, member_id: str) -> Profile:
    """The profile from the bundle's history of this member and everything since."""
    rows, log = _history(snapshot, member_id)
    rule = snapshot.bundle.manifest.interest
    when = max(rule.reference_time_us, int(log.time_us[-1]) if len(log) else 0)
    weights = event_weights(log, when, half_life(rule))
    found = [snapshot.leads.locate(row) for row in rows]
    widths = snapshot.bundle.widths
    vectors = _stack([c.vector[i] for c, i in found], widths.vector)
    text = _stack([c.text[i] for c, i in found], widths.text)
    topics = np.array([c.topics[i] for c, i in found], np.int32).reshape(-1, LEAD_TOPICS)
    topic_weights = _stack([c.topic_weights[i] for c, i in found], LEAD_TOPICS)
    pair_weights = np.zeros(len(rows), np.float32)
    np.add.at(pair_weights, log.lead, weights)
    strength = pair_strength(pair_weights)
    names, name_weights = interest_topics(log, weights, topics, topic_weights, 1)
    vector = snapshot.bundle.fold_in.vector(vectors, strength)
    return Profile(
        vector,
        float(snapshot.bundle.fold_in.levels(vector)),
        interest_text(log, weights, text, 1)[0],
        names[0],
        name_weights[0],
        *_activity(log, weights, found),
        *_own_texts(log, weights, text),
        *_co_taken(snapshot, strength, found),
    )


def _activity(
    log: EventLog, weights: F32, found: list[tuple[LeadColumns, int]]
) -> tuple[F32, F32, F32]:
    starts = np.array([0, len(log)], np.int64)
    latitude = np.array([c.latitude_rad[i] for c, i in found], np.float32)
    longitude = np.array([c.longitude_rad[i] for c, i in found], np.float32)
    places = activity_places(starts, log.lead, weights, latitude, longitude)
    return places[0][0], places[1][0], places[2][0]


def _own_texts(log: EventLog, weights: F32, text: F32) -> tuple[I8, F32]:
    starts = np.array([0, len(log)], np.int64)
    codes, scales = own_texts(starts, log.lead, own_weights(log.kind, weights), text)
    return codes[0], scales[0]


def _co_taken(
    snapshot: Snapshot, strength: F32, found: list[tuple[LeadColumns, int]]
) -> tuple[I32, F32]:
    """What goes with the leads that the bundle knows; the order of rows is that of training."""
    rows = np.array([c.neighbour_row[i] for c, i in found], np.int32)
    kept = np.flatnonzero((rows >= 0) & (strength > 0.0))
    kept = kept[np.argsort(rows[kept])]
    starts = np.array([0, len(kept)], np.int64)
    leads, weights = co_taken(snapshot.bundle.neighbours, starts, rows[kept], strength[kept])
    return leads[0], weights[0]


def _history(snapshot: Snapshot, member_id: str) -> tuple[list[int], EventLog]:
    """Global rows of the leads a member met, and the events with `lead` pointing into them.

    A lead that was deleted meanwhile still shows what the member cares for.
    """
    events: list[tuple[int, int, int, int]] = []  # lead row, kind, time, reason
    base_row = snapshot.bundle.member_ids.get(member_id)
    base = snapshot.history.base
    if base_row >= 0:
        part = snapshot.history.base_slice(base_row)
        columns = base.lead[part], base.kind[part], base.time_us[part], base.reason[part]
        for lead, kind, time_us, reason in zip(*(c.tolist() for c in columns), strict=True):
            events.append((snapshot.leads.current(lead), kind, time_us, reason))
    later: list[Event] = snapshot.history.by_member.get(member_id, [])
    for event in later:
        row = snapshot.leads.last_row(event.lead_id)
        events.append((row, int(event.kind), event.time_us, int(event.reason)))
    rows = list(dict.fromkeys(e[0] for e in events))
    place = {row: at for at, row in enumerate(rows)}
    n = len(events)
    log = EventLog.from_columns(
        {
            "member": np.zeros(n, np.int32),
            "lead": np.array([place[e[0]] for e in events], np.int32),
            "kind": np.array([e[1] for e in events], np.uint8),
            "time_us": np.array([e[2] for e in events], np.int64),
            "position": np.full(n, -1, np.int16),
            "propensity": np.full(n, np.nan, np.float32),
            "rating": np.full(n, np.nan, np.float32),
            "reason": np.array([e[3] for e in events], np.uint8),
            "wave": np.zeros(n, np.int16),
        }
    )
    return rows, log


def _stack(rows: list[F32], width: int) -> F32:
    return np.array(rows, np.float32).reshape(len(rows), width)

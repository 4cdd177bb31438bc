"""A rough score of every member for a lead, cheap enough to be computed for all of them.

The linear terms (a matrix product), what does not depend on the lead, the topics both have, and the
two place terms by chord instead of great circle. It only decides whom the ranker looks at.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from recsvc.matching.candidates import member_prior
from recsvc.model.additive import AdditiveModel, additive_terms
from recsvc.model.arrays import F32, I32, I64, U8, LeadColumns, MemberColumns
from recsvc.model.bundle import Bundle
from recsvc.model.scan_tables import table_slope
from recsvc.model.snapshot import member_search_vectors
from recsvc.model.terms import FEATURE_COUNT, INDEX

_EARTH_RADIUS_KM = 6371.0088
_BINS = 2048
"""One kilometre each; farther is as far as the last."""
_NOWHERE = 9.0
"""A coordinate of a place that is not known; unit vectors stay within 1."""
_FARTHEST = 2.0


class Topics(NamedTuple):
    """Who has a topic, by topic: the members of topic t are at `start[t]` to `start[t + 1]`."""

    start: I64  # [topics + 1]
    member: I32  # [entries] rows
    value: F32  # [entries] what a lead's weight of the topic is multiplied with


class Rough(NamedTuple):
    """One segment of the member table, prepared for many leads."""

    vectors: F32  # [n, w]
    prior: F32  # [n]
    homes: F32  # [n, 4, 3] on the unit sphere
    active: F32  # [n, 4, 3]
    home_value: F32  # [_BINS + 1] of the distance term by km; the last: unknown
    active_value: F32  # [_BINS + 1]
    topics: Topics


def prepare(bundle: Bundle, columns: MemberColumns) -> Rough:
    """Everything that is the same for all leads."""
    model = bundle.ranker
    expertise, interest = (table_slope(model, f"{kind}_topics") for kind in _KINDS)
    return Rough(
        np.ascontiguousarray(member_search_vectors(columns)),
        member_prior(bundle, columns),
        _points(columns.latitude_rad, columns.longitude_rad),
        _points(columns.activity_latitude_rad, columns.activity_longitude_rad),
        _by_km(model, "distance_log_km"),
        _by_km(model, "activity_log_km"),
        _by_topic(
            (columns.topics, columns.topic_weights, expertise),
            (columns.interest_topics, columns.interest_topic_weights, interest),
        ),
    )


_KINDS = ("expertise", "interest")


def linear_scores(part: Rough, queries: F32) -> F32:
    """float32[q, n] of queries (float32[q, w]) as `member_query` makes them."""
    scores = queries @ part.vectors.T
    scores += part.prior
    return np.asarray(scores)


def best_rows(
    scores: F32, usable: U8, part: Rough, leads: LeadColumns, local: int, most: int
) -> I64:
    """The `most` best rows (int64, in no order) of those that are usable (uint8[n]) for one lead.

    `scores` float32[n] are its linear scores; topics and places are added to them.
    """
    known = not np.isnan(leads.latitude_rad[local])
    where = leads.latitude_rad[local : local + 1], leads.longitude_rad[local : local + 1]
    point = _points(where[0][:, None], where[1][:, None])[0, 0]
    _add_topics(scores, *part.topics, leads.topics[local], leads.topic_weights[local])
    places = (part.homes, part.home_value), (part.active, part.active_value)
    return _best(scores, usable, known, point, *places[0], *places[1], most)


def _points(latitude: F32, longitude: F32) -> F32:
    """On the unit sphere (float32[n, k, 3]), known places first; unknown ones far outside."""
    across = np.cos(latitude)
    where = np.stack(
        [across * np.cos(longitude), across * np.sin(longitude), np.sin(latitude)], axis=-1
    )
    where = np.where(np.isnan(where), _NOWHERE, where).astype(np.float32)
    order = np.argsort(where[..., :1] > _FARTHEST, axis=1, kind="stable")
    return np.take_along_axis(where, order, axis=1)


def _by_km(model: AdditiveModel, feature: str) -> F32:
    features = np.full((_BINS + 1, FEATURE_COUNT), np.nan, np.float32)
    features[:_BINS, INDEX[feature]] = np.log1p(np.arange(_BINS) + 0.5)
    return np.ascontiguousarray(additive_terms(model, features)[:, INDEX[feature]])


def _by_topic(*kinds: tuple[I32, F32, float]) -> Topics:
    """Turns (topics int32[n, k], -1 padded, weights float32[n, k], slope) the other way round."""
    topics, members, values = [], [], []
    for topic, weight, slope in kinds:
        row, column = np.nonzero(topic >= 0)
        topics.append(topic[row, column])
        members.append(row.astype(np.int32))
        values.append((slope * weight[row, column]).astype(np.float32))
    topic, order = np.concatenate(topics), np.argsort(np.concatenate(topics), kind="stable")
    count = int(topic.max(initial=-1)) + 1
    start = np.searchsorted(topic[order], np.arange(count + 1)).astype(np.int64)
    return Topics(start, np.concatenate(members)[order], np.concatenate(values)[order])


@njit(cache=True, nogil=True, boundscheck=False)
def _add_topics(
    scores: F32, start: I64, member: I32, value: F32, topics: I32, weights: F32
) -> None:
    """Adds (in place) a lead's topics (-1 padded) to the scores of those who have them."""
    for k in range(len(topics)):
        topic = topics[k]
        if topic < 0:
            break
        if topic >= len(start) - 1:
            continue
        for e in range(start[topic], start[topic + 1]):
            scores[member[e]] += weights[k] * value[e]


@njit(cache=True, fastmath={"contract", "reassoc", "nsz"}, boundscheck=False, inline="always")
def _place_value(places: F32, row: int, x: float, y: float, z: float, values: F32) -> float:
    """The term of the nearest of a row's places; they are packed, the known ones first."""
    best = np.float32(_NOWHERE)
    for k in range(places.shape[1]):
        if places[row, k, 0] > _FARTHEST:
            break
        dx, dy, dz = places[row, k, 0] - x, places[row, k, 1] - y, places[row, k, 2] - z
        best = min(best, dx * dx + dy * dy + dz * dz)
    bin_ = _BINS if best > 4.5 else min(int(np.sqrt(best) * _EARTH_RADIUS_KM), _BINS - 1)
    return float(values[bin_])


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc", "nsz"}, boundscheck=False)
def _best(
    scores: F32, usable: U8, known: bool, point: F32,
    homes: F32, home_value: F32, active: F32, active_value: F32, most: int,
) -> I64:  # fmt: skip
    """A heap of the best so far, the worst of them on top; hardly any row gets past that one."""
    x, y, z = point[0], point[1], point[2]
    rows, heap = np.empty(most, np.int64), np.empty(most, np.float32)
    nearest = home_value.max() + active_value.max() if known else np.float32(0.0)
    count = 0
    for i in range(len(scores)):
        score = scores[i]
        if usable[i] == 0 or (count == most and score + nearest <= heap[0]):
            continue
        if known:
            score += _place_value(homes, i, x, y, z, home_value)
            score += _place_value(active, i, x, y, z, active_value)
        if count < most:
            at = count
            count += 1
            while at > 0 and heap[(at - 1) // 2] > score:
                heap[at], rows[at] = heap[(at - 1) // 2], rows[(at - 1) // 2]
                at = (at - 1) // 2
            heap[at], rows[at] = score, i
        elif score > heap[0]:
            at = 0
            while 2 * at + 1 < most:
                child = 2 * at + 1
                if child + 1 < most and heap[child + 1] < heap[child]:
                    child += 1
                if heap[child] >= score:
                    break
                heap[at], rows[at] = heap[child], rows[child]
                at = child
            heap[at], rows[at] = score, i
    return rows[:count]

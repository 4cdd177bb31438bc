"""A rough score of every member for a lead, cheap enough to be computed for all of them.

The linear terms (a matrix product), what does not depend on the lead, and the two place terms by
chord instead of great circle. It only decides whom the ranker looks at.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from recsvc.matching.candidates import member_prior
from recsvc.model.additive import AdditiveModel, additive_terms
from recsvc.model.arrays import F32, I32, I64, LeadColumns, MemberColumns
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


class Rough(NamedTuple):
    """One segment of the member table, prepared for many leads."""

    vectors: F32  # [n, w]
    prior: F32  # [n]
    homes: F32  # [n, 4, 3] on the unit sphere
    active: F32  # [n, 4, 3]
    home_value: F32  # [_BINS + 1] of the distance term by km; the last: unknown
    active_value: F32  # [_BINS + 1]
    topics: I32  # [n, 16]
    topic_weights: F32
    interest_topics: I32
    interest_weights: F32
    slopes: tuple[float, float]  # of the two topic terms


def prepare(bundle: Bundle, columns: MemberColumns) -> Rough:
    """Everything that is the same for all leads."""
    model = bundle.ranker
    return Rough(
        np.ascontiguousarray(member_search_vectors(columns)),
        member_prior(bundle, columns),
        _points(columns.latitude_rad, columns.longitude_rad),
        _points(columns.activity_latitude_rad, columns.activity_longitude_rad),
        _by_km(model, "distance_log_km"),
        _by_km(model, "activity_log_km"),
        columns.topics,
        columns.topic_weights,
        columns.interest_topics,
        columns.interest_topic_weights,
        (table_slope(model, "expertise_topics"), table_slope(model, "interest_topics")),
    )


def linear_scores(part: Rough, queries: F32) -> F32:
    """float32[q, n] of queries (float32[q, w]) as `member_query` makes them."""
    return np.asarray(queries @ part.vectors.T + part.prior)


def complete(scores: F32, rows: I64, part: Rough, leads: LeadColumns, local: int) -> None:
    """Adds (in place) place and topics of one lead to its linear scores (float32[n])."""
    if not np.isnan(leads.latitude_rad[local]):
        where = leads.latitude_rad[local : local + 1], leads.longitude_rad[local : local + 1]
        point = _points(where[0][:, None], where[1][:, None])[0, 0]
        _add_places(scores, rows, part.homes, point, part.home_value)
        _add_places(scores, rows, part.active, point, part.active_value)
    lead = leads.topics[local], leads.topic_weights[local]
    if lead[0][0] >= 0:
        _add_topics(scores, rows, part.topics, part.topic_weights, *lead, part.slopes[0])
        interest = part.interest_topics, part.interest_weights
        _add_topics(scores, rows, *interest, *lead, part.slopes[1])


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


@njit(cache=True, fastmath={"contract", "reassoc", "nsz"}, boundscheck=False)
def _add_places(scores: F32, rows: I64, places: F32, point: F32, values: F32) -> None:
    """Adds (in place) a place term to some rows; places are packed, the known ones first."""
    x, y, z = point[0], point[1], point[2]
    for r in range(len(rows)):
        i = rows[r]
        best = np.float32(_NOWHERE)
        for k in range(places.shape[1]):
            if places[i, k, 0] > _FARTHEST:
                break
            dx, dy, dz = places[i, k, 0] - x, places[i, k, 1] - y, places[i, k, 2] - z
            best = min(best, dx * dx + dy * dy + dz * dz)
        bin_ = _BINS if best > 4.5 else min(int(np.sqrt(best) * _EARTH_RADIUS_KM), _BINS - 1)
        scores[i] += values[bin_]


@njit(cache=True, boundscheck=False)
def _add_topics(
    scores: F32,
    rows: I64,
    topics: I32,
    weights: F32,
    lead_topics: I32,
    lead_weights: F32,
    by: float,
) -> None:
    """Adds (in place) a topic term: `by` times the inner product of sparse rows (-1 padded)."""
    count = 0
    while count < len(lead_topics) and lead_topics[count] >= 0:
        count += 1
    for r in range(len(rows)):
        i = rows[r]
        total = np.float32(0.0)
        for j in range(topics.shape[1]):
            topic = topics[i, j]
            if topic < 0:
                break
            for k in range(count):
                if topic == lead_topics[k]:
                    total += weights[i, j] * lead_weights[k]
        scores[i] += by * total

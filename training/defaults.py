"""The ranker of a tenant without a log: stated weights, until there is something to learn from."""

from __future__ import annotations

import numpy as np

from recsvc.model.additive import AdditiveModel
from recsvc.model.arrays import F32
from recsvc.model.terms import FEATURE_COUNT, INDEX

DEFAULT_TABLES: dict[str, tuple[tuple[float, float], ...]] = {
    "embedding": ((0.0, 0.0), (1.0, 1.0)),
    "embedding_level": ((0.0, 0.0), (1.0, 1.0)),
    "expertise_text": ((0.0, 0.0), (1.0, 4.0)),
    "interest_text": ((0.0, 0.0), (1.0, 3.0)),
    "expertise_topics": ((0.0, 0.0), (1.0, 2.0)),
    "own_text": ((0.0, 0.0), (0.3, 4.0), (1.0, 8.0)),
    "interest_topics": ((0.0, 0.0), (1.0, 0.6)),
    "distance_log_km": ((0.0, 1.0), (1.0, 0.8), (3.0, 0.2), (5.0, 0.0)),
    "activity_log_km": ((0.0, 0.5), (1.0, 0.4), (3.0, 0.1), (5.0, 0.0)),
    "age_log_hours": ((0.0, 0.4), (5.0, 0.3), (7.0, 0.1), (9.0, 0.0)),
    "urgency": ((0.0, 0.0), (3.0, 0.3)),
}
"""Per feature (value, weight) points, interpolated: fit of content first, then place, then time."""


def default_ranker(features: F32) -> AdditiveModel:
    """The stated tables, centred on pairs' features (float32[n, F], n may be 0)."""
    width = max(len(points) for points in DEFAULT_TABLES.values())
    knots = np.full((FEATURE_COUNT, width), np.inf, np.float32)
    values = np.zeros((FEATURE_COUNT, width), np.float32)
    counts = np.zeros(FEATURE_COUNT, np.int32)
    slopes = np.zeros(FEATURE_COUNT, np.float32)
    for name, points in DEFAULT_TABLES.items():
        at = INDEX[name]
        x, y = np.array(points, np.float32).T
        seen = features[:, at][~np.isnan(features[:, at])]
        centre = np.interp(seen, x, y).mean() if len(seen) else 0.0
        counts[at] = len(x)
        knots[at, : len(x)], values[at, : len(x)] = x, y - np.float32(centre)
    slopes[[INDEX["embedding"], INDEX["embedding_level"]]] = 1.0
    return AdditiveModel(
        knots,
        values,
        counts,
        np.zeros(FEATURE_COUNT, np.float32),
        (counts > 0).astype(np.uint8),
        slopes,
        slopes,
        0.0,
    )

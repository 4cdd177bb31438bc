"""What the topics of a lead change: how far people come for it, and what it is to know of it.

Roads are a matter of place, law one of expertise: training.effects learns how much for each topic,
and here it is read. `effects` are float32[topics, 3] log-odds against those of all topics together:
for each unit of log-km from `MEAN_LOG_KM`, for a member who states the topic, and for each unit of
log-km again for such a member.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from recsvc.model.arrays import F32, I32

MEAN_LOG_KM = 3.0
"""About 20 km: distances count from there, so that slopes and levels are told apart."""


@njit(cache=True, inline="always")
def place_by_topic(effects: F32, log_km: float, topics: I32, weights: F32) -> float:
    """How much more place speaks for a lead of these topics than for others; NaN unknown."""
    if np.isnan(log_km) or topics[0] < 0 or len(effects) == 0:
        return np.nan
    slope, total = 0.0, 0.0
    for i in range(len(topics)):
        if topics[i] < 0:
            break
        total += weights[i]
        if topics[i] < len(effects):
            slope += weights[i] * effects[topics[i], 0]
    return slope / total * (log_km - MEAN_LOG_KM)


@njit(cache=True, inline="always")
def stated_by_topic(effects: F32, log_km: float, stated: I32, topics: I32, weights: F32) -> float:
    """How much more it speaks for a member to state just these topics; NaN unknown."""
    if stated[0] < 0 or topics[0] < 0 or len(effects) == 0:
        return np.nan
    away = 0.0 if np.isnan(log_km) else log_km - MEAN_LOG_KM
    found, total = 0.0, 0.0
    for i in range(len(topics)):
        topic = topics[i]
        if topic < 0:
            break
        total += weights[i]
        for j in range(len(stated)):
            if stated[j] < 0:
                break
            if stated[j] == topic and topic < len(effects):
                found += weights[i] * (effects[topic, 1] + effects[topic, 2] * away)
                break
    return found / total


@njit(cache=True)
def stated_share(stated: I32, topics: I32, weights: F32) -> float:
    """The share (0 to 1) of a lead's topics that a member states."""
    met, total = 0.0, 0.0
    for i in range(len(topics)):
        if topics[i] < 0:
            break
        total += weights[i]
        for j in range(len(stated)):
            if stated[j] < 0:
                break
            if stated[j] == topics[i]:
                met += weights[i]
                break
    return met / total if total > 0.0 else 0.0

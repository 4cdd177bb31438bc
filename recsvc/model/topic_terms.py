"""What the topics of a lead change: how far people come for it, and what it is to know of it.

Roads are a matter of place, law one of expertise: training.effects learns how much for each topic,
and `pair_topics.fill_effects` reads it. `effects` are float32[topics, 3] log-odds against those of
all topics together: for each unit of log-km from `MEAN_LOG_KM`, for a member who states the topic,
and for each unit of log-km again for such a member.
"""

from __future__ import annotations

from numba import njit

from recsvc.model.arrays import F32, I32

MEAN_LOG_KM = 3.0
"""About 20 km: distances count from there, so that slopes and levels are told apart."""


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

"""Diversity: the next item should be good and unlike the ones above it.

Maximal marginal relevance (Carbonell & Goldstein 1998), greedy.
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from recsvc.model.arrays import F32, I64


class Slate(Struct, frozen=True):
    """Positions into the candidates, best first, and what diversity took off each score."""

    order: I64
    adjustments: F32


def diversify(scores: F32, vectors: F32, diversity: float, count: int) -> Slate:
    """The first `count` of n candidates (scores float32[n], best first; vectors float32[n, w]).

    Each item loses `diversity` times the spread of the scores times its greatest cosine similarity
    with an item above it: 0 leaves the order alone, 1 lets likeness weigh as much as the score.
    Rows of `vectors` have length 1 or 0.
    """
    count = min(count, len(scores))
    if diversity <= 0.0 or count == 0:
        return Slate(np.arange(count), np.zeros(count, np.float32))
    weight = np.float32(diversity * max(float(scores.max() - scores.min()), 1e-6))
    likeness = np.zeros(len(scores), np.float32)
    open_items = np.ones(len(scores), bool)
    order = np.empty(count, np.int64)
    adjustments = np.zeros(count, np.float32)
    for place in range(count):
        adjusted = np.where(open_items, scores - weight * likeness, -np.inf)
        best = int(np.argmax(adjusted))
        order[place], adjustments[place] = best, -weight * likeness[best]
        open_items[best] = False
        np.maximum(likeness, vectors @ vectors[best], out=likeness)
    return Slate(order, adjustments)

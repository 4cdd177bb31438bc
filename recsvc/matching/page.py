"""The last stages of a list: its order with diversity, and the items of one page with reasons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from recsvc.matching.diversify import Slate, diversify
from recsvc.matching.explain import reasons_of, terms_of
from recsvc.matching.lead_filter import Filtered
from recsvc.matching.masks import Masked
from recsvc.matching.queries import Item, ListQuery, ServingMode
from recsvc.matching.score import Scored
from recsvc.matching.scored_pair import Pair, distance_km
from recsvc.model.arrays import F32, I64, LeadColumns, MemberColumns
from recsvc.model.bundle import Bundle
from recsvc.model.segments import Table

DIVERSITY_POOL = 200
"""Diversity reorders so many of the best, whatever the page: the pages of a list fit together."""


@dataclass(frozen=True)
class Found:
    """What retrieval and ranking found: candidate rows of `table` and how each scored.

    `pair(at)` is the candidate at a position, seen with what the list is for. `same` names the
    reason groups that are alike for all candidates and so say nothing about one of them.
    """

    rows: I64
    scored: Scored
    table: Table[LeadColumns] | Table[MemberColumns]
    masked: Masked | Filtered
    mode: ServingMode
    unknown: int
    pair: Callable[[int], Pair]
    same: frozenset[str]


def pool_size(query: ListQuery) -> int:
    """How many of the best retrieval has to bring for a query."""
    depth = query.offset + query.count + 1
    return max(depth, DIVERSITY_POOL) if query.diversity > 0 else depth


def order_items(found: Found, query: ListQuery) -> Slate:
    """Positions into the candidates, best first, one more than the query's depth if there is."""
    depth = query.offset + query.count + 1
    best = _top(found.scored.scores, max(depth, DIVERSITY_POOL))
    if query.diversity <= 0.0:
        return Slate(best[:depth], np.zeros(min(depth, len(best)), np.float32))
    head, rest = best[:DIVERSITY_POOL], best[DIVERSITY_POOL:]
    vectors = _text_of(found, head)
    slate = diversify(found.scored.scores[head], vectors, query.diversity, depth)
    order = np.concatenate([head[slate.order], rest])[:depth]
    adjustments = np.append(slate.adjustments, np.zeros(len(rest), np.float32))[:depth]
    return Slate(order, adjustments)


def explained_items(
    bundle: Bundle, found: Found, query: ListQuery, slate: Slate
) -> tuple[Item, ...]:
    """The items of the query's page."""
    end = query.offset + query.count
    page = slate.order[query.offset : end]
    scores = found.scored.scores[page]
    probabilities = bundle.calibration.probability(scores)
    items = []
    for place, at in enumerate(page.tolist()):
        pair = found.pair(at)
        row = int(found.rows[at])
        items.append(
            Item(
                id=found.table.identifier(row),
                row=row,
                score=float(scores[place]),
                claim_probability=None if probabilities is None else float(probabilities[place]),
                reasons=reasons_of(pair, bundle.space, found.same),
                distance_km=distance_km(pair),
                diversity_adjustment=float(slate.adjustments[query.offset + place]),
                terms=terms_of(pair) if query.with_terms else (),
            )
        )
    return tuple(items)


def _top(scores: F32, count: int) -> I64:
    """Positions of the `count` highest scores, best first; equal scores keep their order."""
    if count < len(scores):
        part = np.argpartition(-scores, count)[:count]
        part.sort()
    else:
        part = np.arange(len(scores))
    return part[np.argsort(-scores[part], kind="stable")]


def _text_of(found: Found, positions: I64) -> F32:
    places = [found.table.locate(int(row)) for row in found.rows[positions]]
    if not places:
        return np.empty((0, 0), np.float32)
    return np.stack([columns.text[local] for columns, local in places])

"""The last stages of a list: its order with diversity, and the items of one page with reasons."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from recsvc.matching.diversify import Slate, diversify
from recsvc.matching.explain import in_words, terms_of
from recsvc.matching.lead_filter import Filtered
from recsvc.matching.masks import Masked
from recsvc.matching.member_filter import MembersFiltered
from recsvc.matching.queries import Item, ListQuery, ServingMode, Term
from recsvc.matching.reason_texts import ReasonTexts
from recsvc.matching.score import Scored
from recsvc.matching.told import Told
from recsvc.model.arrays import F32, I64, LeadColumns, MemberColumns
from recsvc.model.segments import Table

DIVERSITY_POOL = 96
"""Diversity reorders so many of the best, whatever the page: the pages of a list fit together."""

_FEW = 256


@dataclass(frozen=True)
class Found:
    """What retrieval and ranking found: candidate rows of `table` and how each scored.

    `tell(positions)` gives the reasons of the candidates at positions (int64[k]), `place_kinds(at)`
    the kinds of the places of the member of the pair at a position.
    """

    rows: I64
    scored: Scored
    table: Table[LeadColumns] | Table[MemberColumns]
    masked: Masked | Filtered | MembersFiltered
    mode: ServingMode
    unknown: int
    tell: Callable[[I64], Iterator[tuple[I64, Told]]]
    place_kinds: Callable[[int], Sequence[str]]


def pool_size(query: ListQuery) -> int:
    """How many of the best retrieval has to bring for a query."""
    depth = query.offset + query.count + 1
    return max(depth, DIVERSITY_POOL) if query.diversity > 0 else depth


def order_items(found: Found, query: ListQuery) -> Slate:
    """Positions into the candidates, best first, one more than the query's depth if there is."""
    depth = query.offset + query.count + 1
    if query.diversity <= 0.0:
        best = top(found.scored.scores, depth)
        return Slate(best, np.zeros(len(best), np.float32))
    best = top(found.scored.scores, max(depth, DIVERSITY_POOL))
    head, rest = best[:DIVERSITY_POOL], best[DIVERSITY_POOL:]
    vectors = _text_of(found, head)
    slate = diversify(found.scored.scores[head], vectors, query.diversity, depth)
    order = np.concatenate([head[slate.order], rest])[:depth]
    adjustments = np.append(slate.adjustments, np.zeros(len(rest), np.float32))[:depth]
    return Slate(order, adjustments)


def explained_items(
    texts: ReasonTexts, found: Found, query: ListQuery, slate: Slate
) -> tuple[Item, ...]:
    """The items of the query's page."""
    part = slice(query.offset, query.offset + query.count)
    page = slate.order[part]
    positions, rows = page.tolist(), found.rows[page].tolist()
    taken, identifier = slate.adjustments[part].tolist(), found.table.identifier
    items: dict[int, Item] = {}
    for places, told in found.tell(page):
        spots, numbers = places.tolist(), told.numbers.tolist()
        at = positions if len(spots) == len(positions) else [positions[spot] for spot in spots]
        reasons = in_words(*told[:3], texts, at, found.place_kinds)
        for spot, (score, likely, km), said in zip(spots, numbers, reasons, strict=True):
            row = rows[spot]
            items[spot] = Item(
                identifier(row),
                row,
                score,
                None if likely != likely else likely,
                said,
                None if km != km else km,
                taken[spot],
                _terms(found, positions[spot]) if query.with_terms else (),
            )
    return tuple(items[spot] for spot in range(len(rows)))


def _terms(found: Found, at: int) -> tuple[Term, ...]:
    return terms_of(found.scored.features[at], found.scored.terms[at])


def top(scores: F32, count: int) -> I64:
    """Positions of the `count` highest scores, best first; equal scores keep their order."""
    if len(scores) <= _FEW:  # to sort them all is faster than to part them
        return (-scores).argsort(kind="stable")[:count]
    part = (
        np.argpartition(-scores, count)[:count] if count < len(scores) else np.arange(len(scores))
    )
    part.sort()
    return part[(-scores[part]).argsort(kind="stable")]


def _text_of(found: Found, positions: I64) -> F32:
    places = [found.table.locate(int(row)) for row in found.rows[positions]]
    if not places:
        return np.empty((0, 0), np.float32)
    return np.stack([columns.text[local] for columns, local in places])

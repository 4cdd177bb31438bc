"""The last stages of a list: its order with diversity, and the items of one page with reasons."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import overload

import numpy as np
from msgspec import Struct

from recsvc.matching.diversify import diversify
from recsvc.matching.explain import in_words, terms_of
from recsvc.matching.lead_filter import Filtered
from recsvc.matching.masks import Masked
from recsvc.matching.member_filter import MembersFiltered
from recsvc.matching.queries import Item, ListQuery, ServingMode, Term
from recsvc.matching.reason_record import TAKEN, Told
from recsvc.matching.reason_texts import ReasonTexts
from recsvc.matching.score import Scored
from recsvc.model.arrays import F32, I64, U8, LeadColumns, MemberColumns
from recsvc.model.segments import Table

DIVERSITY_POOL = 96
"""Diversity reorders so many of the best, whatever the page: the pages of a list fit together."""

_FEW = 256


class Found(Struct, frozen=True):
    """What retrieval and ranking found: candidate rows of `table` and how each scored.

    `tell(positions)` gives the reasons of the candidates at positions (int64[k]).
    """

    rows: I64
    scored: Scored
    table: Table[LeadColumns] | Table[MemberColumns]
    masked: Masked | Filtered | MembersFiltered
    mode: ServingMode
    unknown: int
    tell: Callable[[I64], Told]


def pool_size(query: ListQuery) -> int:
    """How many of the best retrieval has to bring for a query."""
    depth = query.offset + query.count + 1
    return max(depth, DIVERSITY_POOL) if query.diversity > 0 else depth


def order_items(found: Found, query: ListQuery) -> tuple[I64, F32 | None]:
    """Positions into the candidates, best first, one more than the query's depth if there is, and
    what diversity took off the score of each (None: nothing).
    """
    depth = query.offset + query.count + 1
    if query.diversity <= 0.0:
        return top(found.scored.scores, depth), None
    best = top(found.scored.scores, max(depth, DIVERSITY_POOL))
    head, rest = best[:DIVERSITY_POOL], best[DIVERSITY_POOL:]
    vectors = _text_of(found, head)
    slate = diversify(found.scored.scores[head], vectors, query.diversity, depth)
    order = np.concatenate([head[slate.order], rest])[:depth]
    return order, np.append(slate.adjustments, np.zeros(len(rest), np.float32))[:depth]


class Page(Sequence[Item]):
    """The items of one page, as columns: a caller who writes them down needs no objects.

    Whoever looks at one gets an `Item`; all are made then.
    """

    __slots__ = ("_found", "_items", "_order", "_rows", "_with_terms", "texts", "told")

    def __init__(
        self,
        texts: ReasonTexts,
        found: Found,
        order: I64,
        taken: F32 | None,
        *,
        with_terms: bool,
    ) -> None:
        """`order` are the page's positions among the candidates (int64[n]); `taken` what diversity
        took off their scores (float32[n]).
        """
        self._found = found
        self._rows = found.rows[order]
        self._order = order
        self._with_terms = with_terms
        self._items: tuple[Item, ...] | None = None
        self.texts = texts
        self.told = found.tell(order)
        if taken is not None:
            self.told.record[:, TAKEN] = taken

    def packed_ids(self) -> tuple[U8, I64, I64]:
        """The items' ids; see `Table.packed_ids`."""
        return self._found.table.packed_ids(self._rows)

    def __len__(self) -> int:
        return len(self._order)

    @overload
    def __getitem__(self, at: int) -> Item: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Item, ...]: ...
    def __getitem__(self, at: int | slice) -> Item | tuple[Item, ...]:
        if self._items is None:
            self._items = tuple(self._made())
        return self._items[at]

    def __iter__(self) -> Iterator[Item]:
        return iter(self[:])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Page) and self[:] == other[:]

    __hash__ = None  # type: ignore[assignment]  # equal pages may differ in what they refer to

    def _made(self) -> Iterator[Item]:
        order, told = self._order.tolist(), self.told
        rows = self._rows.tolist()
        ids, reasons = self._found.table.identifiers_of(rows), in_words(told, self.texts)
        for i, (score, likely, km, taken) in enumerate(told.numbers.tolist()):
            yield Item(
                ids[i],
                rows[i],
                score,
                None if likely != likely else likely,
                next(reasons),
                None if km != km else km,
                taken,
                self._terms(order[i]) if self._with_terms else (),
            )

    def _terms(self, at: int) -> tuple[Term, ...]:
        scored = self._found.scored
        return terms_of(scored.features[at], scored.terms[at])


def explained_page(
    texts: ReasonTexts, found: Found, query: ListQuery, order: I64, taken: F32 | None
) -> Page:
    """The query's page of what `order_items` found."""
    part = slice(query.offset, query.offset + query.count)
    off = taken if taken is None else taken[part]
    return Page(texts, found, order[part], off, with_terms=query.with_terms)


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

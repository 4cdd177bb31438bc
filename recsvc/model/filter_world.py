"""What the filter of a member's list reads, as compiled records."""

from __future__ import annotations

from numba import njit

from recsvc.model.arrays import I32, I64, U8
from recsvc.model.compiled_record import Record, RecordType, define

NOT_OPEN = -2
"""In place of a lead's organization: one number says whether it is open, and to whom."""


class _FilterWorldType(RecordType):
    """Its type."""


class FilterWorld(Record):
    """The base leads and the log of a bundle; only compiled code looks inside."""

    authors: I64  # [n] keys of the authors, ascending
    by_author: I32  # [n] rows in their order
    seen_start: I64  # [members + 1] into the two arrays below
    seen_lead: I32  # [s] base rows that an event of the log forbids
    seen_verdict: U8  # [s]
    mark: I32  # [n]


class _OpenRecordType(RecordType):
    """Its type."""


class OpenRecord(Record):
    """Which base leads are open: the arrays of a `LeadsAt`."""

    open_in: I32  # [n] by row: its organization (-1 none), or NOT_OPEN
    open_count: I64  # [organizations + 1]


define(FilterWorld, _FilterWorldType)
define(OpenRecord, _OpenRecordType)


@njit(cache=True)
def make_open_record(open_in: I32, open_count: I64) -> OpenRecord:
    """The arrays stay where they are."""
    return OpenRecord(open_in, open_count)  # type: ignore[no-untyped-call]


@njit(cache=True)
def make_filter_world(
    authors: I64,
    by_author: I32,
    seen_start: I64,
    seen_lead: I32,
    seen_verdict: U8,
    mark: I32,
) -> FilterWorld:
    """The arrays stay where they are."""
    return FilterWorld(authors, by_author, seen_start, seen_lead, seen_verdict, mark)  # type: ignore[no-untyped-call]

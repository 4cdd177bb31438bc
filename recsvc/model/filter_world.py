"""What the filter of a member's list reads, as compiled records: see `recsvc.model.scan_world`."""

from __future__ import annotations

from typing import Any

from numba import njit, types
from numba.experimental import structref

from recsvc.model.arrays import I32, I64, U8


@structref.register
class _FilterWorldType(types.StructRef):
    def preprocess_fields(self, fields: Any) -> Any:
        return tuple((name, types.unliteral(kind)) for name, kind in fields)  # type: ignore[no-untyped-call]


class FilterWorld(structref.StructRefProxy):
    """The base leads and the log of a bundle; only compiled code looks inside."""

    slot: I32  # [n] of each base lead
    organization: I32  # [n]
    authors: I64  # [n] keys of the authors, ascending
    by_author: I32  # [n] rows in their order
    history_start: I64  # [members + 1] into the two arrays below
    history_lead: I32  # [e]
    history_kind: U8  # [e]
    verdict_of_kind: U8  # [256]
    mark: I32  # [n]


@structref.register
class _OpenRecordType(types.StructRef):
    def preprocess_fields(self, fields: Any) -> Any:
        return tuple((name, types.unliteral(kind)) for name, kind in fields)  # type: ignore[no-untyped-call]


class OpenRecord(structref.StructRefProxy):
    """Which base leads are open: the arrays of a `LeadsAt`."""

    verdict: U8  # [n] by slot
    open_count: I64  # [organizations + 1]
    removed: I64  # [verdicts]


structref.define_boxing(_FilterWorldType, FilterWorld)  # type: ignore[no-untyped-call]
structref.define_constructor(  # type: ignore[no-untyped-call]
    FilterWorld, _FilterWorldType, list(FilterWorld.__annotations__)
)
structref.define_boxing(_OpenRecordType, OpenRecord)  # type: ignore[no-untyped-call]
structref.define_constructor(  # type: ignore[no-untyped-call]
    OpenRecord, _OpenRecordType, list(OpenRecord.__annotations__)
)


@njit(cache=True)
def make_open_record(verdict: U8, open_count: I64, removed: I64) -> OpenRecord:
    """The arrays stay where they are."""
    return OpenRecord(verdict, open_count, removed)  # type: ignore[no-untyped-call]


@njit(cache=True)
def make_filter_world(
    slot: I32,
    organization: I32,
    authors: I64,
    by_author: I32,
    history_start: I64,
    history_lead: I32,
    history_kind: U8,
    verdict_of_kind: U8,
    mark: I32,
) -> FilterWorld:
    """The arrays stay where they are."""
    return FilterWorld(  # type: ignore[no-untyped-call]
        slot,
        organization,
        authors,
        by_author,
        history_start,
        history_lead,
        history_kind,
        verdict_of_kind,
        mark,
    )

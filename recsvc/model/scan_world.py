"""What scans read whoever asks, as one compiled record.

A compiled function takes 0.2 µs to unpack each array it is given, and a scan reads eighty: a record
is unpacked once, when it is made, and costs 1 µs a call.
"""

from __future__ import annotations

from typing import Any

from numba import njit, types
from numba.experimental import structref

from features.regions import Middles
from recsvc.model.additive import AdditiveModel
from recsvc.model.arrays import I32, LeadColumns, MemberColumns
from recsvc.model.blocks import LeadBlocks
from recsvc.model.scan_rows import RowViews, ScanRows
from recsvc.model.scan_tables import ScanTables
from recsvc.model.terms import TermContext


@structref.register
class _WorldType(types.StructRef):
    def preprocess_fields(self, fields: Any) -> Any:
        return tuple((name, types.unliteral(kind)) for name, kind in fields)  # type: ignore[no-untyped-call]


class World(structref.StructRefProxy):
    """The base leads and the columns of some members; only compiled code looks inside."""

    model: AdditiveModel
    context: TermContext
    tables: ScanTables
    members: MemberColumns
    leads: LeadColumns
    blocks: LeadBlocks
    rows: ScanRows
    views: RowViews
    middles: Middles
    mark: I32


# Numba has no types of its own.
structref.define_boxing(_WorldType, World)  # type: ignore[no-untyped-call]
structref.define_constructor(World, _WorldType, list(World.__annotations__))  # type: ignore[no-untyped-call]


@njit(cache=True)
def make_world(
    model: AdditiveModel,
    context: TermContext,
    tables: ScanTables,
    members: MemberColumns,
    leads: LeadColumns,
    blocks: LeadBlocks,
    rows: ScanRows,
    views: RowViews,
    middles: Middles,
    mark: I32,
) -> World:
    """The arrays stay where they are: a change in place is seen, another array is not."""
    return World(model, context, tables, members, leads, blocks, rows, views, middles, mark)  # type: ignore[no-untyped-call]

"""What scans read whoever asks, as one compiled record."""

from __future__ import annotations

from numba import njit

from features.regions import Middles
from recsvc.model.additive import AdditiveModel
from recsvc.model.arrays import I32, LeadColumns, MemberColumns
from recsvc.model.blocks import LeadBlocks
from recsvc.model.compiled_record import Record, RecordType, define
from recsvc.model.scan_rows import RowViews, ScanRows
from recsvc.model.scan_tables import ScanTables
from recsvc.model.terms import TermContext


class _WorldType(RecordType):
    """Its type."""


class World(Record):
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


define(World, _WorldType)


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

"""What the scan over members reads whatever the lead, as one compiled record."""

from __future__ import annotations

from numba import njit

from recsvc.model.additive import AdditiveModel
from recsvc.model.compiled_record import Record, RecordType, define
from recsvc.model.member_lists import MemberLists
from recsvc.model.member_runs import MemberRuns
from recsvc.model.member_tables import MemberTables


class _MemberWorldType(RecordType):
    """Its type."""


class MemberWorld(Record):
    """The base members; only compiled code looks inside."""

    model: AdditiveModel
    tables: MemberTables
    runs: MemberRuns
    embeddings: MemberLists
    texts: MemberLists


define(MemberWorld, _MemberWorldType)


@njit(cache=True)
def make_member_world(
    model: AdditiveModel,
    tables: MemberTables,
    runs: MemberRuns,
    embeddings: MemberLists,
    texts: MemberLists,
) -> MemberWorld:
    """The arrays stay where they are: a change in place is seen, another array is not."""
    return MemberWorld(model, tables, runs, embeddings, texts)  # type: ignore[no-untyped-call]

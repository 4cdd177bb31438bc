"""What the scan over members reads whatever the lead, as one compiled record: see `scan_world`."""

from __future__ import annotations

from typing import Any

from numba import njit, types
from numba.experimental import structref

from recsvc.model.additive import AdditiveModel
from recsvc.model.member_lists import MemberLists
from recsvc.model.member_runs import MemberRuns
from recsvc.model.member_tables import MemberTables


@structref.register
class _MemberWorldType(types.StructRef):
    def preprocess_fields(self, fields: Any) -> Any:
        return tuple((name, types.unliteral(kind)) for name, kind in fields)  # type: ignore[no-untyped-call]


class MemberWorld(structref.StructRefProxy):
    """The base members; only compiled code looks inside."""

    model: AdditiveModel
    tables: MemberTables
    runs: MemberRuns
    embeddings: MemberLists
    texts: MemberLists


# Numba has no types of its own.
structref.define_boxing(_MemberWorldType, MemberWorld)  # type: ignore[no-untyped-call]
structref.define_constructor(MemberWorld, _MemberWorldType, list(MemberWorld.__annotations__))  # type: ignore[no-untyped-call]


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

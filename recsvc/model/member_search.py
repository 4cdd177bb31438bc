"""What a search over the base members reads: tables of the bundle, and what has changed since."""

from __future__ import annotations

from recsvc.model.arrays import MemberColumns
from recsvc.model.bundle import Bundle
from recsvc.model.lead_rows import Marks
from recsvc.model.member_lists import MemberLists, lists_by_embedding, lists_by_text
from recsvc.model.member_runs import MemberRuns, build_member_runs
from recsvc.model.member_tables import member_tables
from recsvc.model.member_world import make_member_world
from recsvc.model.open_members import OpenMembers
from recsvc.model.scan_tables import ScanTables
from recsvc.model.segments import Table


class MemberSearch:
    """Runs, lists and tables over the base members. Owned by the snapshot's thread."""

    def __init__(
        self,
        members: Table[MemberColumns],
        bundle: Bundle,
        tables: ScanTables,
        runs: MemberRuns,
        embeddings: MemberLists,
        texts: MemberLists,
    ) -> None:
        self.runs = runs
        own = member_tables(bundle.ranker, tables)
        self.world = make_member_world(bundle.ranker, own, runs, embeddings, texts)
        self.open = OpenMembers(members, runs.member_worth, bundle.ranker, bundle.context)
        self.marks = Marks(members.base_count)


def runs_of(bundle: Bundle) -> MemberRuns:
    """The runs of a bundle's members, as it was written or worked out now."""
    topic_count = len(bundle.space.topics.names)
    return bundle.tables.get(
        "member_runs",
        MemberRuns,
        lambda: build_member_runs(bundle.members, bundle.ranker, bundle.context, topic_count),
    )


def embeddings_of(bundle: Bundle, seed: int) -> MemberLists:
    """The lists of a bundle's members by embedding."""
    return bundle.tables.get(
        "member_embeddings",
        MemberLists,
        lambda: lists_by_embedding(bundle.members, bundle.fold_in.default, bundle.leads, seed),
    )


def texts_of(bundle: Bundle, tables: ScanTables, seed: int) -> MemberLists:
    """The lists of a bundle's members by text."""
    return bundle.tables.get(
        "member_texts",
        MemberLists,
        lambda: lists_by_text(bundle.members, tables, bundle.leads, seed),
    )

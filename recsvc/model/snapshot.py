"""What a worker serves for one tenant: a bundle, and what changed since it was trained.

A Snapshot is owned by one thread (the worker's event loop): `recsvc.matching.updates` changes it
between requests, never during one, so a request sees one state from start to end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from features.entities import Event, Lead
from recsvc.model.arrays import (
    F32,
    I8,
    LeadColumns,
    MemberColumns,
    empty_leads,
    empty_members,
)
from recsvc.model.blocks import LeadBlocks, build_lead_blocks
from recsvc.model.bundle import Bundle
from recsvc.model.filter_world import FilterWorld, make_filter_world
from recsvc.model.history import History
from recsvc.model.index import LISTS_SEED
from recsvc.model.lead_readings import KeptReadings, LeadReading, read_leads
from recsvc.model.lead_rows import LeadRows, Marks
from recsvc.model.lists import build_lists
from recsvc.model.member_lists import MemberLists
from recsvc.model.member_runs import MemberRuns
from recsvc.model.member_search import MemberSearch, embeddings_of, runs_of, texts_of
from recsvc.model.open_leads import OpenLeads
from recsvc.model.organizations import OrganizationTree
from recsvc.model.pair_facts import Facts, lead_facts, member_facts
from recsvc.model.pair_world import PairWorlds
from recsvc.model.place_kinds import PlaceKinds, place_kinds_of
from recsvc.model.recusals import Recusals
from recsvc.model.scan_rows import ScanRows, build_scan_rows, row_views
from recsvc.model.scan_tables import ScanTables, scan_tables
from recsvc.model.scan_world import World, make_world
from recsvc.model.segments import Table
from recsvc.model.short_lists import ListedReach, OpenedMembers, ShortLists
from recsvc.store.codec import RecordKind
from recsvc.store.revision import Revision

WRITTEN = (
    "blocks",
    "scan_rows",
    "member_runs",
    "member_embeddings",
    "member_texts",
    "member_facts",
    "lead_facts",
    "place_kinds",
)
"""Properties of a snapshot whose tables are written with a bundle."""

_BLOCK_ROWS = 16
_MANY_LEADS = 300_000
"""From so many on blocks are larger: a request looks at all blocks it may see."""


class Snapshot:
    """One tenant's live state. Row numbers are global (see `recsvc.model.segments`).

    What scans read lies over the base segments and is made once; rows of the tails are looked at
    beside it, one by one.
    """

    def __init__(self, bundle: Bundle) -> None:
        widths = bundle.widths
        self.bundle = bundle
        self.members: Table[MemberColumns] = Table(
            bundle.members,
            bundle.member_ids,
            bundle.member_records.__getitem__,
            lambda count: empty_members(count, widths),
        )
        self.leads: Table[LeadColumns] = Table(
            bundle.leads,
            bundle.lead_ids,
            bundle.lead_records.__getitem__,
            lambda count: empty_leads(count, widths),
        )
        self.organizations = OrganizationTree(bundle.organizations, bundle.organization_ids)
        self.recusals = Recusals(self.organizations)
        for conflict in bundle.conflicts:
            self.recusals.put(conflict)
        self.history = History(bundle.history)
        self.holders: dict[str, int] = {}  # lead id -> how many hold it, by claims, not by events
        self.waiting: dict[tuple[RecordKind, str], list[Event]] = defaultdict(list)
        self.readings = KeptReadings()
        self._trained_leads = bundle.leads.events > 0
        self.revision = Revision.parse(bundle.manifest.revision)
        self.candidate_keys: dict[tuple[str, ...], frozenset[int]] = {}  # of sets asked about
        self.kept_new: dict[str, tuple[tuple[int, int], tuple[F32, F32]]] = {}
        self.later_place_kinds: dict[bytes, I8] = {}  # by the record of a member in the tail
        self._worlds: list[tuple[MemberColumns, World]] = []

    @cached_property
    def blocks(self) -> LeadBlocks:
        """The base leads by organization, county and topic."""
        count = len(self.leads.base.alive)
        rows = _BLOCK_ROWS if count < _MANY_LEADS else 4 * _BLOCK_ROWS
        topic_count = len(self.bundle.space.topics.names)
        return self.bundle.tables.get(
            "blocks", LeadBlocks, lambda: build_lead_blocks(self.leads.base, topic_count, rows)
        )

    @cached_property
    def scan_rows(self) -> ScanRows:
        """The base leads as scans read them."""
        return self.bundle.tables.get("scan_rows", ScanRows, self._build_scan_rows)

    def _build_scan_rows(self) -> ScanRows:
        leads = self.leads.base
        lists = build_lists(leads.vector, leads.organization, LISTS_SEED)
        return build_scan_rows(leads, self.blocks, lists)

    def scan_world(self, members: MemberColumns) -> World:
        """What a scan for members of one segment reads."""
        for columns, world in self._worlds:
            if columns is members:
                return world
        world = make_world(
            self.bundle.ranker,
            self.bundle.context,
            self.scan_tables,
            members,
            self.leads.base,
            self.blocks,
            self.scan_rows,
            row_views(self.scan_rows),
            self.bundle.space.regions.middles,
            self.marks.mark,
        )
        # The base's stays, the tail's goes when the tail has grown.
        self._worlds = [*self._worlds[:1], (members, world)]
        return world

    @cached_property
    def member_runs(self) -> MemberRuns:
        """The base members by cell and topic."""
        return runs_of(self.bundle)

    @cached_property
    def member_embeddings(self) -> MemberLists:
        """The base members by the direction of their embedding."""
        return embeddings_of(self.bundle, LISTS_SEED)

    @cached_property
    def member_texts(self) -> MemberLists:
        """The base members by what their texts say."""
        return texts_of(self.bundle, self.scan_tables, LISTS_SEED)

    @cached_property
    def member_search(self) -> MemberSearch:
        """What a search over the base members reads."""
        return MemberSearch(
            self.members,
            self.bundle,
            self.scan_tables,
            self.member_runs,
            self.member_embeddings,
            self.member_texts,
        )

    @cached_property
    def member_facts(self) -> Facts:
        """The base members as ranking reads them."""
        members = self.members.base
        return self.bundle.tables.get("member_facts", Facts, lambda: member_facts(members))

    @cached_property
    def lead_facts(self) -> Facts:
        """The base leads as ranking reads them."""
        return self.bundle.tables.get("lead_facts", Facts, lambda: lead_facts(self.leads.base))

    @cached_property
    def place_kinds(self) -> PlaceKinds:
        """What the places of the base members are."""
        return place_kinds_of(self.bundle)

    @cached_property
    def pair_worlds(self) -> PairWorlds:
        """What ranking reads."""
        members, leads = self.members.base, self.leads.base
        return PairWorlds(self.bundle, members, self.member_facts, leads, self.lead_facts)

    @cached_property
    def open_leads(self) -> OpenLeads:
        """Which base leads are open, and their terms."""
        lists = self.short_lists
        then = None if lists is None else lists.open_then
        return OpenLeads(self.leads, self.blocks, self.bundle.ranker, self.bundle.context, then)

    @cached_property
    def short_lists(self) -> ShortLists | None:
        """What was found for each base member when the bundle was published, None without."""
        return self.bundle.tables.find("short_lists", ShortLists)

    @cached_property
    def listed_reach(self) -> ListedReach:
        """Whose members may see what they could when the short lists were made."""
        lists = self.short_lists
        return ListedReach(self.organizations, None if lists is None else lists.reach)

    @cached_property
    def lead_lists(self) -> ShortLists | None:
        """The members that were found for each open base lead, None without."""
        return self.bundle.tables.find("lead_lists", ShortLists)

    @cached_property
    def lead_reach(self) -> ListedReach:
        """Whether everybody may see what they could when these were made."""
        lists = self.lead_lists
        return ListedReach(self.organizations, None if lists is None else lists.reach)

    @cached_property
    def opened_members(self) -> OpenedMembers:
        """Who could be offered nothing when these were made."""
        lists, state = self.lead_lists, self.member_search.open
        return OpenedMembers(
            state, np.ones_like(state.verdict) if lists is None else lists.open_then
        )

    @cached_property
    def filter_world(self) -> FilterWorld:
        """What the filter of a member's list reads."""
        rows, seen = self.lead_rows, self.history.base.forbidding()
        return make_filter_world(rows.authors, rows.by_authors, *seen, self.marks.mark)

    @cached_property
    def scan_tables(self) -> ScanTables:
        """What the ranker says of places and words, for scans."""
        return scan_tables(self.bundle.ranker)

    @cached_property
    def lead_rows(self) -> LeadRows:
        """The base leads by author and key."""
        return LeadRows(self.leads.base)

    @cached_property
    def marks(self) -> Marks:
        """What a request takes out of the base leads."""
        return Marks(self.leads.base_count)

    @property
    def model_id(self) -> str:
        """The model version that replies name."""
        return self.bundle.manifest.model_id

    @property
    def delta_count(self) -> int:
        """Rows that live in the tails."""
        return self.members.tail_count + self.leads.tail_count

    def is_trained(self, lead_id: str) -> bool:
        """Whether training learned the lead's vector from events, not from its content."""
        row = self.bundle.lead_ids.get(lead_id)
        return row >= 0 and bool(self._trained_leads[row])

    def read_leads(self, leads: Sequence[Lead]) -> LeadReading:
        """Features and embeddings of leads nobody has touched; from any thread."""
        return read_leads(self.bundle, leads)


def with_tables(bundle: Bundle) -> Bundle:
    """The same bundle with all tables that its snapshots would work out, to be written."""
    made = replace(bundle)
    made.tables.remember()
    snapshot = Snapshot(made)
    for table in WRITTEN:
        getattr(snapshot, table)
    return made

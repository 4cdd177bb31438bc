"""What a worker serves for one tenant: a bundle, and what changed since it was trained.

A Snapshot is owned by one thread (the worker's event loop): `recsvc.updates` changes it between
requests, never during one, so a request sees one state from start to end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from features.entities import Conflict, Event, Lead
from features.vocabulary import Vocabulary
from recsvc.arrays import (
    F32,
    I64,
    LeadColumns,
    MemberColumns,
    empty_leads,
    empty_members,
    stable_key,
)
from recsvc.assemble import fill_leads
from recsvc.bundle import Bundle
from recsvc.codec import RecordKind, entity_id
from recsvc.filters import Recusal
from recsvc.history import History
from recsvc.index import IndexConfig, VectorIndex
from recsvc.organizations import OrganizationTree
from recsvc.revision import Revision
from recsvc.segments import Table

_NO_RECUSAL = Recusal()


@dataclass
class Recusals:
    """Conflicts (回避) by member, as the masks read them."""

    organizations: OrganizationTree
    by_member: dict[str, dict[str, Conflict]] = field(default_factory=lambda: defaultdict(dict))
    _masks: dict[str, Recusal] = field(default_factory=dict)

    def put(self, conflict: Conflict) -> None:
        """Adds a conflict, or replaces it."""
        self.by_member[conflict.member_id][entity_id(conflict)] = conflict
        self._masks.pop(conflict.member_id, None)

    def delete(self, conflict_id: str) -> None:
        """Forgets a conflict by its record id."""
        member_id = conflict_id.rpartition("~")[0]
        if self.by_member.get(member_id, {}).pop(conflict_id, None) is not None:
            self._masks.pop(member_id, None)

    def mask(self, member_id: str) -> Recusal:
        """What this member must not be offered."""
        if member_id not in self.by_member:
            return _NO_RECUSAL
        if member_id not in self._masks:
            conflicts = list(self.by_member[member_id].values())
            self._masks[member_id] = Recusal(
                _sorted(stable_key(c.lead_id) for c in conflicts if c.lead_id),
                _sorted(stable_key(c.author_id) for c in conflicts if c.author_id),
                _sorted(
                    self.organizations.row(c.organization_id)
                    for c in conflicts
                    if c.organization_id
                ),
            )
        return self._masks[member_id]


def _sorted(values: Iterable[int]) -> I64:
    return np.array(sorted(values), np.int64)


class Snapshot:
    """One tenant's live state. Row numbers are global (see `recsvc.segments`).

    The search indexes lie over the base segments, each vector being embedding and text side by
    side: a query weighs the two parts, so one index serves interest and expertise.
    """

    def __init__(self, bundle: Bundle, index: IndexConfig | None = None) -> None:
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
        self.waiting: dict[tuple[RecordKind, str], list[Event]] = defaultdict(list)
        self._trained_leads = bundle.leads.events > 0
        self.revision = Revision.parse(bundle.manifest.revision)
        config = index or IndexConfig()
        self.lead_index = VectorIndex(lead_search_vectors(bundle.leads), config)
        self.member_index = VectorIndex(member_search_vectors(bundle.members), config)

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

    def lead_vectors(self, leads: Sequence[Lead]) -> F32:
        """Embeddings (float32[n, d]) of leads nobody has touched, from their content."""
        width = self.bundle.widths.vector
        if self.bundle.content_map is None or not leads:
            return np.zeros((len(leads), width), np.float32)
        return self.bundle.content_map.vectors(self.bundle.space.content(leads))

    def draft_table(self, lead: Lead) -> Table[LeadColumns]:
        """A lead that is not stored, as a table of one row.

        An organization that nobody has named before counts as none: reading must not make one.
        """
        widths = self.bundle.widths
        if self.organizations.find(lead.organization_id) < 0:
            lead = replace(lead, organization_id="")
        columns = empty_leads(1, widths)
        features = self.bundle.space.leads([lead])
        fill_leads(columns, np.zeros(1, np.int32), [lead], features, self.organizations)
        columns.vector[:] = self.lead_vectors([lead])
        return Table(
            columns, Vocabulary(["draft"]), lambda _: b"", lambda n: empty_leads(n, widths)
        )


def lead_search_vectors(columns: LeadColumns) -> F32:
    """What the lead index holds (float32[n, d + dt]): embedding and text."""
    return np.hstack([columns.vector, columns.text])


def member_search_vectors(columns: MemberColumns) -> F32:
    """What the member index holds (float32[n, d + 2 dt]): embedding, expertise, interest text."""
    return np.hstack([columns.vector, columns.text, columns.interest_text])

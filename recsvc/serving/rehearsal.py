"""Everything once before the first call: whoever came first would wait for its compilation.

Kernels are compiled by the types of what they are given, and read from a cache where a process
before did it (numba's, beside the files): on a new machine the first member that was imported took
14 s. Questions are put to the snapshot that will serve; what changes one, to another of the same
bundle, which is then forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from features.entities import Conflict, Event, EventKind, Lead, Member
from recsvc.convert.list_bytes import item_bytes
from recsvc.matching.listed_members import MemberConfig
from recsvc.matching.pipeline import Pipeline, PipelineConfig
from recsvc.matching.queries import ListQuery, Wanted
from recsvc.matching.updates import apply_batch
from recsvc.model.bundle import Bundle
from recsvc.model.segments import Table
from recsvc.model.short_lists import ShortLists
from recsvc.model.snapshot import Snapshot
from recsvc.store.codec import Entity, encode_entity, encode_event
from recsvc.store.revision import NOTHING, Position, Revision
from recsvc.store.types import Change, ChangeBatch, ChangeKind

_FILTERED = Wanted(topics=("-",), region_code="430104", max_distance_km=50.0)
_QUERIES = (
    ListQuery(count=2),
    ListQuery(count=2, diversity=0.5, with_terms=True),
    ListQuery(count=2, wanted=_FILTERED),
)
_LOOKED_AT = 1_000
_NEW = "-rehearsed"
"""The id of a member and a lead that no caller sees."""


def rehearse(snapshot: Snapshot) -> None:
    """Runs every stage once. Not while it serves."""
    member = _one_of(snapshot.members, snapshot.short_lists)
    lead = _one_of(snapshot.leads, snapshot.lead_lists)
    if member is None or lead is None:
        return
    _ask(snapshot, [member], [lead])
    forgotten = Snapshot(snapshot.bundle)
    forgotten.revision = NOTHING
    for change in _changes(snapshot.bundle, lead):
        # Not at once: a worker takes changes in as they come.
        apply_batch(forgotten, ChangeBatch((change,), Revision.of({0: change.position})))
    forgotten.members.touch(forgotten.members.row(member))
    _ask(forgotten, [member, _NEW], [lead, _NEW])


def _one_of(table: Table[Any], lists: ShortLists | None) -> str | None:
    """A living id; of the first, one with a short list if there is any."""
    first = None
    for identifier in islice(table.identifiers(), _LOOKED_AT):
        first, row = first or identifier, table.row(identifier)
        if lists is not None and row < len(lists.row) and lists.row[row, -1] >= 0:
            return identifier
    return first


def _ask(snapshot: Snapshot, members: list[str], leads: list[str]) -> None:
    pipeline = Pipeline(snapshot)
    for query in _QUERIES:
        for member in members:
            item_bytes(pipeline.recommend(member, query).items, "", 0)
        for lead in leads:
            item_bytes(pipeline.match(lead, query).items, "", 0)
    # The first lead may be closed, or few may see it; a draft by nobody is for everybody.
    scanning = PipelineConfig(members=MemberConfig(all_below=0))
    Pipeline(snapshot, scanning).match(Lead(""), ListQuery(count=2))
    pipeline.score_pairs([(member, lead) for member in members for lead in leads])
    for member in members:
        pipeline.explain(member, leads[-1])


def _changes(bundle: Bundle, lead: str) -> Iterator[Change]:
    """What a day brings, about rows that the bundle does not have: its own are shared."""
    when_us = bundle.manifest.interest.reference_time_us
    content: list[tuple[ChangeKind, str, Entity]] = [
        (ChangeKind.MEMBER, _NEW, Member(_NEW, expertise="道路", latitude=28.2, longitude=112.9)),
        (ChangeKind.LEAD, _NEW, Lead(_NEW, when_us, title="道路", latitude=28.2, longitude=112.9)),
        (ChangeKind.CONFLICT, _NEW, Conflict(_NEW, lead_id=lead)),
    ]
    changes = [(kind, name, encode_entity(entity).data) for kind, name, entity in content]
    for kind in (EventKind.PUSHED, EventKind.OPENED, EventKind.CLAIMED):
        event = Event(kind, when_us, _NEW, _NEW, event_id=f"{_NEW}{kind}")
        changes.append((ChangeKind.EVENT, event.event_id, encode_event(event)[0]))
    for number, (change, name, data) in enumerate(changes, 1):
        yield Change(change, name, data, 0, Position(1, number))

"""Every order in which the buckets of a stream may bring its changes leads to one state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from support.asking import ALL, NEW_LEAD
from support.changes import Step, batch_of, changes_of, stored, stored_tombstone
from support.describe import assert_same, describe
from support.steps import event_steps, record_steps
from support.worlds import (
    NOW_US,
    make_lead,
    tiny_bundle,
    tiny_dataset,
)

from features.entities import Event, EventKind, Lead, Member
from recsvc.matching.pipeline import Pipeline
from recsvc.matching.updates import apply_batch, load_records
from recsvc.model.snapshot import Snapshot
from recsvc.store.codec import RecordKind
from recsvc.store.revision import Position
from recsvc.store.types import Change, ChangeKind, StoredRecord


def test_a_batch_seen_twice_counts_once(snapshot: Snapshot) -> None:
    steps: list[Step] = [NEW_LEAD, Event(EventKind.PUSHED, NOW_US, "m1", "new"), Member("m99")]
    batch = batch_of(changes_of(steps))
    apply_batch(snapshot, batch)
    once = describe(snapshot)
    apply_batch(snapshot, batch)
    assert_same(snapshot, once, atol=0.0)
    assert snapshot.revision.covers(batch.revision)


def test_an_activation_is_not_for_the_snapshot(snapshot: Snapshot) -> None:
    change = Change(ChangeKind.ACTIVATION, "other", b"{}", 3, Position(7, 1))
    apply_batch(snapshot, batch_of([change]))
    assert snapshot.revision.position(3) == Position(7, 1)
    assert snapshot.delta_count == 0


def settled(step: Step) -> Step:
    """Leads keep their content: profiles take another text in with the member's next event."""
    if not isinstance(step, Lead):
        return step
    number = int(step.lead_id[1:])
    known = tiny_dataset().leads
    same = (
        known[number] if number < len(known) else make_lead(number, np.random.default_rng(number))
    )
    return replace(same, state=step.state, close_time_us=step.close_time_us)


steps_of_settled_leads = st.lists(
    st.one_of(record_steps.map(settled), event_steps), min_size=2, max_size=30
)


def interleaved(changes: Sequence[Change], rng: np.random.Generator) -> list[Change]:
    """Another order of the same stream: each bucket keeps its own."""
    queues: dict[int, list[Change]] = {}
    for change in changes:
        queues.setdefault(change.bucket, []).append(change)
    found = []
    while queues:
        bucket = int(rng.choice(sorted(queues)))
        found.append(queues[bucket].pop(0))
        if not queues[bucket]:
            del queues[bucket]
    return found


def in_batches(snapshot: Snapshot, changes: Sequence[Change], rng: np.random.Generator) -> None:
    begin = 0
    while begin < len(changes):
        end = begin + int(rng.integers(1, 8))
        apply_batch(snapshot, batch_of(changes[begin:end]))
        begin = end


@settings(max_examples=25)
@given(steps_of_settled_leads, st.integers(0, 2**32))
def test_every_order_that_the_buckets_allow_leads_to_one_state(
    steps: list[Step], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    changes = changes_of(steps)
    one_by_one, shuffled = Snapshot(tiny_bundle()), Snapshot(tiny_bundle())
    for change in changes:
        apply_batch(one_by_one, batch_of([change]))
    in_batches(shuffled, interleaved(changes, rng), rng)
    assert shuffled.revision == one_by_one.revision
    assert_same(shuffled, one_by_one)
    for member_id in list(one_by_one.members.identifiers())[:3]:
        ours = Pipeline(shuffled, clock=lambda: NOW_US).recommend(member_id, ALL)
        theirs = Pipeline(one_by_one, clock=lambda: NOW_US).recommend(member_id, ALL)
        assert {i.id for i in ours.items} == {i.id for i in theirs.items}


@settings(max_examples=15)
@given(steps_of_settled_leads)
def test_a_worker_that_scans_the_store_first_ends_where_the_others_are(steps: list[Step]) -> None:
    """What it loads is newer than what the stream then tells."""
    changes = changes_of(steps)
    steady, late = Snapshot(tiny_bundle()), Snapshot(tiny_bundle())
    apply_batch(steady, batch_of(changes))
    latest: dict[tuple[RecordKind, str], StoredRecord] = {}
    for step in steps:
        if isinstance(step, tuple):
            latest[step] = stored_tombstone(*step)
        elif not isinstance(step, Event):
            record = stored(step)
            latest[record.kind, record.id] = record
    for kind in RecordKind:
        load_records(late, kind, [r for r in latest.values() if r.kind is kind])
    apply_batch(late, batch_of(changes))
    assert_same(late, steady)

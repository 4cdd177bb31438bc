"""What events and edits do to counters and vectors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from support.asking import ALL, NEW_LEAD, NOBODY, base_lead, matched, offered
from support.changes import apply_steps, batch_of
from support.describe import assert_same, describe
from support.worlds import (
    NOW_US,
    tiny_dataset,
    tiny_state,
)

from features.entities import Event, EventKind, Lead, LeadState, Member
from recsvc.matching.pipeline import Pipeline
from recsvc.matching.profile import fold_profile
from recsvc.matching.queries import ServingMode
from recsvc.matching.updates import apply_batch
from recsvc.model.snapshot import Snapshot
from recsvc.store.codec import RecordKind, encode_entity
from recsvc.store.revision import Position
from recsvc.store.types import Change, ChangeKind


def counters(snapshot: Snapshot, lead_id: str) -> tuple[float, float, float]:
    leads, local = snapshot.leads.locate(snapshot.leads.row(lead_id))
    return (
        float(leads.exposures[local]),
        float(leads.claims[local]),
        float(leads.events[local]),
    )


def test_a_pair_counts_once_and_a_claim_only_if_it_was_exposed(snapshot: Snapshot) -> None:
    apply_steps(snapshot, NEW_LEAD)
    events = [
        (EventKind.PUSHED, "m1", (1, 0, 0)),
        (EventKind.SHOWN, "m1", (1, 0, 0)),
        (EventKind.CLAIMED, "m1", (1, 1, 1)),
        (EventKind.CLAIMED, "m1", (1, 1, 2)),
        (EventKind.CLAIMED, "m2", (1, 1, 3)),
        (EventKind.PUSHED, "m2", (2, 2, 3)),
        (EventKind.OPENED, "m3", (2, 2, 4)),
        (EventKind.DISMISSED, "m3", (2, 2, 4)),
        (EventKind.RATED, "m3", (2, 2, 5)),
    ]
    for at, (kind, member_id, expected) in enumerate(events):
        apply_steps(snapshot, Event(kind, NOW_US + at, member_id, "new"))
        assert counters(snapshot, "new") == expected


def test_an_event_waits_for_the_lead_it_is_about(snapshot: Snapshot, pipeline: Pipeline) -> None:
    """Its lead lives in another bucket of the stream, which may be behind."""
    apply_steps(
        snapshot,
        Event(EventKind.PUSHED, NOW_US, NOBODY, "new"),
        Event(EventKind.CLAIMED, NOW_US, NOBODY, "new"),
        Event(EventKind.OPENED, NOW_US, "late", "new"),
    )
    assert pipeline.recommend(NOBODY, ALL).mode is ServingMode.POPULARITY
    apply_steps(snapshot, NEW_LEAD)
    assert counters(snapshot, "new") == (1, 1, 1)
    apply_steps(snapshot, Member("late"))
    assert counters(snapshot, "new") == (1, 1, 2)
    assert NOBODY not in matched(pipeline, "new")
    assert pipeline.recommend(NOBODY, ALL).mode is ServingMode.PERSONALIZED
    assert snapshot.waiting == {}


def test_an_event_without_a_lead_changes_nothing(snapshot: Snapshot) -> None:
    before = describe(snapshot)
    apply_steps(snapshot, Event(EventKind.SEE_LESS, NOW_US, "m3", topic="交通"))
    assert_same(snapshot, before, atol=0.0)


def test_an_event_changes_what_a_member_is_interested_in(
    snapshot: Snapshot, pipeline: Pipeline
) -> None:
    apply_steps(snapshot, NEW_LEAD)
    apply_steps(snapshot, Event(EventKind.CLAIMED, NOW_US, NOBODY, "new"))
    members, local = snapshot.members.locate(snapshot.members.row(NOBODY))
    leads, lead_local = snapshot.leads.locate(snapshot.leads.row("new"))
    np.testing.assert_allclose(members.interest_text[local], leads.text[lead_local], atol=1e-6)
    assert not np.isnan(members.activity_latitude_rad[local, 0])


def test_only_a_changed_state_leaves_the_row_where_it_is(
    snapshot: Snapshot, pipeline: Pipeline
) -> None:
    closed = replace(base_lead(1), state=LeadState.CLOSED, close_time_us=NOW_US, support_count=9)
    apply_steps(snapshot, closed)
    assert snapshot.delta_count == 0
    assert snapshot.leads.record(1) == encode_entity(closed).data
    assert not matched(pipeline, "l1")
    apply_steps(snapshot, replace(base_lead(1), state=LeadState.OPEN, urgency=3))
    assert snapshot.delta_count == 1
    assert matched(pipeline, "l1")


def test_a_record_that_says_nothing_new_moves_nothing(snapshot: Snapshot) -> None:
    apply_steps(snapshot, *tiny_dataset().members, *tiny_dataset().leads)
    assert snapshot.delta_count == 0


def lead_change(lead: Lead, position: int, version: str) -> Change:
    data = encode_entity(lead).data
    vector = np.full(7, 0.25, np.float32)
    place = Position(position, 0)
    return Change(ChangeKind.LEAD, lead.lead_id, data, 0, place, vector, version)


def test_a_vector_counts_only_for_the_model_it_was_computed_with(snapshot: Snapshot) -> None:
    assert snapshot.bundle.widths.vector == 7
    other = replace(NEW_LEAD, lead_id="other")
    changes = [lead_change(NEW_LEAD, 1, snapshot.model_id), lead_change(other, 2, "another")]
    apply_batch(snapshot, batch_of(changes))
    tail = snapshot.leads.tail
    np.testing.assert_array_equal(tail.vector[0], np.full(7, 0.25))
    np.testing.assert_array_equal(tail.vector[1], snapshot.read_leads([other]).vectors[0])


def test_a_learned_vector_survives_an_edit_and_a_guessed_one_follows_it(
    snapshot: Snapshot,
) -> None:
    learned = int(np.argmax(snapshot.bundle.leads.events > 0))
    vector = snapshot.bundle.leads.vector[learned].copy()
    edited = replace(base_lead(learned), title="物业漏水维修基金")
    apply_steps(snapshot, edited, NEW_LEAD)
    leads, local = snapshot.leads.locate(snapshot.leads.row(edited.lead_id))
    np.testing.assert_array_equal(leads.vector[local], vector)
    # An event alone is no training: the vector of a new lead is still its content's.
    apply_steps(snapshot, Event(EventKind.OPENED, NOW_US, "m1", "new"))
    rewritten = replace(NEW_LEAD, title="养老院助餐", body="护理")
    apply_steps(snapshot, rewritten)
    leads, local = snapshot.leads.locate(snapshot.leads.row("new"))
    np.testing.assert_allclose(leads.vector[local], snapshot.read_leads([rewritten]).vectors[0])


def test_what_a_deleted_member_still_does_counts_when_they_are_back(
    snapshot: Snapshot, pipeline: Pipeline
) -> None:
    """The deletion may come from one worker while another takes the event."""
    member = tiny_dataset().members[3]
    apply_steps(snapshot, NEW_LEAD, (RecordKind.MEMBER, "m3"))
    apply_steps(snapshot, Event(EventKind.CLAIMED, NOW_US, "m3", "new"))
    assert counters(snapshot, "new") == (0, 0, 1)
    apply_steps(snapshot, member)
    assert "new" not in offered(pipeline, "m3")
    members, local = snapshot.members.locate(snapshot.members.row("m3"))
    expected = fold_profile(snapshot, "m3")
    np.testing.assert_array_equal(members.interest_text[local], expected.interest_text)
    assert members.events[local] == tiny_state().members.events[3] + 1

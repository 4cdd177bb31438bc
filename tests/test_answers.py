"""What one more answer does to the columns of both sides."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from support.changes import apply_steps
from support.worlds import NOW_US, tiny_bundle, tiny_state

from features.entities import Event, EventKind
from recsvc.model.answers import Answer, add_answer, answer_of
from recsvc.model.arrays import LeadColumns, MemberColumns, Widths, empty_leads, empty_members
from recsvc.model.history import Met
from recsvc.model.one_sided_terms import member_features
from recsvc.model.snapshot import Snapshot
from recsvc.model.terms import INDEX, TermContext

CONTEXT: TermContext = tiny_state().context._replace(base_logit=-2.0)


def two_sides() -> tuple[MemberColumns, LeadColumns]:
    """Two members and three leads with something to meet."""
    members, leads = empty_members(2, Widths(2, 3)), empty_leads(3, Widths(2, 3))
    rng = np.random.default_rng(1)
    leads.text[:] = rng.normal(size=(3, 3))
    leads.topics[:, 0], leads.topics[:, 1] = (1, 2, 1), (3, -1, 2)
    leads.topic_weights[:, :2] = 0.7
    leads.appeal[:], leads.audience_log[:] = (0.5, -0.5, 0.0), (1.0, 2.0, 0.0)
    return members, leads


def test_the_order_of_answers_does_not_matter() -> None:
    steps = [(0, Answer(0, True)), (1, Answer(3, False)), (2, Answer(0, False))]
    results = []
    for order in itertools.permutations(steps):
        members, leads = two_sides()
        for lead, answer in order:
            add_answer(members, 0, leads, lead, answer, 1, CONTEXT)
        results.append((members, leads))
    for members, leads in results[1:]:
        for name, column in results[0][0]._asdict().items():
            if not name.startswith("answer_topic"):
                np.testing.assert_allclose(getattr(members, name), column, atol=1e-6, err_msg=name)
        np.testing.assert_allclose(leads.appeal_moved, results[0][1].appeal_moved, atol=1e-6)
        assert topic_sums(members) == pytest.approx(topic_sums(results[0][0]), abs=1e-6)


def topic_sums(members: MemberColumns) -> dict[int, float]:
    pairs = zip(members.answer_topics[0], members.answer_topic_sums[0], strict=True)
    return {int(t): float(s) for t, s in pairs if t >= 0}


def test_what_is_taken_out_again_leaves_nothing_behind() -> None:
    members, leads = two_sides()
    for sign in (1, -1):
        add_answer(members, 0, leads, 1, Answer(2, True), sign, CONTEXT)
    for name in ("answers", "willingness_moved", "audience_met", "answer_text"):
        np.testing.assert_allclose(getattr(members, name), 0.0, atol=1e-6)
    assert np.isnan(member_features(members, CONTEXT)[0, INDEX["willingness"]])


def test_more_topics_than_there_is_room_for_keep_the_strongest() -> None:
    members, leads = empty_members(1, Widths(2, 3)), empty_leads(30, Widths(2, 3))
    leads.topics[:, 0], leads.topic_weights[:, 0] = np.arange(30), 1.0
    for lead in range(30):
        add_answer(members, 0, leads, lead, Answer(0, lead == 4), 1, CONTEXT)
    assert 4 in members.answer_topics[0]
    assert len(set(members.answer_topics[0].tolist())) == members.answer_topics.shape[1]


@pytest.mark.parametrize(
    ("met", "expected"),
    [
        (Met(), None),
        (Met(claimed=True, claimed_us=5), None),
        (Met(5, 0), Answer(0, False)),
        (Met(15, 2), None),
        (Met(15, 2, dismissed=True), Answer(2, False)),
        (Met(15, 2, True, 20), Answer(2, True)),
        (Met(15, 2, True, 12), None),
    ],
)
def test_what_counts_as_an_answer(met: Met, expected: Answer | None) -> None:
    assert answer_of(met, counted_until_us=10) == expected


def willingness(snapshot: Snapshot, member_id: str) -> float:
    columns, local = snapshot.members.locate(snapshot.members.row(member_id))
    found = member_features(columns, snapshot.bundle.context)
    return float(found[local, INDEX["willingness"]])


def test_events_move_willingness_at_once() -> None:
    snapshot = Snapshot(tiny_bundle())
    start = willingness(snapshot, "m5")
    push, claim = (
        Event(kind, NOW_US + at, "m5", "l70")
        for at, kind in enumerate((EventKind.PUSHED, EventKind.CLAIMED))
    )
    apply_steps(snapshot, push)
    assert willingness(snapshot, "m5") == start  # silence is no answer yet
    apply_steps(snapshot, claim)
    after_claim = willingness(snapshot, "m5")
    assert after_claim > start
    for at, lead in enumerate(("l71", "l72", "l73")):
        apply_steps(snapshot, Event(EventKind.PUSHED, NOW_US + at, "m5", lead))
        apply_steps(snapshot, Event(EventKind.DISMISSED, NOW_US + at + 1, "m5", lead))
    assert willingness(snapshot, "m5") < after_claim
    leads, local = snapshot.leads.locate(snapshot.leads.row("l70"))
    assert leads.appeal_moved[local] > 0.0

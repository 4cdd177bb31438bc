"""What members did, from the bundle and since: who has done with what, and what a pair has met."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest
from support.worlds import NOW_US, make_event, tiny_dataset, tiny_events, tiny_state

from features.entities import Event, EventKind
from features.vocabulary import Vocabulary
from recsvc.model.history import VERDICT_OF_KIND, History, Met, group_events
from recsvc.model.verdicts import Verdict

IDS = tiny_dataset().member_ids, tiny_dataset().lead_ids


def pairs_of(
    history: History, members: Vocabulary, leads: Vocabulary
) -> dict[tuple[str, str], Verdict]:
    """What is not to be offered, asked from the members' side."""
    found: dict[tuple[str, str], Verdict] = {}
    for member_id in members:
        seen = history.seen_leads(members.get(member_id), member_id)
        base = zip(seen.base_rows.tolist(), seen.base_verdicts.tolist(), strict=True)
        found |= {(member_id, leads.ids[row]): Verdict(v) for row, v in base}
        found |= {(member_id, lead_id): v for lead_id, v in seen.ids.items()}
    return found


def pairs_by_lead(
    history: History, members: Vocabulary, leads: Vocabulary
) -> dict[tuple[str, str], Verdict]:
    """The same, asked from the leads' side."""
    found: dict[tuple[str, str], Verdict] = {}
    for lead_id in leads:
        seen = history.seen_by(leads.get(lead_id), lead_id)
        base = zip(seen.base_rows.tolist(), seen.base_verdicts.tolist(), strict=True)
        found |= {(members.ids[row], lead_id): Verdict(v) for row, v in base}
        found |= {(member_id, lead_id): v for member_id, v in seen.ids.items()}
    return found


def test_both_sides_know_the_same_pairs_from_the_log_and_since() -> None:
    history = History(tiny_state().history)
    later = [
        make_event(kind, NOW_US, member, lead)
        for kind, member, lead in (
            (EventKind.DISMISSED, 3, 70),
            (EventKind.PUSHED, 3, 71),
            (EventKind.CLAIMED, 3, 70),
            (EventKind.SEE_LESS, 39, 2),
        )
    ]
    expected = {}
    for event in (*tiny_events(), *later):
        if event.lead_id and event.kind in VERDICT_OF_KIND:
            expected[event.member_id, event.lead_id] = VERDICT_OF_KIND[event.kind]
    for event in later:
        history.add(event)
    assert pairs_of(history, *IDS) == expected
    assert pairs_by_lead(history, *IDS) == expected


def test_somebody_new_has_only_what_happened_since() -> None:
    history = History(tiny_state().history)
    history.add(Event(EventKind.DISMISSED, NOW_US, "new", "newer"))
    assert history.seen_leads(-1, "new").ids == {"newer": Verdict.DISMISSED}
    assert history.seen_by(-1, "newer").ids == {"new": Verdict.DISMISSED}
    assert len(history.seen_leads(-1, "new").base_rows) == 0
    assert len(history.seen_by(-1, "other").base_rows) == 0


def test_an_event_without_a_lead_says_nothing_about_leads() -> None:
    history = History(tiny_state().history)
    history.add(Event(EventKind.SEE_LESS, NOW_US, "m1", topic="交通"))
    assert history.by_member == {}
    assert history.by_lead == {}


@pytest.mark.parametrize("since", [False, True])
def test_what_a_pair_has_met(since: bool) -> None:
    """The same answer whether the events are in the bundle or came since."""
    data = tiny_dataset()
    known: dict[tuple[str, str], Met] = {}
    for event in tiny_events():
        pair = event.member_id, event.lead_id
        known[pair] = known.get(pair, Met()).after(event)
    history = History(tiny_state().history)
    if since:
        nothing = np.zeros(0, np.int32)
        empty, times = nothing.astype(np.uint8), nothing.astype(np.int64)
        history = History(group_events(nothing, nothing, empty, empty, times, nothing, 0, 0))
        for event in tiny_events():
            history.add(event)
    assert any(met.claimed and met.exposed for met in known.values())
    for member_id in data.member_ids.ids[:8]:
        for lead_id in data.lead_ids:
            rows = (-1, -1) if since else (IDS[0].row(member_id), IDS[1].row(lead_id))
            event = Event(EventKind.OPENED, NOW_US, member_id, lead_id)
            assert history.met(event, *rows) == known.get((member_id, lead_id), Met())


def test_what_a_pair_has_met_does_not_depend_on_the_order() -> None:
    pair = "m1", "l1"
    events = [
        Event(EventKind.SHOWN, 50, *pair, position=3),
        Event(EventKind.PUSHED, 40, *pair),
        Event(EventKind.CLAIMED, 60, *pair),
        Event(EventKind.CLAIMED, 55, *pair),
        Event(EventKind.DISMISSED, 70, *pair),
    ]
    for order in itertools.permutations(events):
        found = functools.reduce(Met.after, order, Met())
        assert found == Met(40, 0, True, 60, True)


def test_a_log_without_events_forbids_nothing() -> None:
    none = np.zeros(0, np.int32)
    empty = none.astype(np.uint8)
    base = group_events(none, none, empty, empty, none.astype(np.int64), none, 2, 3)
    assert base.member_start.tolist() == [0, 0, 0]
    assert base.lead_start.tolist() == [0, 0, 0, 0]
    history = History(base)
    assert len(history.seen_leads(1, "m1").base_rows) == 0
    assert len(history.seen_by(2, "l2").base_rows) == 0


def test_the_last_wish_to_see_less_is_kept() -> None:
    member, lead = np.array([1, 1, 0, 1], np.int32), np.array([-1, -1, 2, -1], np.int32)
    kind = np.array([EventKind.SEE_LESS] * 3 + [EventKind.OPENED], np.uint8)
    times = np.array([70, 50, 90, 99], np.int64)
    base = group_events(member, lead, kind, np.zeros(4, np.uint8), times, lead, 3, 3)
    assert base.asked_less_us.tolist() == [0, 70, 0]
    history = History(base)
    for event in (Event(EventKind.SEE_LESS, 5, "m"), Event(EventKind.SEE_LESS, 4, "m")):
        history.add(event)
    assert history.asked_less_us == {"m": 5}
    assert history.by_member == {}

"""Short lists: what is served from them is what the ranker would choose among all leads, now."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.changes import apply_steps
from support.worlds import DAY_US, NOW_US, tiny_bundle, tiny_dataset

from features.entities import Conflict, Event, EventKind, LeadState, Organization
from recsvc.matching.candidates import CandidateConfig
from recsvc.matching.event_updates import add_events
from recsvc.matching.lead_filter import filter_leads
from recsvc.matching.pipeline import Pipeline, PipelineConfig
from recsvc.matching.prepare import THOROUGH, make_short_lists, prepared
from recsvc.matching.queries import ListQuery
from recsvc.matching.short_lists import from_short_list
from recsvc.model.bundle import Bundle, read_bundle, write_bundle
from recsvc.model.short_lists import ShortLists
from recsvc.model.snapshot import Snapshot
from recsvc.store.codec import entity_id

LENGTH, WANTED = 16, 8
FROM_LISTS = PipelineConfig(CandidateConfig(close_below=0, listed=WANTED))
QUERY = ListQuery(count=3, as_of_us=NOW_US)


@pytest.fixture
def bundle() -> Bundle:
    """The small world with short lists."""
    made = tiny_bundle()
    lists = make_short_lists(made, 2, replace(THOROUGH, close_below=0), LENGTH)
    made.tables.put("short_lists", lists)
    return made


@pytest.fixture
def snapshot(bundle: Bundle) -> Snapshot:
    return Snapshot(bundle)


def rows_for(snapshot: Snapshot, member_id: str, wanted: int = WANTED) -> list[int] | None:
    row = snapshot.members.row(member_id)
    found = from_short_list(snapshot, row, filter_leads(snapshot, row, NOW_US), wanted, LENGTH, 1)
    return None if found is None else found.tolist()


def someone(snapshot: Snapshot) -> str:
    """A member who is served from a list, and belongs to an organization."""
    served = (m for m in snapshot.bundle.member_ids.ids if rows_for(snapshot, m))
    of = snapshot.members.base.organization
    return next(m for m in served if of[snapshot.members.row(m)] >= 0)


def answer(snapshot: Snapshot, member_id: str, config: PipelineConfig) -> list[tuple[str, float]]:
    items = Pipeline(snapshot, config).recommend(member_id, QUERY).items
    return [(item.id, round(item.score, 5)) for item in items]


def test_lists_are_the_rankers_choice_for_everybody(snapshot: Snapshot) -> None:
    listed = 0
    for member_id in snapshot.bundle.member_ids.ids:
        listed += rows_for(snapshot, member_id) is not None
        exact = answer(snapshot, member_id, PipelineConfig())
        assert answer(snapshot, member_id, FROM_LISTS) == exact, member_id
    assert listed > len(snapshot.bundle.member_ids) / 4


def test_threads_change_nothing(bundle: Bundle) -> None:
    config = replace(THOROUGH, close_below=0)
    one, three = (make_short_lists(bundle, threads, config, LENGTH) for threads in (1, 3))
    assert np.array_equal(one.row, three.row)
    assert np.array_equal(one.open_then, three.open_then)
    assert np.array_equal(one.reach, three.reach)


def test_a_closed_lead_makes_room_for_the_next(snapshot: Snapshot) -> None:
    member_id = someone(snapshot)
    before = rows_for(snapshot, member_id)
    assert before is not None
    snapshot.leads.base.state[before[0]] = LeadState.CLOSED
    snapshot.leads.base.close_time_us[before[0]] = 1
    snapshot.leads.touch(before[0])
    after = rows_for(snapshot, member_id)
    assert after is not None
    assert after[: WANTED - 1] == before[1:]
    assert len(after) == WANTED


def test_a_lead_that_opened_since_is_ranked_too(bundle: Bundle) -> None:
    first = Snapshot(bundle)
    member_id = someone(first)
    rows = rows_for(first, member_id)
    assert rows is not None
    # As if it had been closed when the lists were made.
    lists = first.short_lists
    assert lists is not None
    lists.open_then[rows[0]] = 0
    lists.row[lists.row == rows[0]] = -1
    lists.row.sort(axis=1)
    lists.row[:] = lists.row[:, ::-1]
    later = Snapshot(bundle)
    assert rows[0] in (rows_for(later, member_id) or [])


def test_a_lead_that_opens_while_serving_is_ranked_too(snapshot: Snapshot) -> None:
    member_id = someone(snapshot)
    closed = rows_for(snapshot, member_id)
    assert closed is not None
    lists = snapshot.short_lists
    assert lists is not None
    row = closed[0]
    lists.open_then[row] = 0
    for state in (LeadState.CLOSED, LeadState.OPEN):
        snapshot.leads.base.state[row] = state
        snapshot.leads.base.close_time_us[row] = 1
        snapshot.leads.touch(row)
        filter_leads(snapshot, 0, NOW_US)
    assert row in snapshot.open_leads.at(NOW_US).opened


def opens(snapshot: Snapshot, member_id: str, lead_row: int, number: int) -> None:
    lead_id = snapshot.leads.identifier(lead_row)
    event = Event(EventKind.OPENED, NOW_US - 9 + number, member_id, lead_id, f"e{number}")
    add_events(snapshot, [event])


def test_who_acts_is_served_from_more_of_the_list_and_then_searched_for(snapshot: Snapshot) -> None:
    member_id = someone(snapshot)
    before = rows_for(snapshot, member_id)
    assert before is not None
    for number in range(3):
        opens(snapshot, member_id, before[number], number)
        assert snapshot.members.row(member_id) >= snapshot.members.base_count
        found = rows_for(snapshot, member_id)
        assert found is not None
        assert found[:WANTED] == before
        assert len(found) > WANTED
        assert answer(snapshot, member_id, FROM_LISTS)
    opens(snapshot, member_id, before[3], 3)
    assert rows_for(snapshot, member_id) is None
    assert answer(snapshot, member_id, FROM_LISTS)


def test_who_is_shown_leads_has_not_acted(snapshot: Snapshot) -> None:
    member_id = someone(snapshot)
    before = rows_for(snapshot, member_id)
    lead_id = snapshot.leads.identifier(0)
    shown = (Event(EventKind.SHOWN, NOW_US - i, member_id, lead_id, f"s{i}") for i in range(1, 9))
    add_events(snapshot, list(shown))
    assert rows_for(snapshot, member_id) == before


def test_who_is_another_by_now_is_searched_for(snapshot: Snapshot) -> None:
    member_id = someone(snapshot)
    old = next(m for m in tiny_dataset().members if m.member_id == member_id)
    apply_steps(snapshot, replace(old, name="改名"))
    assert rows_for(snapshot, member_id) is None
    assert answer(snapshot, member_id, FROM_LISTS)


def test_too_few_left_or_too_many_wanted_are_searched_for(snapshot: Snapshot) -> None:
    member_id = someone(snapshot)
    assert rows_for(snapshot, member_id, LENGTH + 1) is None
    lists = snapshot.short_lists
    assert lists is not None
    listed = lists.row[snapshot.members.row(member_id)]
    for row in listed[: LENGTH - WANTED + 1].tolist():
        snapshot.leads.base.alive[row] = 0
        snapshot.leads.touch(row)
    assert rows_for(snapshot, member_id) is None


def test_a_longer_list_takes_what_is_left(snapshot: Snapshot) -> None:
    row = snapshot.members.row(someone(snapshot))
    filtered = filter_leads(snapshot, row, NOW_US)
    longer = from_short_list(snapshot, row, filtered, WANTED, LENGTH, 6)
    shorter = from_short_list(snapshot, row, filtered, WANTED, LENGTH, 1)
    assert longer is not None
    assert shorter is not None
    assert longer[:WANTED].tolist() == shorter.tolist()
    assert WANTED < len(longer) <= LENGTH


def test_lists_serve_the_days_they_were_made_for(snapshot: Snapshot) -> None:
    row = snapshot.members.row(someone(snapshot))
    for days, served in ((-20, False), (-10, True), (10, True), (20, False)):
        filtered = filter_leads(snapshot, row, NOW_US + days * DAY_US)
        # Some leads are not created yet ten days before, so fewer may be left than are wanted.
        found = from_short_list(snapshot, row, filtered, 1, 1, 1)
        assert (found is not None) is served, days


def test_a_lifted_recusal_asks_for_a_search(snapshot: Snapshot) -> None:
    member_id = someone(snapshot)
    conflict = Conflict(member_id, lead_id="l1")
    snapshot.recusals.put(conflict)
    assert rows_for(snapshot, member_id) is not None
    snapshot.recusals.delete(entity_id(conflict))
    assert rows_for(snapshot, member_id) is None


def test_wider_jurisdiction_asks_for_a_search(snapshot: Snapshot) -> None:
    member_id = next(
        m
        for m in snapshot.bundle.member_ids.ids
        if rows_for(snapshot, m)
        and not snapshot.organizations.visible_leads(organization_of(snapshot, m)).all()
    )
    own = snapshot.organizations.get(organization_of(snapshot, member_id))
    assert own is not None
    snapshot.organizations.put(own)  # the same again
    snapshot.organizations.put(Organization("new", "新", "", 1, "44", "OWN"))
    assert rows_for(snapshot, member_id) is not None
    snapshot.organizations.put(replace(own, jurisdiction="ANY"))
    assert rows_for(snapshot, member_id) is None


def organization_of(snapshot: Snapshot, member_id: str) -> int:
    return int(snapshot.members.base.organization[snapshot.members.row(member_id)])


def test_lists_are_written_and_read(bundle: Bundle, tmp_path: Path) -> None:
    write_bundle(bundle, tmp_path / "model")
    again = Snapshot(read_bundle(tmp_path / "model"))
    member_id = someone(again)
    assert rows_for(again, member_id) == rows_for(Snapshot(bundle), member_id)


def test_few_leads_need_no_lists() -> None:
    assert prepared(tiny_bundle()).tables.find("short_lists", ShortLists) is None

"""Short lists of leads: what is served from them is what the ranker would choose among all members,
now."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.worlds import DAY_US, NOW_US, tiny_bundle

from features.entities import Conflict, Event, EventKind, Organization
from recsvc.matching.event_updates import add_events
from recsvc.matching.listed_members import MemberConfig, listed_members
from recsvc.matching.member_filter import filter_members
from recsvc.matching.pipeline import Pipeline, PipelineConfig
from recsvc.matching.prepare import THOROUGH_FOR_LEADS, make_lead_lists, prepared
from recsvc.matching.queries import ListQuery
from recsvc.matching.short_lists import members_from_list
from recsvc.model.bundle import Bundle, read_bundle, write_bundle
from recsvc.model.short_lists import ShortLists
from recsvc.model.snapshot import Snapshot
from recsvc.store.codec import entity_id

LENGTH, WANTED = 12, 6
ALL = replace(THOROUGH_FOR_LEADS, all_below=0)
FROM_LISTS = PipelineConfig(members=MemberConfig(all_below=0, listed=WANTED))
QUERY = ListQuery(count=3, as_of_us=NOW_US)


@pytest.fixture
def bundle() -> Bundle:
    """The small world with short lists of its leads."""
    made = tiny_bundle()
    made.tables.put("lead_lists", make_lead_lists(made, 2, ALL, LENGTH))
    return made


@pytest.fixture
def snapshot(bundle: Bundle) -> Snapshot:
    return Snapshot(bundle)


def rows_for(
    snapshot: Snapshot, lead_id: str, wanted: int = WANTED, when_us: int = NOW_US
) -> list[int] | None:
    leads, row = snapshot.leads.base, snapshot.leads.row(lead_id)
    filtered = filter_members(snapshot, leads, row, lead_id, when_us)
    found = members_from_list(snapshot, row, filtered, wanted, wanted)
    return None if found is None else found.tolist()


def some_lead(snapshot: Snapshot) -> str:
    """A lead that is served from its list."""
    return next(lead for lead in snapshot.bundle.lead_ids.ids if rows_for(snapshot, lead))


def answer(snapshot: Snapshot, lead_id: str, config: PipelineConfig) -> list[float]:
    """Scores: members of whom nobody knows anything are all alike."""
    return [round(i.score, 5) for i in Pipeline(snapshot, config).match(lead_id, QUERY).items]


def test_lists_are_the_rankers_choice_for_every_lead(snapshot: Snapshot) -> None:
    listed = 0
    for lead_id in snapshot.bundle.lead_ids.ids:
        listed += rows_for(snapshot, lead_id) is not None
        exact = answer(snapshot, lead_id, PipelineConfig())
        assert answer(snapshot, lead_id, FROM_LISTS) == exact, lead_id
    assert listed > len(snapshot.bundle.lead_ids) / 4


def test_threads_change_nothing(bundle: Bundle) -> None:
    one, three = (make_lead_lists(bundle, threads, ALL, LENGTH) for threads in (1, 3))
    assert np.array_equal(one.row, three.row)
    assert np.array_equal(one.reach, three.reach)


def test_of_many_leads_the_newest_open_ones_have_lists(bundle: Bundle) -> None:
    everything = make_lead_lists(bundle, 1, ALL, LENGTH)
    few = make_lead_lists(bundle, 2, ALL, LENGTH, most=9)
    listed, all_listed = few.row[:, 0] >= 0, everything.row[:, 0] >= 0
    assert listed.sum() == 9
    assert np.array_equal(few.row[listed], everything.row[listed])
    created = bundle.leads.create_time_us
    assert created[listed].min() >= np.sort(created[all_listed])[-9]


def test_whoever_leaves_makes_room_and_whoever_returns_is_ranked_again(snapshot: Snapshot) -> None:
    lead_id = some_lead(snapshot)
    before = rows_for(snapshot, lead_id)
    assert before is not None
    set_active(snapshot, before[0], False)
    after = rows_for(snapshot, lead_id)
    assert after is not None
    assert after[: WANTED - 1] == before[1:]
    assert len(after) == WANTED
    set_active(snapshot, before[0], True)
    assert before[0] in (rows_for(snapshot, lead_id) or [])


def test_who_could_not_be_offered_anything_then_is_ranked_now(bundle: Bundle) -> None:
    first = Snapshot(bundle)
    lead_id = some_lead(first)
    lists = first.lead_lists
    assert lists is not None
    row = (rows_for(first, lead_id) or [0])[0]
    # As if they had been away when the lists were made.
    lists.open_then[row] = 0
    lists.row[lists.row == row] = -1
    own = lists.row[first.leads.row(lead_id)]
    own[:] = np.append(own[own >= 0], np.full((own < 0).sum(), -1))
    assert row in (rows_for(Snapshot(bundle), lead_id) or [])


def test_too_few_left_or_too_many_wanted_are_searched_for(snapshot: Snapshot) -> None:
    lead_id = some_lead(snapshot)
    assert rows_for(snapshot, lead_id, LENGTH + 1) is None
    lists = snapshot.lead_lists
    assert lists is not None
    listed = lists.row[snapshot.leads.row(lead_id)]
    for row in listed[: LENGTH - WANTED + 1].tolist():
        set_active(snapshot, row, False)
    assert rows_for(snapshot, lead_id) is None
    # The search finds those, too, that were left of the list.
    left = listed[LENGTH - WANTED + 1 :].tolist()
    leads, at = snapshot.leads.base, snapshot.leads.row(lead_id)
    filtered = filter_members(snapshot, leads, at, lead_id, NOW_US)
    config = FROM_LISTS.members
    found = listed_members(snapshot, leads, at, filtered, 3, config).tolist()
    assert set(left) & set(found)
    assert len(found) == len(set(found))


def test_who_acted_since_is_ranked_as_they_are_now(snapshot: Snapshot) -> None:
    lead_id = some_lead(snapshot)
    row = (rows_for(snapshot, lead_id) or [0])[0]
    member_id = snapshot.members.identifier(row)
    add_events(snapshot, [Event(EventKind.OPENED, NOW_US - 1, member_id, lead_id, "e1")])
    assert row not in (rows_for(snapshot, lead_id) or [])
    assert answer(snapshot, lead_id, FROM_LISTS) == answer(snapshot, lead_id, PipelineConfig())


def test_lists_serve_the_days_they_were_made_for(snapshot: Snapshot) -> None:
    lead_id = some_lead(snapshot)
    for days, served in ((-20, False), (10, True), (20, False)):
        found = rows_for(snapshot, lead_id, 1, NOW_US + days * DAY_US)
        assert (found is not None) is served, days


def test_whose_recusal_was_lifted_is_ranked_too(bundle: Bundle) -> None:
    snapshot = Snapshot(bundle)
    lead_id = some_lead(snapshot)
    listed = rows_for(snapshot, lead_id)
    lists = snapshot.lead_lists
    assert listed is not None
    assert lists is not None
    unlisted = sorted(
        set(range(len(lists.open_then))) - set(lists.row[snapshot.leads.row(lead_id)])
    )
    kept = [r for r in unlisted if answer_has(snapshot, lead_id, r)]
    conflict = Conflict(snapshot.members.identifier(kept[0]), lead_id=lead_id)
    snapshot.recusals.put(conflict)
    assert kept[0] not in (rows_for(snapshot, lead_id) or [])
    snapshot.recusals.delete(entity_id(conflict))
    assert rows_for(snapshot, lead_id) == [kept[0], *listed]


def test_another_jurisdiction_asks_for_a_search(snapshot: Snapshot) -> None:
    lead_id = some_lead(snapshot)
    snapshot.organizations.put(Organization("new", "新", "", 1, "44", "OWN"))
    assert rows_for(snapshot, lead_id) is not None
    own = next(
        found
        for row in set(snapshot.members.base.organization.tolist()) - {-1}
        if (found := snapshot.organizations.get(row)) is not None
        and not snapshot.organizations.visible_leads(row).all()
    )
    snapshot.organizations.put(replace(own, jurisdiction="ANY"))
    assert rows_for(snapshot, lead_id) is None


def test_lists_are_written_and_read(bundle: Bundle, tmp_path: Path) -> None:
    write_bundle(bundle, tmp_path / "model")
    again = Snapshot(read_bundle(tmp_path / "model"))
    lead_id = some_lead(again)
    assert rows_for(again, lead_id) == rows_for(Snapshot(bundle), lead_id)


def test_few_members_need_no_lists() -> None:
    assert prepared(tiny_bundle()).tables.find("lead_lists", ShortLists) is None


def set_active(snapshot: Snapshot, row: int, active: bool) -> None:
    snapshot.members.base.active[row] = active
    snapshot.members.touch(row)


def answer_has(snapshot: Snapshot, lead_id: str, row: int) -> bool:
    """Whether a member may be offered the lead."""
    offered = Pipeline(snapshot).match(lead_id, ListQuery(count=100, as_of_us=NOW_US)).items
    return snapshot.members.identifier(row) in {item.id for item in offered}

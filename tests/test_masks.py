"""Masks against the rules in plain Python, pair by pair, on worlds to which anything happened."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.changes import Step, apply_steps
from support.plain import PlainWorld
from support.steps import steps
from support.worlds import DAY_US, NOW_US, make_event, tiny_bundle, tiny_dataset

from features.entities import Conflict, EventKind, Lead, LeadState, Member
from recsvc.matching.candidates import CandidateConfig
from recsvc.matching.filters import Eligibility, count_removed
from recsvc.matching.lead_filter import filter_leads
from recsvc.matching.listed_members import MemberConfig, listed_members
from recsvc.matching.masks import Masked, mask_leads, mask_members, pair_verdicts
from recsvc.matching.member_filter import filter_members
from recsvc.matching.retrieve import listed_leads
from recsvc.model.drafts import draft_table
from recsvc.model.recusals import Recusal
from recsvc.model.snapshot import Snapshot
from recsvc.model.verdicts import Verdict

ANYTHING = Eligibility()
ALL_OF_THEM = CandidateConfig(all_below=10_000)
ALL_MEMBERS = MemberConfig(all_below=10_000)
SCANNED = MemberConfig(all_below=0, looked=1000, kept=1000, probes=50, ranked=1000)


def check_all_pairs(snapshot: Snapshot, world: PlainWorld, now_us: int) -> None:
    """Both directions and the given pairs say what the rules say, for every pair."""
    expected = world.verdicts(now_us)
    assert set(snapshot.members.identifiers()) == set(world.members)
    assert set(snapshot.leads.identifiers()) == set(world.leads)
    lead_rows = np.array([snapshot.leads.row(i) for i in world.leads], np.int64)
    for member_id in world.members:
        row = snapshot.members.row(member_id)
        of_member = mask_leads(snapshot, row, ANYTHING, now_us)
        given_pairs = pair_verdicts(snapshot, row, lead_rows, now_us)
        for at, lead_id in enumerate(world.leads):
            wanted = expected[member_id, lead_id]
            assert of_member.at(int(lead_rows[at])) is wanted, (member_id, lead_id)
            assert Verdict(given_pairs[at]) is wanted, (member_id, lead_id)
        kept = sum(v is Verdict.KEPT for (m, _), v in expected.items() if m == member_id)
        assert of_member.eligible_count == kept
        listed = filter_leads(snapshot, row, now_us)
        assert (listed.eligible_count, listed.removed) == (kept, of_member.removed), member_id
        rows = listed_leads(snapshot, row, listed, 1, ALL_OF_THEM)
        found = {snapshot.leads.identifier(row) for row in rows.tolist()}
        offered = {n for (m, n), v in expected.items() if m == member_id and v is Verdict.KEPT}
        assert found == offered, member_id
    for lead_id, lead_row in zip(world.leads, lead_rows.tolist(), strict=True):
        leads, local = snapshot.leads.locate(lead_row)
        of_lead = mask_members(snapshot, leads, local, lead_id, ANYTHING, now_us)
        for member_id in world.members:
            row = snapshot.members.row(member_id)
            assert of_lead.at(row) is expected[member_id, lead_id], (member_id, lead_id)
        check_listed_members(snapshot, lead_row, lead_id, of_lead, now_us)


def check_listed_members(
    snapshot: Snapshot, lead_row: int, lead_id: str, masked: Masked, now_us: int
) -> None:
    """The filter that does not look at every member says the same as the one that does."""
    leads, local = snapshot.leads.locate(lead_row)
    offered = sorted(np.flatnonzero(np.concatenate(masked.verdicts) == Verdict.KEPT).tolist())
    for config in (ALL_MEMBERS, SCANNED):
        listed = filter_members(snapshot, leads, local, lead_id, now_us)
        assert listed.eligible_count == masked.eligible_count, lead_id
        assert listed.removed == masked.removed, lead_id
        rows = listed_members(snapshot, leads, local, listed, 1, config)
        assert sorted(rows.tolist()) == offered, lead_id


def test_the_small_world_follows_the_rules_now_and_then() -> None:
    world = PlainWorld.tiny()
    assert len(set(world.verdicts(NOW_US).values())) >= 8, "a poor world hides errors"
    for now_us in (NOW_US, NOW_US - 100 * DAY_US):
        check_all_pairs(Snapshot(tiny_bundle()), world, now_us)


@settings(max_examples=30)
@given(st.lists(steps, min_size=1, max_size=30), st.integers(0, 3))
def test_whatever_happens_the_rules_hold_in_both_directions(
    happened: list[Step], days_ago: int
) -> None:
    snapshot, world = Snapshot(tiny_bundle()), PlainWorld.tiny()
    filter_leads(snapshot, 0, NOW_US)  # what is kept from here on has to follow all changes
    filter_members(snapshot, snapshot.leads.base, 0, "l0", NOW_US)
    for step in happened:
        world.take(step)
        apply_steps(snapshot, step)
    check_all_pairs(snapshot, world, NOW_US - days_ago * DAY_US)


def test_what_was_removed_adds_up(snapshot: Snapshot) -> None:
    apply_steps(snapshot, replace(tiny_dataset().leads[3], title="另一个题目"))
    for member_id in snapshot.members.identifiers():
        masked = mask_leads(snapshot, snapshot.members.row(member_id), ANYTHING, NOW_US)
        assert sum(masked.removed.values()) + masked.eligible_count == 80
        assert Verdict.DELETED not in masked.removed
    assert count_removed(np.array([0, 1, 2, 2, 9], np.uint8)) == {
        Verdict.CLOSED: 2,
        Verdict.ALREADY_TAKEN: 1,
    }


def test_a_row_beyond_the_table_has_no_verdict() -> None:
    masked = Masked((np.zeros(2, np.uint8), np.zeros(1, np.uint8)))
    assert masked.at(2) is Verdict.KEPT
    with pytest.raises(IndexError):
        masked.at(3)


@pytest.mark.parametrize("moved", [False, True])
def test_the_last_of_several_events_is_the_reason(snapshot: Snapshot, moved: bool) -> None:
    """From all sides, whether the rows moved to the tail or not."""
    lead = Lead("l90", title="绿化")
    apply_steps(snapshot, lead, Member("m90"))
    if moved:
        apply_steps(snapshot, replace(tiny_dataset().leads[8], title="别的"))
    events = [EventKind.CLAIMED, EventKind.DISMISSED, EventKind.SEE_LESS, EventKind.RELEASED]
    for number, lead_number in ((4, 8), (90, 90), (4, 90), (90, 8)):
        for at, kind in enumerate(events):
            apply_steps(snapshot, make_event(kind, NOW_US + at, number, lead_number))
            row = snapshot.members.row(f"m{number}")
            lead_row = snapshot.leads.row(f"l{lead_number}")
            found = mask_leads(snapshot, row, ANYTHING, NOW_US).at(lead_row)
            assert found in (Verdict.ALREADY_TAKEN, Verdict.DISMISSED, Verdict.SEE_LESS)
            columns, local = snapshot.leads.locate(lead_row)
            who = mask_members(snapshot, columns, local, f"l{lead_number}", ANYTHING, NOW_US)
            assert who.at(row) is found
            assert pair_verdicts(snapshot, row, np.array([lead_row]), NOW_US)[0] == found


@pytest.mark.parametrize(
    ("changed", "verdict"),
    [
        ({"state": LeadState.WITHDRAWN}, Verdict.CLOSED),
        ({"state": LeadState.CLOSED}, Verdict.CLOSED),
        ({"state": LeadState.CLAIMED}, Verdict.CAPACITY),
        ({"claim_capacity": 0}, Verdict.CAPACITY),
        ({"create_time_us": NOW_US + DAY_US}, Verdict.NOT_YET_CREATED),
    ],
)
def test_a_lead_that_nobody_may_have_is_offered_to_nobody(
    snapshot: Snapshot, changed: dict[str, int], verdict: Verdict
) -> None:
    lead = replace(Lead("l90", title="路灯"), **changed)  # type: ignore[arg-type]
    apply_steps(snapshot, lead)
    row = snapshot.leads.row("l90")
    columns, local = snapshot.leads.locate(row)
    found = mask_members(snapshot, columns, local, "l90", ANYTHING, NOW_US)
    assert found.eligible_count == 0
    assert found.removed == {verdict: 40}
    for i in range(40):
        of_member = mask_leads(snapshot, snapshot.members.row(f"m{i}"), ANYTHING, NOW_US)
        assert of_member.at(row) is verdict


def test_a_platform_whose_clock_is_ahead_sees_what_it_wrote(snapshot: Snapshot) -> None:
    ahead = NOW_US + 4 * 60 * 1_000_000
    withdrawn = replace(tiny_dataset().leads[1], state=LeadState.WITHDRAWN, close_time_us=ahead)
    apply_steps(snapshot, Lead("l90", create_time_us=ahead), withdrawn)
    masked = mask_leads(snapshot, snapshot.members.row("m12"), ANYTHING, NOW_US)
    assert masked.at(snapshot.leads.row("l90")) is Verdict.KEPT
    assert masked.at(snapshot.leads.row("l1")) is Verdict.CLOSED


def test_a_draft_is_matched_whatever_its_state_but_not_with_its_author(snapshot: Snapshot) -> None:
    apply_steps(snapshot, Conflict("m3", author_id="m5"))
    draft = Lead("", author_id="m5", state=LeadState.CLOSED, create_time_us=NOW_US + DAY_US)
    table = draft_table(snapshot, draft)
    columns, local = table.locate(0)
    found = mask_members(snapshot, columns, local, "", ANYTHING, NOW_US)
    assert found.at(snapshot.members.row("m5")) is Verdict.AUTHOR
    assert found.at(snapshot.members.row("m3")) is Verdict.CONFLICT
    inactive = sum(not m.active for m in tiny_dataset().members if m.member_id not in ("m3", "m5"))
    assert found.removed.get(Verdict.INACTIVE, 0) == inactive
    assert found.eligible_count == 38 - inactive
    listed = filter_members(snapshot, columns, local, "", NOW_US)
    assert (listed.eligible_count, listed.removed) == (38 - inactive, found.removed)


def test_a_recusal_covers_what_it_names() -> None:
    nothing = Recusal()
    assert not nothing.covers(5, 0, -1)
    some = Recusal(np.array([3, 5]), np.array([7]), np.array([0, 2]))
    assert some.covers(5, 0, -1)
    assert some.covers(1, 7, -1)
    assert some.covers(1, 1, 2)
    assert not some.covers(4, 8, 1)

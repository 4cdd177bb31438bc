"""A list's ranking equals the scores of its pairs one by one, wherever its rows live."""

from __future__ import annotations

import numpy as np
from support.worlds import NOW_US

from recsvc.matching.score import Scored, score_leads, score_members, score_pairs
from recsvc.model.arrays import I64
from recsvc.model.snapshot import Snapshot, with_tables


def pairs_of(snapshot: Snapshot, members: I64, leads: I64) -> Scored:
    return score_pairs(snapshot.bundle, snapshot.members, members, snapshot.leads, leads, NOW_US)


def equal(found: Scored, expected: Scored) -> None:
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def check(snapshot: Snapshot) -> None:
    """Every third member with all leads, every ninth lead with all members."""
    leads = np.array([snapshot.leads.row(i) for i in snapshot.bundle.lead_ids])
    members = np.array([snapshot.members.row(i) for i in snapshot.bundle.member_ids])
    leads.sort()
    members.sort()
    for row in members[::3].tolist():
        found = score_leads(snapshot, *snapshot.members.locate(row), leads, NOW_US)
        equal(found, pairs_of(snapshot, np.full(len(leads), row), leads))
    for row in leads[::9].tolist():
        found = score_members(snapshot, members, *snapshot.leads.locate(row), NOW_US)
        equal(found, pairs_of(snapshot, members, np.full(len(members), row)))


def test_a_list_is_ranked_as_its_pairs_are(snapshot: Snapshot) -> None:
    check(snapshot)
    for i in (1, 12, 30):
        snapshot.members.move_to_tail(f"m{i}")
        snapshot.leads.move_to_tail(f"l{i}")
        check(snapshot)


def test_what_changes_in_place_is_seen(snapshot: Snapshot) -> None:
    """Counters of the base, which stand in no record, and everything in the tail."""
    snapshot.members.move_to_tail("m3")
    snapshot.leads.move_to_tail("l3")
    check(snapshot)
    before = score_leads(snapshot, snapshot.bundle.members, 5, np.array([7]), NOW_US)
    for leads in (snapshot.leads.base, snapshot.leads.tail):
        leads.events[:] += 3
        leads.appeal_moved[:] += 0.5
    for members in (snapshot.members.base, snapshot.members.tail):
        members.exposures[:] += 2
        members.answer_topic_sums[:] += 0.25
    snapshot.members.tail.latitude_rad[:] += 0.01
    snapshot.leads.tail.topics[0] = snapshot.leads.base.topics[7]
    check(snapshot)
    after = score_leads(snapshot, snapshot.bundle.members, 5, np.array([7]), NOW_US)
    assert (before.features != after.features).any()


def test_records_that_were_written_are_those_that_are_made(snapshot: Snapshot) -> None:
    written = Snapshot(with_tables(snapshot.bundle))
    assert {"member_facts.record", "lead_facts.record"} <= set(written.bundle.tables.arrays)
    np.testing.assert_array_equal(written.member_facts.whole, snapshot.member_facts.whole)
    np.testing.assert_array_equal(written.lead_facts.whole, snapshot.lead_facts.whole)
    check(written)


def test_no_rows(snapshot: Snapshot) -> None:
    none = np.zeros(0, np.int64)
    found = score_leads(snapshot, snapshot.bundle.members, 0, none, NOW_US)
    assert [len(part) for part in found] == [0, 0, 0]
    found = score_members(snapshot, none, snapshot.bundle.leads, 0, NOW_US)
    assert [len(part) for part in found] == [0, 0, 0]

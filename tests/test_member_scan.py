"""Runs and lists hold every member, alike in what they say; what is kept follows changes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.changes import Step, apply_steps
from support.steps import steps
from support.worlds import NOW_US, shared_bundle, tiny_bundle

from recsvc.matching.listed_members import MemberConfig, listed_members
from recsvc.matching.member_filter import filter_members, kept_members
from recsvc.matching.member_scan.most import at_least
from recsvc.matching.member_scan.vectors import inner_products
from recsvc.matching.score import score_rows
from recsvc.model.arrays import empty_leads
from recsvc.model.member_lists import MemberLists, build_member_lists
from recsvc.model.member_runs import MemberRuns
from recsvc.model.member_worth import LEAST_GAIN, worth_of_members
from recsvc.model.open_members import RISEN, OpenMembers, row_of_key
from recsvc.model.snapshot import Snapshot
from recsvc.model.terms import INDEX, OF_MEMBER

TOPICS = len(shared_bundle().space.topics.names)
OF_TOPIC = ("expertise_topics", "interest_topics", "sector_topics", "answer_topics")
NARROW = MemberConfig(all_below=0, looked=8, kept=4, probes=1, by_vector=1, ranked=2)


def worth_of_leads_about(topic: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """What the ranker itself says of all members and a lead of one topic."""
    bundle = shared_bundle()
    lead = empty_leads(1, bundle.widths)
    lead.topics[0, 0], lead.topic_weights[0, 0] = topic, 1.0
    rows = np.arange(len(bundle.member_ids), dtype=np.int32)
    when = np.full(len(rows), NOW_US, np.int64)
    scored = score_rows(bundle, bundle.members, rows, lead, np.zeros_like(rows), when)
    columns = [*OF_MEMBER, *(INDEX[name] for name in OF_TOPIC)]
    return np.asarray(scored.terms[:, columns].sum(axis=1))


def test_the_worth_of_a_member_is_what_the_ranker_says() -> None:
    bundle = shared_bundle()
    worth = worth_of_members(bundle.ranker, bundle.context, bundle.members, TOPICS)
    told = 0
    for topic in range(TOPICS):
        expected = worth_of_leads_about(topic)
        for member in range(len(expected)):
            own = slice(worth.start[member], worth.start[member + 1])
            at = np.flatnonzero(worth.topic[own] == topic)
            if len(at):
                found = worth.worth[own][at[0]]
                assert found == pytest.approx(expected[member], abs=1e-4)
                assert found - worth.other[member] >= LEAST_GAIN - 1e-5
                told += 1
    assert told > 20


def entries_of(runs: MemberRuns, cell: int, topic: int) -> slice:
    run = topic * len(runs.cell_organization) + cell
    return slice(runs.run_start[run], runs.run_start[run + 1])


def test_each_member_is_in_the_cells_of_their_places_and_runs_fall() -> None:
    members, runs = shared_bundle().members, Snapshot(shared_bundle()).member_runs
    met = set()
    for cell in range(len(runs.cell_organization)):
        for topic in range(TOPICS + 1):
            part = entries_of(runs, cell, topic)
            rows, worth = runs.row[part], runs.worth[part]
            assert (np.diff(worth) <= 0).all()
            best = runs.run_best[topic * len(runs.cell_organization) + cell]
            assert best == (worth[0] if len(worth) else -np.inf)
            assert (members.organization[rows] == runs.cell_organization[cell]).all()
            county = runs.cell_region[cell, 2]
            assert (members.region[rows, :, 2] == county).any(axis=1).all()
            if topic == TOPICS:
                met |= set(rows.tolist())
    assert met == set(range(len(members.alive)))


def test_rows_are_found_by_key() -> None:
    members, runs = shared_bundle().members, Snapshot(shared_bundle()).member_runs
    for row in range(len(members.alive)):
        assert row_of_key(members.key, runs.by_key, int(members.key[row])) == row
    assert row_of_key(members.key, runs.by_key, 12345) == -1


def test_lists_leave_out_whoever_has_no_vector_of_their_own_and_keep_inner_products() -> None:
    rng = np.random.default_rng(0)
    ordinary = rng.normal(size=80).astype(np.float32)
    vectors = rng.normal(size=(700, 80)).astype(np.float32)
    vectors *= rng.lognormal(0.0, 2.0, (700, 1)).astype(np.float32)
    vectors[::7] = ordinary
    leads = rng.normal(size=(300, 80)).astype(np.float32)
    organization = rng.integers(-1, 4, 700).astype(np.int32)
    lists = build_member_lists(vectors, ordinary, leads, organization, seed=1)
    assert sorted(lists.row.tolist()) == [row for row in range(700) if row % 7]
    assert (lists.slot[::7] == -1).all()
    np.testing.assert_array_equal(lists.organization, organization[lists.row])
    rows = np.arange(700, dtype=np.int32)
    exact = vectors @ leads[0]
    close = inner_products(lists, leads[0], rows)
    np.testing.assert_allclose(close, exact, atol=0.02 * np.abs(exact).max())
    turned = (lists.near * lists.near_scale[:, None]) @ (lists.turn @ leads[0])
    best = lists.row[np.argsort(-turned)[:10]]
    assert len(set(best.tolist()) & set(np.argsort(-exact)[:20].tolist())) >= 8


def test_lists_are_the_same_in_whatever_pieces_the_vectors_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(5)
    vectors = rng.normal(size=(600, 12)).astype(np.float32)
    vectors[::4] = ordinary = np.full(12, 0.25, np.float32)
    leads = rng.normal(size=(90, 12)).astype(np.float32)
    organization = rng.integers(-1, 3, 600).astype(np.int32)
    whole = build_member_lists(vectors, ordinary, leads, organization, seed=1)
    monkeypatch.setattr("recsvc.model.member_lists._CHUNK", 7)
    pieces = build_member_lists(vectors, ordinary, leads, organization, seed=1)
    assert len(whole.row) == 450
    for name in MemberLists._fields:
        found, expected = getattr(pieces, name), getattr(whole, name)
        least = 1.0 if expected.dtype == np.int8 else 1e-5  # a code may be rounded the other way
        np.testing.assert_allclose(found, expected, atol=least, err_msg=name)


def test_nobody_with_a_vector_gives_empty_lists() -> None:
    nothing = np.zeros((5, 3), np.float32)
    lists = build_member_lists(nothing, nothing[0], nothing, np.zeros(5, np.int32), seed=1)
    assert len(lists.row) == 0
    assert inner_products(lists, nothing[0], np.arange(5, dtype=np.int32)).tolist() == [0.0] * 5


@given(st.lists(st.floats(-5, 5, width=32), min_size=1, max_size=60), st.integers(1, 60))
def test_at_least_so_many_of_the_largest(values: list[float], count: int) -> None:
    found = at_least(np.array(values, np.float32), count)
    assert len(found) >= min(count, len(values))
    rest = np.delete(np.array(values, np.float32), found)
    if len(rest):
        assert rest.max() <= np.array(values, np.float32)[found].min()


@settings(max_examples=20)
@given(st.lists(steps, min_size=1, max_size=20))
def test_what_is_kept_of_open_members_is_what_would_be_worked_out_anew(
    happened: list[Step],
) -> None:
    snapshot = Snapshot(tiny_bundle())
    kept, worth = snapshot.member_search.open, snapshot.member_runs.member_worth
    for step in happened:
        apply_steps(snapshot, step)
        kept.follow()
        bundle = snapshot.bundle
        anew = OpenMembers(snapshot.members, worth, bundle.ranker, bundle.context)
        for name in ("verdict", "open_count", "inactive_count"):
            np.testing.assert_array_equal(getattr(kept, name), getattr(anew, name), err_msg=name)


def test_whoever_is_worth_much_more_than_they_were_is_looked_at() -> None:
    snapshot = Snapshot(tiny_bundle())
    leads = snapshot.leads.base
    local = max(
        range(snapshot.leads.base_count),
        key=lambda row: filter_members(snapshot, leads, row, "", NOW_US).eligible_count,
    )
    filtered = filter_members(snapshot, leads, local, "", NOW_US)
    offered = kept_members(snapshot, filtered).tolist()
    found = listed_members(snapshot, leads, local, filtered, 1, NARROW)
    missed = [row for row in offered if row not in found]
    assert missed, "a world in which nobody is left out is no test"
    # As if the runs had been sorted when this member was worth much less.
    snapshot.member_runs.member_worth[missed[0]] -= 2 * RISEN
    snapshot.members.touch(missed[0])
    filtered = filter_members(snapshot, leads, local, "", NOW_US)
    assert filtered.risen.tolist() == [missed[0]]
    assert missed[0] in listed_members(snapshot, leads, local, filtered, 1, NARROW)

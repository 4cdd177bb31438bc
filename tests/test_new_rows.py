"""New rows: the best by the linear terms and the prior are found, and what changed is seen."""

from __future__ import annotations

import numpy as np
import pytest
from support.worlds import NOW_US, tiny_bundle

from recsvc.matching.candidates import (
    lead_prior,
    lead_query,
    lead_search_vectors,
    member_prior,
    member_query,
    member_search_vectors,
)
from recsvc.matching.new_rows import best_new_leads, best_new_members
from recsvc.model.arrays import F32
from recsvc.model.snapshot import Snapshot

COUNT = 6


@pytest.fixture
def snapshot() -> Snapshot:
    """Half of the small world came after the bundle."""
    snapshot = Snapshot(tiny_bundle())
    for i in range(0, 40, 2):
        snapshot.members.move_to_tail(f"m{i}")
        snapshot.leads.move_to_tail(f"l{i}")
    return snapshot


def best(values: F32, eligible: list[int]) -> set[int]:
    return set(sorted(eligible, key=lambda row: -values[row])[:COUNT])


def found_leads(snapshot: Snapshot, member: int, eligible: list[int]) -> set[int]:
    mask = np.zeros(snapshot.leads.tail_count, np.uint8)
    mask[eligible] = 1
    members, local = snapshot.members.locate(member)
    rows = best_new_leads(snapshot, members, local, mask, NOW_US, COUNT)
    return {row - snapshot.leads.base_count for row in rows.tolist()}


@pytest.mark.parametrize("member", [1, 3, 5])
def test_leads_are_the_best_of_those_that_are_eligible(snapshot: Snapshot, member: int) -> None:
    bundle, tail = snapshot.bundle, snapshot.leads.tail
    members, local = snapshot.members.locate(member)
    values = lead_search_vectors(tail) @ lead_query(bundle.ranker, members, local)
    values = values + lead_prior(bundle, tail, NOW_US)
    for eligible in (list(range(20)), [1, 5, 6, 7, 8, 9, 11, 13]):
        found = found_leads(snapshot, member, eligible)
        assert best(values, eligible) <= found <= set(eligible)
        assert len(found) <= COUNT * 5 // 4


def test_members_are_the_best_of_those_that_are_eligible(snapshot: Snapshot) -> None:
    bundle, tail = snapshot.bundle, snapshot.members.tail
    leads, local = snapshot.leads.locate(1)
    values = member_search_vectors(tail) @ member_query(bundle.ranker, leads, local)
    values = values + member_prior(bundle, tail)
    eligible = [*range(0, 20, 2), 3]
    mask = np.zeros(20, np.uint8)
    mask[eligible] = 1
    rows = best_new_members(snapshot, leads, local, mask, COUNT) - snapshot.members.base_count
    assert best(values, eligible) <= set(rows.tolist()) <= set(eligible)


def test_what_changed_is_seen_by_the_next_request(snapshot: Snapshot) -> None:
    everything = list(range(20))
    before = found_leads(snapshot, 1, everything)
    worst = min(set(everything) - before)
    # A lead is read anew: its vector speaks for it more than any other's.
    row = snapshot.leads.move_to_tail(f"l{2 * worst}")
    members, local = snapshot.members.locate(1)
    query = lead_query(snapshot.bundle.ranker, members, local)
    width = snapshot.bundle.widths.vector
    snapshot.leads.tail.vector[row - snapshot.leads.base_count] = 1e6 * query[:width]
    snapshot.leads.tail.text[row - snapshot.leads.base_count] = 1e6 * query[width:]
    assert worst in found_leads(snapshot, 1, everything)

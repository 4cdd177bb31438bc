"""Retrieval: with few eligible rows everything is ranked; with many, the best come all the same."""

from __future__ import annotations

import numpy as np
import pytest
from support.worlds import NOW_US, tiny_bundle

from recsvc.matching.candidates import CandidateConfig
from recsvc.matching.filters import Eligibility
from recsvc.matching.lead_filter import filter_leads
from recsvc.matching.listed_members import MemberConfig, member_candidates
from recsvc.matching.masks import mask_leads, mask_members
from recsvc.matching.retrieve import listed_leads
from recsvc.matching.score import score_pairs
from recsvc.model.snapshot import Snapshot
from recsvc.model.verdicts import Verdict

EVERYTHING = CandidateConfig()
SOME = CandidateConfig(new=8, all_below=10)
LITTLE = CandidateConfig(
    3, 0, 0, probes=1, list_rows=1, list_kept=1, block_rows=2, block_kept=1, ranked=1
)


MEMBERS_OF = {
    EVERYTHING: MemberConfig(),
    SOME: MemberConfig(all_below=10, looked=30, kept=16, probes=2, by_vector=4, ranked=8),
    LITTLE: MemberConfig(all_below=0, looked=8, kept=4, probes=1, by_vector=1, ranked=2),
}


@pytest.fixture
def mixed() -> Snapshot:
    """Rows in both segments."""
    snapshot = Snapshot(tiny_bundle())
    for i in (1, 3, 20, 21, 22, 23, 24, 35):
        snapshot.members.move_to_tail(f"m{i}")
        snapshot.leads.move_to_tail(f"l{i}")
    snapshot.leads.delete("l40")
    return snapshot


def leads_for(snapshot: Snapshot, member_id: str, config: CandidateConfig, depth: int) -> set[int]:
    row = snapshot.members.row(member_id)
    masked = mask_leads(snapshot, row, Eligibility(), NOW_US)
    found = listed_leads(snapshot, row, filter_leads(snapshot, row, NOW_US), depth, config)
    assert all(masked.at(int(r)) is Verdict.KEPT for r in found)
    assert len(set(found.tolist())) == len(found)
    return set(found.tolist())


def members_for(snapshot: Snapshot, lead_id: str, config: CandidateConfig, depth: int) -> set[int]:
    leads, local = snapshot.leads.locate(snapshot.leads.row(lead_id))
    masked = mask_members(snapshot, leads, local, lead_id, Eligibility(), NOW_US)
    found = member_candidates(snapshot, leads, local, masked, depth, MEMBERS_OF[config])
    assert all(masked.at(int(r)) is Verdict.KEPT for r in found)
    assert len(set(found.tolist())) == len(found)
    return set(found.tolist())


def test_few_rows_are_all_candidates(mixed: Snapshot) -> None:
    for i in range(0, 40, 3):
        row = mixed.members.row(f"m{i}")
        masked = mask_leads(mixed, row, Eligibility(), NOW_US)
        assert len(leads_for(mixed, f"m{i}", EVERYTHING, 5)) == masked.eligible_count
    for i in range(0, 80, 7):
        leads, local = mixed.leads.locate(mixed.leads.row(f"l{i}"))
        masked = mask_members(mixed, leads, local, f"l{i}", Eligibility(), NOW_US)
        assert len(members_for(mixed, f"l{i}", EVERYTHING, 5)) == masked.eligible_count


def recall(snapshot: Snapshot, config: CandidateConfig, k: int) -> tuple[float, float]:
    """How many of the k best of all are among the candidates: of leads, and of members."""
    hits = []
    for i in range(0, 40, 2):
        row = snapshot.members.row(f"m{i}")
        every = np.array(sorted(leads_for(snapshot, f"m{i}", EVERYTHING, k)), np.int64)
        own = np.full(len(every), row)
        scores = score_pairs(
            snapshot.bundle, snapshot.members, own, snapshot.leads, every, NOW_US
        ).scores
        best = every[np.argsort(-scores)[:k]].tolist()
        hits.append(len(leads_for(snapshot, f"m{i}", config, k) & set(best)) / max(len(best), 1))
    turned = []
    for i in range(0, 80, 5):
        every = np.array(sorted(members_for(snapshot, f"l{i}", EVERYTHING, k)), np.int64)
        if not len(every):
            continue
        other = np.full(len(every), snapshot.leads.row(f"l{i}"))
        scores = score_pairs(
            snapshot.bundle, snapshot.members, every, snapshot.leads, other, NOW_US
        ).scores
        best = every[np.argsort(-scores)[:k]].tolist()
        turned.append(len(members_for(snapshot, f"l{i}", config, k) & set(best)) / len(best))
    return float(np.mean(hits)), float(np.mean(turned))


def test_a_few_sources_bring_most_of_the_best(mixed: Snapshot) -> None:
    assert min(recall(mixed, SOME, 4)) > 0.85
    assert min(recall(mixed, LITTLE, 1)) < 1.0, "a world in which nothing can be missed is no test"


def test_a_deeper_list_brings_more(mixed: Snapshot) -> None:
    shallow, deep = (leads_for(mixed, "m2", LITTLE, depth) for depth in (1, 6))
    assert len(shallow) < len(deep)
    assert shallow <= deep
    assert len(leads_for(mixed, "m2", LITTLE, 500)) == len(leads_for(mixed, "m2", EVERYTHING, 5))


def test_nobody_eligible_gives_no_candidates(mixed: Snapshot) -> None:
    nothing = Eligibility(candidate_keys=frozenset())
    filtered = filter_leads(mixed, 0, NOW_US, nothing)
    assert listed_leads(mixed, 0, filtered, 5, EVERYTHING).tolist() == []
    assert listed_leads(mixed, 0, filtered, 5, LITTLE).tolist() == []

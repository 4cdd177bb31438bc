"""Scores of pairs in any mix of segments equal the scores of the same rows in one segment."""

from __future__ import annotations

import numpy as np
from support.worlds import NOW_US

from recsvc.matching.score import Scored, score_pairs, score_rows
from recsvc.model.additive import additive_terms
from recsvc.model.arrays import I64
from recsvc.model.snapshot import Snapshot


def all_pairs(snapshot: Snapshot) -> tuple[I64, I64]:
    members = [snapshot.members.row(i) for i in snapshot.bundle.member_ids]
    leads = [snapshot.leads.row(i) for i in snapshot.bundle.lead_ids]
    left, right = np.meshgrid(members, leads, indexing="ij")
    return left.ravel(), right.ravel()


def score_all(snapshot: Snapshot) -> Scored:
    members, leads = all_pairs(snapshot)
    return score_pairs(snapshot.bundle, snapshot.members, members, snapshot.leads, leads, NOW_US)


def test_where_a_row_lives_does_not_change_its_scores(snapshot: Snapshot) -> None:
    before = score_all(snapshot)
    for i in (1, 7, 12, 30):
        snapshot.members.move_to_tail(f"m{i}")
        snapshot.leads.move_to_tail(f"l{i}")
    after = score_all(snapshot)
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)


def test_the_terms_and_the_intercept_are_the_score(snapshot: Snapshot) -> None:
    bundle = snapshot.bundle
    scored = score_all(snapshot)
    total = scored.terms.sum(axis=1, dtype=np.float64) + bundle.ranker.intercept
    np.testing.assert_allclose(scored.scores, total, atol=1e-4)
    np.testing.assert_array_equal(scored.terms, additive_terms(bundle.ranker, scored.features))
    assert (np.abs(scored.terms).sum(axis=0) > 0).all(), "a feature that never counts hides errors"


def test_rows_of_one_segment_and_of_no_pair(snapshot: Snapshot) -> None:
    bundle = snapshot.bundle
    rows = np.array([3, 5], np.int32)
    now = np.full(2, NOW_US)
    local = score_rows(bundle, bundle.members, rows, bundle.leads, rows, now)
    every = score_all(snapshot)
    at = rows * len(bundle.lead_ids) + rows
    np.testing.assert_array_equal(local.scores, every.scores[at])
    none = np.zeros(0, np.int64)
    empty = score_pairs(bundle, snapshot.members, none, snapshot.leads, none, NOW_US)
    assert [len(part) for part in empty] == [0, 0, 0]

"""The scan's own view of a lead is the ranker's, but for rounding; what it scores is served."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from support.worlds import NOW_US, shared_bundle

from recsvc.matching.lead_scan import Scope
from recsvc.matching.lead_scan.best import least_of_best
from recsvc.matching.lead_scan.blocks import group_terms
from recsvc.matching.lead_scan.member import known_of
from recsvc.matching.lead_scan.rows import add_embeddings, row_values
from recsvc.matching.score import score_leads, score_pairs
from recsvc.model.scan_rows import half_byte_codes, row_views
from recsvc.model.snapshot import Snapshot


@given(
    st.lists(st.floats(-5, 5, width=32) | st.just(-np.inf), min_size=1, max_size=300),
    st.integers(1, 300),
)
def test_the_best_are_found_and_few_more(numbers: list[float], target: int) -> None:
    values = np.array(numbers, np.float32)
    least = least_of_best(values, np.empty(0, np.int32), target)
    found, finite = values[values >= least], np.sort(values[values > -np.inf])[::-1]
    assert (found > -np.inf).sum() >= min(target, len(finite))
    if least > -np.inf:
        # What is taken beyond the target lies within a bin of a bin of the last that was wanted.
        width = (finite[0] - finite[-1]) / 512**2
        assert found.min() >= finite[target - 1] - 2 * width - 1e-5


def test_half_byte_codes_are_the_values() -> None:
    rows = np.random.default_rng(3).normal(size=(200, 5)).astype(np.float32)
    codes, scale = half_byte_codes(rows, 4)
    wide = np.hstack([codes & 15, codes >> 4]).astype(np.float32)
    inside = np.abs(rows) < 7 * scale[:5]
    error = np.abs((wide[:, :5] - 8) * scale[:5] - rows)
    assert (error <= 0.51 * scale[:5])[inside].all()
    assert (scale[5:] == 0).all()


def test_scores_of_a_list_are_those_of_pairs() -> None:
    snapshot = Snapshot(shared_bundle())
    bundle = snapshot.bundle
    rows = np.arange(len(bundle.lead_ids))
    for member in range(0, 40, 3):
        one = score_leads(snapshot, bundle.members, member, rows, NOW_US)
        own = np.full(len(rows), member)
        other = score_pairs(bundle, snapshot.members, own, snapshot.leads, rows, NOW_US)
        for mine, theirs in zip(one, other, strict=True):
            np.testing.assert_array_equal(mine, theirs)
        total = one.terms.sum(axis=1, dtype=np.float64) + bundle.ranker.intercept
        np.testing.assert_allclose(one.scores, total, atol=1e-4)


def test_the_scan_and_the_ranker_agree_about_leads() -> None:
    snapshot = Snapshot(shared_bundle())
    bundle, blocks, rows = snapshot.bundle, snapshot.blocks, snapshot.scan_rows
    tables, members = snapshot.scan_tables, snapshot.bundle.members
    state = snapshot.open_leads.at(NOW_US)
    everywhere = np.ones(len(snapshot.organizations) + 1, np.bool_)
    slots = np.arange(len(blocks.row), dtype=np.int32)
    agreed = []
    for member in range(40):
        scope = Scope(everywhere, state.verdict, state.worth, state.block_worth, 0)
        known = known_of(
            bundle.ranker, bundle.context, tables, members, member, rows, blocks.topic_count
        )
        base, _, _ = group_terms(tables, known, members, member, blocks, scope)
        values = row_values(tables, known, row_views(rows), scope, base, slots)
        add_embeddings(tables, known, rows, rows.list_at[slots], values)
        found = blocks.row[slots].astype(np.int64)
        scores = score_leads(snapshot, members, member, found, NOW_US).scores
        agreed.append(np.corrcoef(values, scores)[0, 1])
    # Of the nearest single text, which weighs most here, a scan knows the mean of texts only.
    assert float(np.median(agreed)) > 0.85
    assert min(agreed) > 0.7

"""Blocks and lists hold every lead once, alike in what they say; what is kept follows changes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.changes import Step, apply_steps
from support.steps import steps
from support.worlds import DAY_US, NOW_US, shared_bundle, tiny_bundle

from recsvc.model.blocks import build_lead_blocks, globe_km
from recsvc.model.lead_rows import LeadRows
from recsvc.model.lists import build_lists
from recsvc.model.open_leads import OpenLeads
from recsvc.model.snapshot import Snapshot

TOPICS = len(shared_bundle().space.topics.names)


@pytest.mark.parametrize("most", [1, 3, 16])
def test_each_lead_is_in_one_block_of_its_kind(most: int) -> None:
    leads = shared_bundle().leads
    blocks = build_lead_blocks(leads, TOPICS, most)
    assert sorted(blocks.row.tolist()) == list(range(len(leads.alive)))
    np.testing.assert_array_equal(blocks.row[blocks.slot], np.arange(len(leads.alive)))
    sizes = np.diff(blocks.block_start)
    assert sizes.min() >= 1
    assert sizes.max() <= most
    group = np.repeat(np.arange(len(blocks.group_organization)), np.diff(blocks.group_slot))
    block = np.repeat(np.arange(len(sizes)), sizes)
    np.testing.assert_array_equal(leads.organization[blocks.row], blocks.group_organization[group])
    np.testing.assert_array_equal(leads.region[blocks.row, 2], blocks.group_region[group, 2])
    topic = np.where(leads.topics[:, 0] >= 0, leads.topics[:, 0], TOPICS)
    np.testing.assert_array_equal(topic[blocks.row], blocks.block_topic[block])


def test_chords_of_the_globe_are_distances() -> None:
    north, equator = globe_km(np.array([np.pi / 2, 0.0]), np.array([0.0, 0.0]))
    assert np.linalg.norm(north - equator) == pytest.approx(6371.0088 * np.sqrt(2.0), rel=1e-6)


def test_each_row_is_in_one_list_and_its_codes_are_its_embedding() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(700, 5)).astype(np.float32)
    organization = rng.integers(-1, 4, 700).astype(np.int32)
    lists = build_lists(vectors, organization, seed=1)
    assert len(lists.list_start) > 3
    assert sorted(lists.row.tolist()) == list(range(700))
    np.testing.assert_array_equal(lists.organization, organization[lists.row])
    np.testing.assert_allclose(lists.code * lists.scale, vectors[lists.row], atol=0.03)
    again = build_lists(vectors, organization, seed=1)
    np.testing.assert_array_equal(lists.row, again.row)


def test_leads_are_found_by_author_and_by_key() -> None:
    leads = shared_bundle().leads
    rows = LeadRows(leads)
    for row in range(len(leads.alive)):
        author, key = leads.author_key[row], leads.key[row]
        expected = np.flatnonzero(leads.author_key == author)
        assert sorted(rows.by_author(int(author)).tolist()) == expected.tolist()
        found = rows.of_keys(np.array([key]), np.array([author]))
        assert set(found.tolist()) == {row, *expected.tolist()}
    assert len(rows.of_keys(np.array([12345]), np.array([67890]))) == 0


@settings(max_examples=20)
@given(st.lists(steps, min_size=1, max_size=20), st.integers(0, 30))
def test_what_is_kept_of_open_leads_is_what_would_be_worked_out_anew(
    happened: list[Step], days_ago: int
) -> None:
    snapshot = Snapshot(tiny_bundle())
    then = NOW_US - days_ago * DAY_US
    for when in (NOW_US, then):
        snapshot.open_leads.at(when)
    for step in happened:
        apply_steps(snapshot, step)
        for when in (NOW_US, then):
            kept = snapshot.open_leads.at(when)
            bundle = snapshot.bundle
            fresh = OpenLeads(snapshot.leads, snapshot.blocks, bundle.ranker, bundle.context)
            anew = fresh.at(when)
            for name in ("verdict", "worth", "block_worth", "open_count", "removed"):
                np.testing.assert_allclose(getattr(kept, name), getattr(anew, name), err_msg=name)

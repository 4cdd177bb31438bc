"""Candidate sources: each brings the best by what it looks at, and only what is eligible."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from support.worlds import NOW_US, shared_bundle

from recsvc.matching.candidates import (
    best_of,
    by_distance,
    lead_prior,
    lead_query,
    lead_search_vectors,
    member_prior,
    member_query,
    member_search_vectors,
)
from recsvc.matching.score import score_rows
from recsvc.model.additive import AdditiveModel
from recsvc.model.arrays import F32
from recsvc.model.bundle import Bundle
from recsvc.model.scan_tables import table_slope
from recsvc.model.terms import FEATURE_NAMES, INDEX, OF_LEAD, OF_MEMBER
from training.defaults import default_ranker

NOWHERE = np.full(4, np.nan, np.float32)


def linear_ranker() -> AdditiveModel:
    return default_ranker(np.zeros((0, len(INDEX)), np.float32))


def test_the_query_weighs_the_parts_of_a_search_vector_as_the_ranker_weighs_the_terms() -> None:
    """With straight tables the order by the query is the order by these three terms."""
    bundle = shared_bundle()
    model = linear_ranker()
    names = ("embedding", "expertise_text", "interest_text")
    member = int(np.argmax(bundle.members.events))
    found = lead_search_vectors(bundle.leads) @ lead_query(model, bundle.members, member)
    rows = np.arange(len(bundle.lead_ids), dtype=np.int32)
    own = np.full(len(rows), member, np.int32)
    now = np.full(len(rows), NOW_US)
    scored = score_rows(bundle, bundle.members, own, bundle.leads, rows, now)
    slopes = np.array([table_slope(model, name) for name in names])
    expected = scored.features[:, [INDEX[name] for name in names]] @ slopes
    np.testing.assert_allclose(found, expected, atol=1e-4)
    lead = int(np.argmax(bundle.leads.events))
    found = member_search_vectors(bundle.members) @ member_query(model, bundle.leads, lead)
    rows = np.arange(len(bundle.member_ids), dtype=np.int32)
    other = np.full(len(rows), lead, np.int32)
    scored = score_rows(bundle, bundle.members, rows, bundle.leads, other, now[: len(rows)])
    expected = scored.features[:, [INDEX[name] for name in names]] @ slopes
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_table_that_falls_or_is_not_used_weighs_nothing() -> None:
    model = linear_ranker()
    assert table_slope(model, "expertise_text") == 4.0
    assert table_slope(model, "distance_log_km") == 0.0
    assert table_slope(model, "sector_topics") == 0.0


def prior_of(bundle: Bundle, names: Sequence[str], side: str) -> F32:
    """The same terms out of whole pairs: the value must not depend on the other side."""
    counts = {"lead": len(bundle.lead_ids), "member": len(bundle.member_ids)}
    rows = np.arange(counts[side], dtype=np.int32)
    found: list[F32] = []
    for other_row in (0, 7):
        other = np.full(len(rows), other_row, np.int32)
        pair = (other, rows) if side == "lead" else (rows, other)
        now = np.full(len(rows), NOW_US)
        scored = score_rows(bundle, bundle.members, pair[0], bundle.leads, pair[1], now)
        found.append(scored.terms[:, [INDEX[name] for name in names]].sum(axis=1))
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)
    return found[0]


def test_the_priors_are_the_terms_of_one_side() -> None:
    bundle = shared_bundle()
    own = tuple(FEATURE_NAMES[at] for at in OF_LEAD)
    prior = lead_prior(bundle, bundle.leads, NOW_US)
    np.testing.assert_allclose(prior, prior_of(bundle, own, "lead"), atol=1e-5)
    mine = tuple(FEATURE_NAMES[at] for at in OF_MEMBER)
    prior = member_prior(bundle, bundle.members)
    np.testing.assert_allclose(prior, prior_of(bundle, mine, "member"), atol=1e-5)


def test_best_of_keeps_the_order() -> None:
    prior = np.array([0.5, 3.0, 2.0, 3.0, -1.0], np.float32)
    assert best_of(prior, np.arange(5), 3).tolist() == [1, 3, 2]
    assert best_of(prior, np.array([0, 2, 4]), 9).tolist() == [2, 0, 4]
    assert best_of(prior, np.array([4, 0]), 2).tolist() == [0, 4]
    assert best_of(prior, np.empty(0, np.int64), 3).tolist() == []


def test_by_distance_is_the_nearest_of_any_two_places() -> None:
    latitude = np.radians([[28.0, np.nan], [29.0, 28.2], [np.nan, np.nan], [28.1, 40.0]])
    longitude = np.radians([[112.0, np.nan], [112.0, 112.0], [np.nan, np.nan], [112.0, 112.0]])
    places = latitude.astype(np.float32), longitude.astype(np.float32)
    every = np.ones(4, np.uint8)
    mine = (
        np.radians([28.21, np.nan]).astype(np.float32),
        np.radians([112.0, 5.0]).astype(np.float32),
    )
    assert by_distance(*places, *mine, every, 9).tolist() == [1, 3, 0]
    assert by_distance(*places, *mine, every, 1).tolist() == [1]
    assert by_distance(*places, *mine, np.array([1, 0, 1, 1], np.uint8), 9).tolist() == [3, 0]
    assert len(by_distance(*places, NOWHERE, NOWHERE, every, 9)) == 0

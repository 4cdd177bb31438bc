"""The ranker of a tenant without a log: it prefers what fits, what is near, what is fresh."""

from __future__ import annotations

import numpy as np
import pytest
from support.worlds import random_pairs, tiny_state

from recsvc.model.additive import additive_scores, additive_terms
from recsvc.model.arrays import F32
from recsvc.model.terms import FEATURE_COUNT, INDEX
from training.defaults import DEFAULT_TABLES, default_ranker
from training.examples import features_of

NOTHING = np.zeros((0, FEATURE_COUNT), np.float32)


def with_value(feature: str, value: float) -> F32:
    """One pair of which only one feature is known."""
    features = np.full((1, FEATURE_COUNT), np.nan, np.float32)
    features[0, INDEX[feature]] = value
    return features


@pytest.mark.parametrize(
    ("feature", "better", "worse"),
    [
        ("embedding", 0.9, 0.1),
        ("embedding", 3.0, 2.0),
        ("embedding", -1.0, -2.0),
        ("expertise_text", 0.8, 0.2),
        ("expertise_topics", 1.0, 0.0),
        ("distance_log_km", 0.5, 4.0),
        ("activity_log_km", 0.5, 4.0),
        ("age_log_hours", 3.0, 8.5),
        ("urgency", 3.0, 0.0),
    ],
)
def test_what_is_better_scores_more(feature: str, better: float, worse: float) -> None:
    model = default_ranker(NOTHING)
    good, bad = (additive_scores(model, with_value(feature, x))[0] for x in (better, worse))
    assert good > bad


def test_what_is_not_known_moves_nothing() -> None:
    unknown = np.full((1, FEATURE_COUNT), np.nan, np.float32)
    assert not additive_terms(default_ranker(NOTHING), unknown).any()


def test_terms_are_centred_on_the_pairs_that_were_seen() -> None:
    state = tiny_state()
    features = features_of(state, random_pairs(state, 3_000, seed=2))
    terms = additive_terms(default_ranker(features), features)
    for name in DEFAULT_TABLES:
        known = ~np.isnan(features[:, INDEX[name]])
        inside = features[known, INDEX[name]]
        points = [x for x, _ in DEFAULT_TABLES[name]]
        if name != "embedding":  # its line goes on beyond its points
            assert terms[known, INDEX[name]].mean() == pytest.approx(0.0, abs=1e-3), name
        assert len(points) >= 2
        assert len(inside)
    unused = [i for name, i in INDEX.items() if name not in DEFAULT_TABLES]
    assert not terms[:, unused].any()

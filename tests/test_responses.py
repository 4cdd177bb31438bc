"""Closer looks beside claims: they teach where claims are few, and never speak of slots twice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit
from support.worlds import CONFIG, random_pairs, tiny_state

from recsvc.model.additive import additive_scores
from recsvc.model.arrays import F32
from recsvc.model.terms import FEATURE_COUNT, INDEX
from training.examples import features_of
from training.exposures import Pairs
from training.learn import learn_ranker
from training.responses import (
    LOOK_FEATURES,
    SLOT_FEATURES,
    as_claims,
    response_rows,
    share_of_looks,
    with_slots,
)

NO_LOOKS = replace(CONFIG, examples=replace(CONFIG.examples, enough_rows=0))


def lesson(count: int, seed: int) -> tuple[Pairs, F32, F32]:
    """Rare claims and many looks; the log-odds of a look move half as much (the third)."""
    state = tiny_state()
    pairs = random_pairs(state, count, seed)
    features = features_of(state, pairs)
    far = np.nan_to_num(features[:, INDEX["distance_log_km"]], nan=3.0)
    wanted = (4.0 * features[:, INDEX["expertise_text"]] - far).astype(np.float32)
    rng = np.random.default_rng(seed)
    label = (rng.random(count) < expit(wanted - 1.5)).astype(np.float32)
    opened = np.maximum(rng.random(count) < expit(0.5 * wanted + 0.5), label)
    slot = rng.integers(0, 4, count).astype(np.int32)
    pairs = Pairs(pairs.member, pairs.lead, pairs.time_us, label, slot, None, opened)
    return pairs, features, wanted


def test_looks_teach_what_few_claims_cannot() -> None:
    _, unseen, wanted = lesson(2_000, seed=99)

    def likeness(config: object) -> float:
        found = []
        for seed in range(5):
            pairs, features, _ = lesson(1_000, seed)
            learned = learn_ranker(pairs, features, None, config)  # type: ignore[arg-type]
            scores = additive_scores(learned.ranker, unseen)
            found.append(float(np.corrcoef(scores, wanted)[0, 1]))
        return float(np.mean(found))

    assert likeness(CONFIG) > likeness(NO_LOOKS) + 0.01


def test_a_probability_is_that_of_a_claim() -> None:
    pairs, features, _ = lesson(4_000, seed=1)
    learned = learn_ranker(pairs, features, None, CONFIG)
    chances = learned.calibration.probability(additive_scores(learned.ranker, features))
    assert chances is not None
    pushed = pairs.slot == 0
    assert pairs.opened is not None
    assert pairs.opened.mean() > 2.0 * pairs.label.mean()
    assert chances[pushed].mean() == pytest.approx(pairs.label[pushed].mean(), rel=0.15)


def test_each_kind_of_response_knows_its_own_slots_alone() -> None:
    pairs, features, _ = lesson(200, seed=2)
    seen = with_slots(features, pairs)
    rows = response_rows(seen, pairs, 0.5, 1.0, seed=0)
    assert len(rows.schema) == FEATURE_COUNT + len(SLOT_FEATURES) + len(LOOK_FEATURES)
    claims, looks = rows.features[:200], rows.features[200:]
    assert len(looks) == 200
    own, others = slice(FEATURE_COUNT, FEATURE_COUNT + 2), slice(FEATURE_COUNT + 2, None)
    assert np.isnan(claims[:, others]).all()
    assert np.isnan(looks[:, own]).all()
    assert np.array_equal(claims[:, own], looks[:, others])
    assert np.array_equal(as_claims(seen, rows), claims, equal_nan=True)
    assert rows.worth is not None
    assert set(rows.worth[:200].tolist()) == {1.0}
    assert set(rows.worth[200:].tolist()) == {0.5}


def test_looks_are_taken_until_there_are_enough_rows() -> None:
    pairs, features, _ = lesson(2_000, seed=3)
    seen = with_slots(features, pairs)
    some = response_rows(seen, pairs, 0.5, share_of_looks(2_000, 3_000), seed=0)
    assert 2_900 < len(some.label) < 3_100
    none = share_of_looks(2_000, 2_000)
    assert response_rows(seen, pairs, 0.5, none, seed=0).worth is None
    assert share_of_looks(2_000, 9_000) == 1.0


def test_a_log_that_says_nothing_of_looks_has_claims_alone() -> None:
    pairs, features, _ = lesson(200, seed=4)
    rows = response_rows(with_slots(features, pairs), replace(pairs, opened=None), 0.5, 1.0, 0)
    assert rows.worth is None
    assert len(rows.label) == 200

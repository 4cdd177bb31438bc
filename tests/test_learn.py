"""Learning the ranker: from enough pairs, from too few, with and without exposures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.worlds import CONFIG, random_pairs, tiny_state

from recsvc.model.additive import additive_scores, additive_terms
from recsvc.model.arrays import F32
from recsvc.model.terms import FEATURE_COUNT, INDEX
from training.examples import features_of
from training.exposures import Pairs
from training.learn import FEWEST_POSITIVES, learn_ranker, teach_mask
from training.metrics import auc


def lesson(count: int, seed: int) -> tuple[Pairs, F32]:
    """Pairs that are taken when the texts are alike and the distance is small."""
    state = tiny_state()
    pairs = random_pairs(state, count, seed)
    features = features_of(state, pairs)
    rng = np.random.default_rng(seed)
    alike = features[:, INDEX["expertise_text"]]
    far = np.nan_to_num(features[:, INDEX["distance_log_km"]], nan=3.0)
    chance = 1.0 / (1.0 + np.exp(-(4.0 * alike - far)))
    label = (rng.random(count) < chance).astype(np.float32)
    return Pairs(pairs.member, pairs.lead, pairs.time_us, label), features


def test_exposed_pairs_give_a_ranker_and_its_probabilities() -> None:
    pairs, features = lesson(3_000, seed=1)
    learned = learn_ranker(pairs, features, None, CONFIG)
    assert learned.pair_count == 3_000
    others, unseen = lesson(3_000, seed=2)
    scores = additive_scores(learned.ranker, unseen)
    assert auc(scores, others.label) > 0.75
    probabilities = learned.calibration.probability(scores)
    assert probabilities is not None
    for low, high in ((0.0, 0.2), (0.2, 0.5), (0.5, 1.0)):
        part = (probabilities >= low) & (probabilities < high)
        assert part.any()
        assert others.label[part].mean() == pytest.approx(probabilities[part].mean(), abs=0.07)


def test_chosen_pairs_give_an_order_but_no_probabilities() -> None:
    pairs, features = lesson(2_000, seed=1)
    learned = learn_ranker(pairs, features, pairs.member, CONFIG)
    assert learned.pair_count == 2_000
    assert len(learned.calibration.scores) == 0
    assert auc(additive_scores(learned.ranker, features), pairs.label) > 0.7


def test_the_order_of_the_pairs_does_not_matter_much_and_the_same_gives_the_same() -> None:
    pairs, features = lesson(1_000, seed=3)
    once, twice = (learn_ranker(pairs, features, None, CONFIG) for _ in range(2))
    for a, b in zip(
        (*once.ranker, *once.calibration), (*twice.ranker, *twice.calibration), strict=True
    ):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("positives", [0, FEWEST_POSITIVES - 1, 300])
def test_too_little_to_learn_from_gives_the_default_ranker(positives: int) -> None:
    pairs, features = lesson(300, seed=4)
    label = np.zeros(300, np.float32)
    label[:positives] = 1.0
    learned = learn_ranker(
        Pairs(pairs.member, pairs.lead, pairs.time_us, label), features, None, CONFIG
    )
    assert learned.pair_count == 0
    assert len(learned.calibration.scores) == 0
    assert additive_terms(learned.ranker, features).any()


def test_no_pairs_at_all() -> None:
    none = np.zeros(0, np.int32)
    nothing = Pairs(none, none, none.astype(np.int64), none.astype(np.float32))
    features = np.zeros((0, FEATURE_COUNT), np.float32)
    assert learn_ranker(nothing, features, None, CONFIG).pair_count == 0


def test_claims_of_one_half_of_the_leads_alone_cannot_calibrate() -> None:
    """The other half has nothing to fit a ranker on."""
    pairs, features = lesson(600, seed=5)
    busiest = int(np.bincount(pairs.lead).argmax())
    pairs = replace(pairs, label=(pairs.lead == busiest).astype(np.float32))
    repeated = np.tile(np.arange(600, dtype=np.int32), 4)
    learned = learn_ranker(pairs.select(repeated), features[repeated], None, CONFIG)
    assert learned.pair_count == 2_400
    assert len(learned.calibration.scores) == 0


def test_members_teach_or_judge_never_both() -> None:
    pairs, _ = lesson(2_000, seed=6)
    teach = teach_mask(pairs, CONFIG.seed)
    assert not set(pairs.member[teach]) & set(pairs.member[~teach])
    assert 0.2 < teach.mean() < 0.8

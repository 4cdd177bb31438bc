"""Explanations are faithful: the reasons are the score."""

from __future__ import annotations

import numpy as np
import pytest
from support.worlds import NOW_US, random_pairs, shared_bundle, tiny_state

from recsvc.matching.explain import group_weights
from recsvc.matching.score import score_rows
from recsvc.model.terms import FEATURES
from training.exposures import Pairs

COUNT = 1_000


@pytest.fixture(scope="module")
def asked() -> Pairs:
    return random_pairs(tiny_state(), COUNT, seed=11)


def test_the_weights_of_all_groups_and_the_baseline_sum_to_the_score(asked: Pairs) -> None:
    bundle = shared_bundle()
    now = np.full(COUNT, NOW_US)
    scored = score_rows(bundle, bundle.members, asked.member, bundle.leads, asked.lead, now)
    for terms, score in zip(scored.terms, scored.scores.tolist(), strict=True):
        total = sum(group_weights(terms).values()) + bundle.ranker.intercept
        assert total == pytest.approx(score, abs=1e-4)


def test_without_its_strongest_reason_a_pair_falls_back(asked: Pairs) -> None:
    """The score falls by the reason's weight, and with it the rank among all leads."""
    bundle = shared_bundle()
    leads = np.arange(len(bundle.leads.alive), dtype=np.int32)
    now = np.full(len(leads), NOW_US)
    groups = np.array([feature.group for feature in FEATURES])
    fell = raised = 0
    for member, lead in zip(asked.member.tolist(), asked.lead.tolist(), strict=True):
        rows = np.full(len(leads), member, np.int32)
        scored = score_rows(bundle, bundle.members, rows, bundle.leads, leads, now)
        weights = group_weights(scored.terms[lead])
        group, weight = max(weights.items(), key=lambda item: item[1])
        if weight <= 0.0:
            continue  # nothing speaks for this pair: what lowered it least is told instead
        raised += 1
        without = scored.terms[lead][groups != group].sum() + bundle.ranker.intercept
        assert without == pytest.approx(scored.scores[lead] - weight, abs=1e-4)
        assert without < scored.scores[lead]
        fell += (scored.scores > without).sum() > (scored.scores > scored.scores[lead]).sum() + 1
    assert raised > 0.95 * COUNT
    assert fell > 0.9 * raised

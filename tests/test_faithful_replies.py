"""Explanations are faithful in what is served: a thousand random replies of the pipeline."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from support.worlds import pipeline_of, shared_bundle

from recsvc.matching.queries import Item, ListQuery, RankedList
from recsvc.model.snapshot import Snapshot

REPLIES, LISTED = 1_000, 30
QUERY = ListQuery(count=LISTED, with_terms=True)


@pytest.fixture(scope="module")
def replies() -> list[RankedList]:
    """Lists of leads (of all lengths) and of members in turn, for random members and leads."""
    bundle = shared_bundle()
    pipeline, rng = pipeline_of(Snapshot(bundle)), np.random.default_rng(17)
    members, leads = bundle.member_ids.ids, bundle.lead_ids.ids
    found: list[RankedList] = []
    while len(found) < REPLIES:
        recommended = pipeline.recommend(members[rng.integers(len(members))], QUERY)
        matched = pipeline.match(leads[rng.integers(len(leads))], QUERY)
        found += [reply for reply in (recommended, matched) if reply.items]
    return found[:REPLIES]


def _groups(item: Item) -> Counter[str]:
    weights: Counter[str] = Counter()
    for term in item.terms:
        weights[term.group] += term.weight  # type: ignore[assignment]
    return weights


def test_the_baseline_and_the_weights_of_all_terms_are_the_score(replies: list[RankedList]) -> None:
    for reply in replies:
        for item in reply.items:
            total = reply.baseline + sum(term.weight for term in item.terms)
            assert total == pytest.approx(item.score, abs=1e-4)


def test_a_reason_weighs_what_its_terms_do(replies: list[RankedList]) -> None:
    """And none that is told weighs less than one that is told after it."""
    for reply in replies:
        for item in reply.items:
            groups = _groups(item)
            weights = [reason.weight for reason in item.reasons]
            assert weights
            assert weights == sorted(weights, reverse=True)
            for reason in item.reasons:
                assert reason.weight == pytest.approx(groups[reason.group], abs=1e-4)


def test_without_the_first_reason_the_score_and_the_rank_fall(replies: list[RankedList]) -> None:
    rng = np.random.default_rng(5)
    raised = overtaken = could_be = 0
    for reply in replies:
        place = int(rng.integers(len(reply.items)))
        item = reply.items[place]
        first = item.reasons[0]
        if first.weight <= 0.0:
            # Of what speaks for the pair nothing can be told that is not so of the whole list:
            # what lowered the score least is told instead.
            continue
        raised += 1
        kept = sum(term.weight for term in item.terms if term.group != first.group)
        without = reply.baseline + kept
        assert without < item.score
        assert without == pytest.approx(item.score - first.weight, abs=1e-4)
        scores = np.delete([other.score for other in reply.items], place)
        could_be += bool((scores < item.score).any())
        overtaken += bool(((scores < item.score) & (scores > without)).any())
    assert raised > 0.85 * REPLIES
    assert overtaken > 0.8 * could_be > 0.65 * REPLIES

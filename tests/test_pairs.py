"""Given pairs: their scores in the order asked, and why a pair is offered or not."""

from __future__ import annotations

import math

import pytest
from support.asking import NEW_LEAD, add_copies
from support.changes import apply_steps
from support.plain import PlainWorld
from support.worlds import NOW_US, make_event

from features.entities import EventKind
from recsvc.matching.candidates import CandidateConfig
from recsvc.matching.pipeline import Pipeline, PipelineConfig
from recsvc.matching.queries import ListQuery
from recsvc.model.snapshot import Snapshot
from recsvc.model.verdicts import Verdict


def test_pairs_are_scored_in_their_order_whatever_stands_against_them(
    snapshot: Snapshot, pipeline: Pipeline
) -> None:
    apply_steps(snapshot, NEW_LEAD, make_event(EventKind.DISMISSED, NOW_US, 3, 30))
    world = PlainWorld.tiny()
    for step in (NEW_LEAD, make_event(EventKind.DISMISSED, NOW_US, 3, 30)):
        world.take(step)
    expected = world.verdicts(NOW_US)
    pairs = [(f"m{m}", n) for m in (39, 3, 12, 0) for n in ("l30", "new", "l2", "l0", "l30")]
    found = pipeline.score_pairs(pairs)
    assert found.verdicts == [expected[pair] for pair in pairs]
    assert found.probabilities is not None
    for pair, score, probability in zip(pairs, found.scores, found.probabilities, strict=True):
        alone = pipeline.explain(*pair)
        assert score == pytest.approx(alone.score, abs=1e-5)
        assert alone.claim_probability == pytest.approx(probability, abs=1e-5)


def test_unknown_ids_have_no_score_and_spoil_nothing(pipeline: Pipeline) -> None:
    found = pipeline.score_pairs([("m3", "l30"), ("nobody", "l3"), ("m3", "nothing")])
    assert not math.isnan(found.scores[0])
    assert math.isnan(found.scores[1])
    assert math.isnan(found.scores[2])
    assert found.verdicts[1:] == [Verdict.DELETED, Verdict.DELETED]
    assert found.probabilities is not None
    assert math.isnan(found.probabilities[1])
    assert pipeline.score_pairs([]).scores == []


def test_an_explanation_agrees_with_the_list(pipeline: Pipeline) -> None:
    for member_id in ("m3", "m12"):
        answer = pipeline.recommend(member_id, ListQuery(count=1_000, with_terms=True))
        for place, item in enumerate(answer.items):
            found = pipeline.explain(member_id, item.id)
            assert found.verdicts == ()
            assert found.rank is not None
            assert answer.items[found.rank].score == pytest.approx(item.score)
            assert found.rank <= place
            assert [(t.feature, t.weight) for t in found.terms] == [
                (t.feature, t.weight) for t in item.terms
            ]
            assert found.baseline == answer.baseline
            assert found.distance_km == item.distance_km
            assert found.score == pytest.approx(item.score)


def test_what_is_not_offered_says_why_and_still_has_its_score(pipeline: Pipeline) -> None:
    seen = set()
    for (member_id, lead_id), verdict in list(PlainWorld.tiny().verdicts(NOW_US).items())[::7]:
        found = pipeline.explain(member_id, lead_id)
        assert found.verdicts[:1] == (() if verdict is Verdict.KEPT else (verdict,))
        assert (found.rank is None) == (verdict is not Verdict.KEPT)
        total = found.baseline + sum(t.weight for t in found.terms)
        assert total == pytest.approx(found.score, abs=1e-4)
        assert found.reasons
        assert all("您" not in reason.text for reason in found.reasons)
        seen.add(verdict)
    assert len(seen) >= 6


def test_a_lead_that_was_not_retrieved_has_no_rank(snapshot: Snapshot) -> None:
    """Nothing stands against it, but retrieval brings enough that fit better."""
    add_copies(snapshot, 450)
    config = PipelineConfig(CandidateConfig(new=1, all_below=0))
    pipeline = Pipeline(snapshot, config, clock=lambda: NOW_US)
    best, worst = (pipeline.explain("m3", f"copy{i}") for i in (0, 449))
    assert best.verdicts == ()
    assert best.rank is not None
    assert worst.verdicts == ()
    assert worst.rank is None

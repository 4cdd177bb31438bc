"""The pipeline: the best of what may be offered, in order, page by page, with its reasons."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from msgspec import structs
from support.asking import ALL, NOBODY, add_copies
from support.plain import PlainWorld
from support.worlds import DAY_US, NOW_US, SCALE, pipeline_of, tiny_bundle, tiny_dataset

from features.entities import Lead, LeadState
from recsvc.errors import InvalidRegionCodeError, UnknownLeadError, UnknownMemberError
from recsvc.matching.candidates import CandidateConfig
from recsvc.matching.page import DIVERSITY_POOL
from recsvc.matching.pipeline import Pipeline, PipelineConfig, now_us
from recsvc.matching.queries import Item, ListQuery, RankedList, ServingMode, Wanted
from recsvc.model.additive import Calibration
from recsvc.model.snapshot import Snapshot
from recsvc.model.terms import FEATURE_COUNT
from recsvc.model.verdicts import Verdict
from training.defaults import default_ranker

MEMBERS = ("m0", "m3", "m12", "m17", "m38")
LEADS = ("l9", "l16", "l57", "l78")


def ids(answer: RankedList) -> list[str]:
    return [item.id for item in answer.items]


def test_a_list_holds_what_may_be_offered_best_first(pipeline: Pipeline) -> None:
    expected = PlainWorld.tiny().verdicts(NOW_US)
    for member_id in MEMBERS:
        answer = pipeline.recommend(member_id, ALL)
        kept = {n for (m, n), v in expected.items() if m == member_id and v is Verdict.KEPT}
        assert set(ids(answer)) == kept != set()
        check_list(pipeline, answer, [(member_id, i) for i in ids(answer)])
        taken = [v for (m, _), v in expected.items() if m == member_id and v is not Verdict.KEPT]
        assert answer.removed == {v: taken.count(v) for v in set(taken)}
    for lead_id in LEADS:
        answer = pipeline.match(lead_id, ALL)
        kept = {m for (m, n), v in expected.items() if n == lead_id and v is Verdict.KEPT}
        assert set(ids(answer)) == kept != set()
        check_list(pipeline, answer, [(i, lead_id) for i in ids(answer)])


def check_list(pipeline: Pipeline, answer: RankedList, pairs: list[tuple[str, str]]) -> None:
    """Order, scores, probabilities and reasons, against the scores of the same pairs."""
    scored = pipeline.score_pairs(pairs)
    scores = [item.score for item in answer.items]
    assert scores == sorted(scores, reverse=True)
    np.testing.assert_allclose(scores, scored.scores, atol=1e-5)
    assert scored.probabilities is not None
    found = [item.claim_probability for item in answer.items]
    np.testing.assert_allclose(np.array(found, float), scored.probabilities, atol=1e-5)
    assert found == sorted(found, reverse=True, key=lambda p: p or 0.0)
    assert answer.eligible_count == len(answer.items)
    assert not answer.more
    assert all(item.reasons for item in answer.items)


@pytest.mark.parametrize("diversity", [0.0, 0.6])
@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_pages_put_together_are_the_list(pipeline: Pipeline, diversity: float, size: int) -> None:
    for ask, who in ((pipeline.recommend, "m3"), (pipeline.match, "l34")):
        whole = ask(who, structs.replace(ALL, diversity=diversity))
        assert len(whole.items) > 20
        pages: list[Item] = []
        more = True
        while more:
            query = ListQuery(count=size, offset=len(pages), diversity=diversity)
            page = ask(who, query)
            assert len(page.items) == min(size, len(whole.items) - len(pages))
            pages += page.items
            more = page.more
        assert [i.id for i in pages] == ids(whole)
        assert [i.diversity_adjustment for i in pages] == [
            i.diversity_adjustment for i in whole.items
        ]


def test_beyond_what_diversity_reorders_the_order_is_by_score() -> None:
    """More copies of a lead than diversity looks at: none is lost or told twice."""
    snapshot = Snapshot(tiny_bundle())
    add_copies(snapshot, DIVERSITY_POOL + 40)
    pipeline = pipeline_of(snapshot)
    answer = pipeline.recommend(NOBODY, structs.replace(ALL, diversity=0.5))
    assert len(set(ids(answer))) == len(answer.items) == answer.eligible_count
    rest = answer.items[DIVERSITY_POOL:]
    assert [i.score for i in rest] == sorted((i.score for i in rest), reverse=True)
    assert all(i.diversity_adjustment == 0.0 for i in rest)
    for diversity in (0.0, 0.5):
        whole = pipeline.recommend(NOBODY, structs.replace(ALL, diversity=diversity))
        for offset in (0, 150, 199, 200, 220):
            page = ListQuery(count=10, offset=offset, diversity=diversity)
            found = ids(pipeline.recommend(NOBODY, page))
            assert found == ids(whole)[offset : offset + 10]


def test_diversity_brings_other_subjects_up(pipeline: Pipeline) -> None:
    texts = pipeline.snapshot.leads.base.text

    def likeness(answer: RankedList) -> float:
        rows = [item.row for item in answer.items]
        cosines = texts[rows] @ texts[rows].T
        return float(np.triu(cosines, 1).sum())

    plain, varied = (
        [pipeline.recommend(m, ListQuery(count=8, diversity=d)) for m in MEMBERS]
        for d in (0.0, 1.0)
    )
    assert sum(map(likeness, varied)) < 0.6 * sum(map(likeness, plain))
    for a, b in zip(plain, varied, strict=True):
        assert a.items[0].id == b.items[0].id
        assert all(item.diversity_adjustment == 0.0 for item in a.items)
        assert all(item.diversity_adjustment <= 0.0 for item in b.items)


def test_terms_come_when_they_are_asked_for_and_sum_to_the_score(pipeline: Pipeline) -> None:
    for answer in (
        pipeline.recommend("m3", ListQuery(with_terms=True)),
        pipeline.match("l34", ListQuery(with_terms=True)),
    ):
        assert len(answer.items) == 10
        for item in answer.items:
            total = sum(term.weight for term in item.terms) + answer.baseline
            assert total == pytest.approx(item.score, abs=1e-4)
    assert pipeline.recommend("m3", ListQuery()).items[0].terms == ()


def test_reasons_of_a_list_differ_from_item_to_item(pipeline: Pipeline) -> None:
    """What is alike for all of a list (the member's zeal, the lead's age) is no reason in it."""
    for member_id in MEMBERS:
        for item in pipeline.recommend(member_id, ALL).items:
            if len(item.reasons) > 1:
                assert "WILLINGNESS" not in {r.group for r in item.reasons}
    found = pipeline.match("l34", ALL).items
    assert any(len(item.reasons) > 1 for item in found)
    for item in found:
        if len(item.reasons) > 1:
            assert not {r.group for r in item.reasons} & {"FRESHNESS", "URGENCY", "APPEAL"}


def test_a_draft_is_matched_like_the_stored_lead_it_becomes(pipeline: Pipeline) -> None:
    untouched = [x for x in tiny_dataset().leads[64:] if x.state is LeadState.OPEN and x.title]
    stored = next(x for x in untouched if x.claim_capacity is None)
    found = pipeline.match(replace(stored, lead_id=""), ALL)
    same = pipeline.match(stored.lead_id, ALL)
    assert found.items
    assert ids(found) == ids(same)
    np.testing.assert_allclose(
        [i.score for i in found.items], [i.score for i in same.items], atol=1e-4
    )


def test_a_draft_leaves_no_trace(pipeline: Pipeline) -> None:
    snapshot = pipeline.snapshot
    before = len(snapshot.leads), snapshot.organizations.ids
    pipeline.match(Lead("", title="停车", organization_id="nobody named it"), ALL)
    assert (len(snapshot.leads), snapshot.organizations.ids) == before


def test_with_nothing_but_a_place_the_nearest_come_first() -> None:
    ranker = default_ranker(np.empty((0, FEATURE_COUNT), np.float32))
    pipeline = pipeline_of(Snapshot(replace(tiny_bundle(), ranker=ranker)))
    answer = pipeline.match(Lead("", latitude=28.2, longitude=112.95), ListQuery(count=8))
    known = [item.distance_km for item in answer.items]
    assert all(km is not None for km in known)
    assert answer.mode is ServingMode.COLD_START


def test_as_of_a_time_only_what_there_was_is_offered(pipeline: Pipeline) -> None:
    created = {x.lead_id: x.create_time_us for x in tiny_dataset().leads}
    when = NOW_US - 100 * DAY_US
    now, then = (
        set(ids(pipeline.recommend("m12", q))) for q in (ALL, structs.replace(ALL, as_of_us=when))
    )
    assert then < now | {x.lead_id for x in tiny_dataset().leads if x.close_time_us > when}
    assert all(created[i] <= when + DAY_US for i in then)
    assert any(created[i] > when + DAY_US for i in now)


def test_the_clock_is_the_present() -> None:
    assert abs(now_us() - 1e6 * time.time()) < 60e6
    old = Pipeline(Snapshot(tiny_bundle()), clock=lambda: 1_000_000)
    assert set(ids(old.recommend("m12", ALL))) < set(created_never())


def created_never() -> list[str]:
    """Leads without a time of creation, and those closed later than the epoch."""
    return [x.lead_id for x in tiny_dataset().leads if x.create_time_us == 0] + ["x"]


def test_errors_say_what_to_do(pipeline: Pipeline) -> None:
    with pytest.raises(UnknownMemberError, match="'nobody': import it first"):
        pipeline.recommend("nobody", ALL)
    with pytest.raises(UnknownLeadError, match="'nothing': import it first, or send a draft"):
        pipeline.match("nothing", ALL)
    with pytest.raises(UnknownMemberError):
        pipeline.explain("nobody", "l1")
    with pytest.raises(UnknownLeadError):
        pipeline.explain("m1", "nothing")
    with pytest.raises(InvalidRegionCodeError):
        pipeline.match("l1", ListQuery(wanted=Wanted(region_code="x")))


def test_one_member_s_error_does_not_touch_the_others(pipeline: Pipeline) -> None:
    found = list(pipeline.recommend_many(["m3", "nobody", "m12"], ListQuery(count=2)))
    assert isinstance(found[1], UnknownMemberError)
    for at, member_id in ((0, "m3"), (2, "m12")):
        answer = found[at]
        assert isinstance(answer, RankedList)
        assert ids(answer) == ids(pipeline.recommend(member_id, ListQuery(count=2)))


def test_an_uncalibrated_model_gives_no_probability() -> None:
    nothing = Calibration(*(np.zeros(0, np.float32) for _ in SCALE))
    bundle = replace(tiny_bundle(), calibration=nothing)
    pipeline = Pipeline(Snapshot(bundle), clock=lambda: NOW_US)
    assert pipeline.recommend("m3", ListQuery()).items[0].claim_probability is None
    assert pipeline.score_pairs([("m3", "l3")]).probabilities is None
    assert pipeline.explain("m3", "l3").claim_probability is None


@dataclass
class Listener:
    stages: list[str] = field(default_factory=list)
    removals: dict[Verdict, int] = field(default_factory=dict)

    def ran(
        self, stages: tuple[str, ...], moments: Sequence[float], removed: Mapping[Verdict, int]
    ) -> None:
        assert len(moments) == len(stages) + 1
        assert list(moments) == sorted(moments)
        self.stages.extend(stages)
        for verdict, count in removed.items():
            self.removals[verdict] = self.removals.get(verdict, 0) + count


def test_an_observer_hears_of_every_stage_and_of_what_was_removed(snapshot: Snapshot) -> None:
    listener = Listener()
    pipeline = Pipeline(snapshot, PipelineConfig(), listener, lambda: NOW_US)
    answer = pipeline.recommend("m3", ListQuery())
    stages = ["filter", "retrieve", "rank", "diversify", "explain"]
    assert listener.stages == stages
    assert listener.removals == answer.removed != {}
    pipeline.match("l34", ListQuery())
    pipeline.score_pairs([("m3", "l3")])
    assert listener.stages == [*stages, *stages, "rank"]


def test_retrieval_s_knobs_are_used(snapshot: Snapshot) -> None:
    few = PipelineConfig(CandidateConfig(new=1, all_below=0))
    answer = Pipeline(snapshot, few, clock=lambda: NOW_US).recommend("m3", ListQuery(count=1))
    every = Pipeline(snapshot, clock=lambda: NOW_US).recommend("m3", ListQuery(count=1))
    assert answer.eligible_count == every.eligible_count
    assert len(answer.items) == 1

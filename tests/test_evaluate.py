"""Evaluation: a ranker that knows the truth is perfect, one that turns it round is the worst."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.worlds import (
    DAY_US,
    NOW_US,
    SCALE,
    bundle_of,
    random_pairs,
    tiny_catalog,
    tiny_state,
)

from recsvc.matching.pipeline import Pipeline
from recsvc.matching.queries import ListQuery
from recsvc.model.additive import AdditiveModel, Calibration, single_feature_model
from recsvc.model.bundle import Bundle
from recsvc.model.snapshot import Snapshot
from recsvc.model.terms import FEATURE_COUNT, INDEX
from training.assemble_bundle import as_all_open
from training.config import GateConfig
from training.evaluate import (
    Evaluation,
    Figure,
    evaluate_authors,
    evaluate_choices,
    evaluate_exposures,
)
from training.examples import features_of
from training.exposures import Pairs

CONFIG = GateConfig()
BY_EMBEDDING = single_feature_model(INDEX["embedding"], FEATURE_COUNT)


def bundle_with(ranker: AdditiveModel) -> Bundle:
    return bundle_of(tiny_catalog(), tiny_state(), ranker)


def times(ranker: AdditiveModel, by: float) -> AdditiveModel:
    names = ("values", "slope_below", "slope_above")
    return ranker._replace(**{n: (getattr(ranker, n) * by).astype(np.float32) for n in names})


def turned(ranker: AdditiveModel) -> AdditiveModel:
    return times(ranker, -1.0)


def exposed(count: int, feature: str) -> Pairs:
    """Pairs of which the better half by one feature was taken."""
    pairs = random_pairs(tiny_state(), count, seed=3)
    values = features_of(tiny_state(), pairs)[:, INDEX[feature]]
    return replace(pairs, label=(values > np.median(values)).astype(np.float32))


def value(evaluation: Evaluation, name: str, cohort: str = "all") -> float:
    figure = evaluation.figure(name, cohort)
    assert figure is not None
    return figure.value


def test_exposures_are_judged_by_order_and_by_probability() -> None:
    pairs = exposed(800, "embedding")
    sure = times(BY_EMBEDDING, 50.0)
    good = evaluate_exposures(bundle_with(sure), pairs, seed=1)
    assert good.primary == "ndcg@5,10"
    assert value(good, "ndcg@5,10") == pytest.approx(1.0)
    assert value(good, "auc") == pytest.approx(1.0)
    assert value(good, "auc_within_members") == pytest.approx(1.0)
    bad = evaluate_exposures(bundle_with(turned(sure)), pairs, seed=1)
    assert value(bad, "auc") == pytest.approx(0.0)
    assert value(bad, "ndcg@5,10") < 0.7
    assert value(good, "brier_skill") > value(bad, "brier_skill")
    assert value(good, "ece") < value(bad, "ece")
    figure = good.figure("ndcg@5,10")
    assert figure is not None
    assert figure.low <= figure.value <= figure.high


def test_every_exposure_is_judged_as_on_its_own_day() -> None:
    """The fresh half was taken; as seen from the end of the log no lead is fresh any more."""
    state = tiny_state()
    known = np.flatnonzero(state.leads.create_time_us > 0).astype(np.int32)
    lead = np.repeat(known, 2)
    age_days = np.tile([1, 60], len(known))
    time_us = state.leads.create_time_us[lead] + age_days * DAY_US
    member = np.arange(len(lead), dtype=np.int32) % 40
    pairs = Pairs(member, lead, time_us, (age_days == 1).astype(np.float32))
    fresh = turned(single_feature_model(INDEX["age_log_hours"], FEATURE_COUNT))
    found = evaluate_exposures(bundle_with(fresh), pairs, seed=1)
    assert value(found, "auc") == pytest.approx(1.0)


def test_without_calibration_probabilities_are_not_judged() -> None:
    nothing = Calibration(*(np.zeros(0, np.float32) for _ in SCALE))
    bundle = replace(bundle_with(BY_EMBEDDING), calibration=nothing)
    found = evaluate_exposures(bundle, exposed(200, "embedding"), seed=1)
    assert found.figure("ece") is None
    assert value(found, "auc") == pytest.approx(1.0)


def test_no_exposures_left_to_judge_on_give_no_figures() -> None:
    none = random_pairs(tiny_state(), 0, seed=1)
    found = evaluate_exposures(bundle_with(BY_EMBEDDING), none, seed=1)
    figure = found.figure(found.primary)
    assert figure is None or figure.count == 0


def chosen(ranker: AdditiveModel) -> Pairs:
    """For every member the two leads that the ranker puts first, of those not met before."""
    bundle = bundle_with(ranker)
    pipeline = Pipeline(Snapshot(as_all_open(bundle)))
    rows = [
        (m, item.row)
        for m, member_id in enumerate(bundle.member_ids)
        for item in pipeline.recommend(member_id, ListQuery(count=2, as_of_us=NOW_US)).items
    ]
    members, leads = (np.array(column, np.int32) for column in zip(*rows, strict=True))
    n = len(rows)
    return Pairs(members, leads, np.full(n, NOW_US, np.int64), np.ones(n, np.float32))


def test_choices_are_judged_by_the_lists_that_members_get() -> None:
    truth = chosen(BY_EMBEDDING)
    state = tiny_state()
    good = evaluate_choices(bundle_with(BY_EMBEDDING), state, truth, CONFIG, seed=1)
    assert good.primary == "recall@20"
    assert value(good, "recall@20") == pytest.approx(1.0)
    assert value(good, "ndcg@20") == pytest.approx(1.0)
    bad = evaluate_choices(bundle_with(turned(BY_EMBEDDING)), state, truth, CONFIG, seed=1)
    assert value(bad, "recall@20") < 0.3
    popular = value(good, "recall@20", "popularity")
    assert popular == value(bad, "recall@20", "popularity")
    assert 0.0 < popular < 1.0
    asked = len(np.unique(truth.member))
    counts = {f.cohort: f.count for f in good.figures if f.name == "recall@20"}
    cohorts = [c for c in counts if "events" in c]
    assert sum(counts[c] for c in cohorts) == counts["all"] == asked
    assert "0 events" in cohorts
    assert 0 < counts["cities"] < asked
    met = truth.select(state.leads.events[truth.lead] + state.leads.exposures[truth.lead] == 0)
    assert counts["new leads"] == len(np.unique(met.member)) > 0
    assert good.lists.shape == (asked, 20)
    assert len({tuple(row) for row in good.lists.tolist()}) > 20


def test_only_so_many_members_are_asked() -> None:
    truth = chosen(BY_EMBEDDING)
    few = GateConfig(evaluation_members=7)
    found = evaluate_choices(bundle_with(BY_EMBEDDING), tiny_state(), truth, few, seed=1)
    figure = found.figure("recall@20")
    assert figure is not None
    assert figure.count == 7
    assert figure.value == pytest.approx(1.0)


def test_no_choices_give_no_figures() -> None:
    none = random_pairs(tiny_state(), 0, seed=1)
    found = evaluate_choices(bundle_with(BY_EMBEDDING), tiny_state(), none, CONFIG, seed=1)
    figure = found.figure("recall@20")
    assert figure is not None
    assert figure.count == 0


def test_authors_are_found_by_the_text_they_wrote() -> None:
    """Drafts do not tell their author; a ranker by expertise finds members who know the subject."""
    by_text = single_feature_model(INDEX["expertise_text"], FEATURE_COUNT)
    state = tiny_state()
    likeness = state.members.text @ state.leads.text.T
    lead = np.flatnonzero(state.leads.text.any(axis=1)).astype(np.int32)
    best = likeness[:, lead].argmax(axis=0).astype(np.int32)
    n = len(lead)
    authored = Pairs(best, lead, np.full(n, NOW_US, np.int64), np.ones(n, np.float32))
    good = evaluate_authors(bundle_with(by_text), authored, CONFIG, seed=1)
    assert good.primary == "mrr"
    assert value(good, "mrr") > 0.5
    bad = evaluate_authors(bundle_with(turned(by_text)), authored, CONFIG, seed=1)
    assert value(bad, "mrr") < 0.1
    few = evaluate_authors(bundle_with(by_text), authored, GateConfig(evaluation_members=3), seed=1)
    figure = few.figure("mrr")
    assert figure is not None
    assert figure.count == 3


def test_a_figure_as_json_has_no_nan() -> None:
    figure = Figure("auc", float("nan"), count=3)
    assert figure.as_json() == {
        "name": "auc",
        "cohort": "all",
        "count": 3,
        "value": None,
        "low": None,
        "high": None,
    }
    assert Figure("x", 0.1234567, 0.1, 0.2, "rural", 2).as_json()["value"] == 0.123457

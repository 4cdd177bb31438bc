"""The gate: what must hold of a bundle before it may be published, and what is said when not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.worlds import tiny_bundle

from recsvc.model.bundle import Bundle
from training.config import GateConfig
from training.evaluate import Evaluation, Figure
from training.gate import Check, gate_checks

CONFIG = GateConfig(tolerance=0.02, slice_tolerance=0.05)
PREVIOUS: dict[str, Any] = {
    "primary": "recall@20",
    "figures": [
        {"name": "recall@20", "cohort": "all", "value": 0.50, "low": 0.48, "high": 0.52},
        {"name": "recall@20", "cohort": "popularity", "value": 0.49, "low": 0.48, "high": 0.51},
        {"name": "recall@20", "cohort": "0 events", "value": 0.30, "low": 0.2, "high": 0.4},
        {"name": "recall@20", "cohort": "gone", "value": 0.30, "low": 0.2, "high": 0.4},
        {"name": "recall@20", "cohort": "never", "value": None, "low": None, "high": None},
        {"name": "ndcg@20", "cohort": "all", "value": 0.99, "low": 0.98, "high": 1.0},
    ],
}


def measured(value: float, high: float, *others: Figure) -> Evaluation:
    whole = Figure("recall@20", value, value - 0.01, high, "all", 100)
    return Evaluation("recall@20", (whole, Figure("ndcg@20", 0.1, 0.0, 0.2), *others))


def checks(
    evaluation: Evaluation, previous: dict[str, Any] | None = None, bundle: Bundle | None = None
) -> dict[str, Check]:
    found = gate_checks(evaluation, bundle or tiny_bundle(), previous, CONFIG, seed=1)
    return {check.name: check for check in found}


def test_the_first_good_bundle_passes() -> None:
    found = checks(measured(0.4, 0.42))
    assert set(found) == {"finite", "members_differ"}
    assert all(check.passed for check in found.values())
    assert found["members_differ"].detail.endswith("lists for 36 members")


@pytest.mark.parametrize(("high", "passed"), [(0.481, True), (0.479, False)])
def test_a_bundle_worse_than_the_last_does_not_pass(high: float, passed: bool) -> None:
    """What counts is where its interval ends: a worse figure may be bad luck."""
    found = checks(measured(0.45, high), PREVIOUS)
    assert found["not_worse_than_last"].passed is passed
    assert "last published 0.5000, allowed -0.02" in found["not_worse_than_last"].detail


@pytest.mark.parametrize(("high", "passed"), [(0.26, True), (0.24, False)])
def test_every_cohort_has_its_floor(high: float, passed: bool) -> None:
    newcomers = Figure("recall@20", 0.2, 0.1, high, "0 events", 10)
    found = checks(measured(0.6, 0.7, newcomers), PREVIOUS)
    assert found["floor: 0 events"].passed is passed
    assert found["not_worse_than_last"].passed
    assert set(found) == {"finite", "members_differ", "not_worse_than_last", "floor: 0 events"}


@pytest.mark.parametrize(("high", "passed"), [(0.31, True), (0.29, False)])
def test_popularity_is_the_least(high: float, passed: bool) -> None:
    popular = Figure("recall@20", 0.3, 0.28, 0.32, "popularity", 100)
    assert checks(measured(0.28, high, popular))["not_worse_than_popularity"].passed is passed


@pytest.mark.parametrize(("high", "passed"), [(0.51, True), (0.49, False), (np.nan, True)])
def test_chance_is_the_least_where_there_were_exposures(high: float, passed: bool) -> None:
    """Also on the first night, when there is no other bundle to compare with."""
    within = Figure("auc_within_members", 0.4, 0.3, high, count=30)
    assert checks(measured(0.6, 0.7, within))["not_worse_than_chance"].passed is passed
    nobody = Figure("auc_within_members", np.nan)
    assert "not_worse_than_chance" not in checks(measured(0.6, 0.7, nobody))


def test_a_figure_without_an_interval_is_not_compared() -> None:
    newcomers = Figure("recall@20", 0.0, cohort="0 events", count=1)
    assert "floor: 0 events" not in checks(measured(0.6, 0.7, newcomers), PREVIOUS)


@pytest.mark.parametrize(
    "evaluation",
    [Evaluation("mrr"), Evaluation("mrr", (Figure("mrr", float("nan"), count=0),))],
)
def test_nothing_to_judge_on_is_said_and_no_reason_to_refuse(evaluation: Evaluation) -> None:
    found = checks(evaluation, PREVIOUS)
    assert found["evaluated"].passed
    assert "too few later events" in found["evaluated"].detail


def test_figures_that_are_no_numbers_stop_a_bundle() -> None:
    broken = tiny_bundle()
    broken.leads.vector[3, 0] = np.nan
    found = checks(measured(0.6, 0.7), bundle=broken)["finite"]
    assert not found.passed
    assert found.detail == "leads.vector"
    for part in ("values", "intercept", "missing", "slope_above"):
        sound = tiny_bundle().ranker
        value = getattr(sound, part)
        ranker = sound._replace(**{part: value * np.float32("nan")})
        found = checks(measured(0.6, 0.7), bundle=replace(tiny_bundle(), ranker=ranker))["finite"]
        assert not found.passed, part


def test_one_list_for_everybody_stops_a_bundle() -> None:
    """An upgrade of a library once did this."""
    bundle = tiny_bundle()
    alike = bundle.members._replace(
        **{
            name: np.repeat(column[:1], 40, axis=0)
            for name, column in bundle.members._asdict().items()
        }
    )
    alike = alike._replace(events=bundle.members.events)
    history = bundle.history._replace(
        member_start=np.zeros_like(bundle.history.member_start),
        lead_start=np.zeros_like(bundle.history.lead_start),
    )
    same = replace(bundle, members=alike, history=history, conflicts=())
    found = checks(measured(0.6, 0.7), bundle=same)["members_differ"]
    assert not found.passed
    assert found.detail == "1 lists for 36 members"


def test_without_members_to_compare_nothing_is_compared() -> None:
    bundle = tiny_bundle()
    bundle.members.events[1:] = 0.0
    found = checks(measured(0.6, 0.7), bundle=bundle)["members_differ"]
    assert found.passed
    assert "fewer than two members" in found.detail
    closed = tiny_bundle()
    closed.leads.state[:] = 3
    found = checks(measured(0.6, 0.7), bundle=closed)["members_differ"]
    assert found.passed
    assert "no lead is open" in found.detail


def test_checks_are_told_as_plain_values() -> None:
    assert Check("finite", True, "all").as_json() == {
        "name": "finite",
        "passed": True,
        "detail": "all",
    }

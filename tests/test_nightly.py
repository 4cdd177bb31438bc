"""The nightly run, end to end: from tables to a published bundle, or a reason why not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.worlds import CONFIG, tiny_dataset, tiny_events

from benchmarks.workload import ProvinceConfig, generate
from benchmarks.workload import write_dataset as write_province
from features.entities import EXPOSURES, Event, EventKind
from features.errors import DataError
from recsvc.matching.pipeline import Pipeline
from recsvc.matching.queries import ListQuery
from recsvc.model.bundle import MANIFEST, read_manifest
from recsvc.model.registry import ModelRegistry
from recsvc.model.snapshot import Snapshot
from training.config import TrainingConfig
from training.exposures import Pairs
from training.learn import Learned
from training.logs import DataSet, write_dataset
from training.manifest import REVISION_FILE
from training.nightly import Lesson, Training
from training.report import TrainingReport
from training.state import State

NIGHTLY = TrainingConfig(threads=1)


@pytest.fixture(scope="module")
def province(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A year of a small province."""
    folder = tmp_path_factory.mktemp("province")
    config = ProvinceConfig(members=240, leads=500, events=15_000, years=1.0)
    write_province(generate(config, seed=5), folder, "parquet")
    return folder


class Nights:
    """Two nights over the same data."""

    def __init__(self, data: Path, models: Path) -> None:
        self.data, self.models = data, models
        self.registry = ModelRegistry(models)
        self.stages: list[str] = []
        self.first = self.run()
        self.second = self.run()

    def run(self) -> TrainingReport:
        self.stages = []
        return Training(NIGHTLY, "default", self.stages.append).publish(self.data, self.models)


@pytest.fixture(scope="module")
def nights(province: Path, tmp_path_factory: pytest.TempPathFactory) -> Nights:
    return Nights(province, tmp_path_factory.mktemp("models"))


def test_a_night_publishes_what_the_next_one_is_compared_with(nights: Nights) -> None:
    for report in (nights.first, nights.second):
        assert report.published, report.why_not
        assert report.calibrated
        assert report.ranker_pairs > 100
        assert (report.member_count, report.lead_count) == (240, 500)
    assert nights.registry.published() == nights.second.model_id
    names = [{check.name for check in r.checks} for r in (nights.first, nights.second)]
    assert "not_worse_than_last" not in names[0]
    assert "not_worse_than_last" in names[1]
    stages = ["read", "features", "choose", "early state", "ranker", "evaluate", "final state"]
    assert nights.stages == [*stages, "gate", "publish"]
    assert list(nights.second.seconds) == nights.stages


def test_the_same_data_and_seed_give_the_same_bytes(nights: Nights) -> None:
    first, second = (nights.registry.folder / r.model_id for r in (nights.first, nights.second))
    names = {p.relative_to(first) for p in first.rglob("*") if p.is_file()}
    assert names == {p.relative_to(second) for p in second.rglob("*") if p.is_file()}
    for name in sorted(names - {Path(MANIFEST)}):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    ours, theirs = (read_manifest(folder) for folder in (first, second))
    assert ours.files == theirs.files
    assert ours.metrics["figures"] == theirs.metrics["figures"]
    assert ours.config_hash == theirs.config_hash == NIGHTLY.hash


def test_a_published_bundle_is_better_than_chance_and_serves(nights: Nights) -> None:
    bundle = nights.registry.load(nights.first.model_id)
    assert bundle.manifest.event_count == nights.first.event_count > 12_000
    assert bundle.manifest.training_window[0].startswith("2024-0")
    evaluation = nights.first.evaluation
    assert evaluation is not None
    figures = {f.name: f.value for f in evaluation.figures}
    assert figures["auc"] > 0.6
    assert figures["ece"] < 0.2
    pipeline = Pipeline(Snapshot(bundle))
    lists = [
        tuple(i.id for i in pipeline.recommend(m, ListQuery(count=10)).items)
        for m in bundle.member_ids.ids[:40]
    ]
    assert len(set(lists)) > 30
    assert sum(len(found) == 10 for found in lists) > 30


class Sabotaged(Training):
    """Learns, and then turns the ranker round."""

    def _learn(self, early: State, lesson: Lesson, pairs: Pairs) -> Learned:
        learned = super()._learn(early, lesson, pairs)
        ranker = learned.ranker
        bad = ranker._replace(
            values=-ranker.values,
            missing=-ranker.missing,
            slope_below=-ranker.slope_below,
            slope_above=-ranker.slope_above,
        )
        return replace(learned, ranker=bad)


def test_the_gate_keeps_a_bad_ranker_from_replacing_a_good_one(nights: Nights) -> None:
    before = nights.registry.published(), [m.model_id for m in nights.registry.models()]
    report = Sabotaged(NIGHTLY, "default", lambda _: None).publish(nights.data, nights.models)
    assert not report.published
    checks = "not_worse_than_chance, not_worse_than_last, floor: "
    assert report.why_not.startswith(f"the gate failed: {checks}")
    assert "publish" not in report.seconds
    assert (nights.registry.published(), [m.model_id for m in nights.registry.models()]) == before


# --- other kinds of logs


def with_events(events: Iterable[Event], folder: Path) -> Path:
    """The small world with another log."""
    data = tiny_dataset()
    write_dataset(folder, members=data.members, leads=data.leads, events=events)
    return folder


def trained(data: DataSet | Path, models: Path) -> TrainingReport:
    assert isinstance(data, Path)
    return Training(CONFIG, "default", lambda _: None).publish(data, models)


def test_without_exposures_what_was_chosen_teaches_the_order(tmp_path: Path) -> None:
    chosen = [e for e in tiny_events() if e.kind not in EXPOSURES]
    report = trained(with_events(chosen, tmp_path / "data"), tmp_path / "models")
    assert not report.calibrated
    assert report.ranker_pairs > 100
    evaluation = report.evaluation
    assert evaluation is not None
    assert evaluation.primary == "recall@20"
    assert evaluation.figure("recall@20", "popularity") is not None
    assert evaluation.figure("recall@20", "0 events") or evaluation.figure(
        "recall@20", "4-20 events"
    )


def test_without_choices_authors_teach(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    authored = []
    for lead in tiny_dataset().leads:
        fits = [m.member_id for m in tiny_dataset().members if set(m.topics) & set(lead.topics)]
        authored += [
            Event(EventKind.AUTHORED, lead.create_time_us, str(who), lead.lead_id)
            for who in rng.choice(fits, 2 if fits and lead.create_time_us else 0, replace=False)
        ]
    report = trained(with_events(authored, tmp_path / "data"), tmp_path / "models")
    assert report.published
    assert not report.calibrated
    evaluation = report.evaluation
    assert evaluation is not None
    assert evaluation.primary == "mrr"


def test_a_single_event_is_enough_to_publish_with_the_default_ranker(tmp_path: Path) -> None:
    report = trained(with_events(tiny_events()[:1], tmp_path / "data"), tmp_path / "models")
    assert report.published
    assert report.ranker_pairs == 0
    assert {c.name: c.detail for c in report.checks}["evaluated"].startswith("too few")


def test_a_log_without_times_is_cut_by_a_hash(tmp_path: Path) -> None:
    same = [replace(e, time_us=1_700_000_000_000_000) for e in tiny_events()]
    report = trained(with_events(same, tmp_path / "data"), tmp_path / "models")
    assert report.published, report.why_not
    manifest = ModelRegistry(tmp_path / "models").load(report.model_id).manifest
    assert not manifest.interest.has_times
    assert manifest.training_window[0] == manifest.training_window[1] != ""


# --- what the data set says of itself


def test_an_export_s_revision_is_the_bundle_s(tmp_path: Path) -> None:
    folder = with_events(tiny_events(), tmp_path / "data")
    (folder / REVISION_FILE).write_text('{"revision": "0.12-0_3.7-1"}')
    report = trained(folder, tmp_path / "models")
    assert report.published, report.why_not
    bundle = ModelRegistry(tmp_path / "models").load(report.model_id)
    assert bundle.manifest.revision == "0.12-0_3.7-1"
    assert Snapshot(bundle).revision.position(3) == (7, 1)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"revision": 5}'])
def test_a_revision_that_cannot_be_read_stops_the_night(tmp_path: Path, text: str) -> None:
    folder = with_events(tiny_events(), tmp_path / "data")
    (folder / REVISION_FILE).write_text(text)
    with pytest.raises(DataError, match="export the data set again, or delete it"):
        trained(folder, tmp_path / "models")
    assert not (tmp_path / "models").exists()


def test_a_data_set_that_is_none_stops_the_night(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="members"):
        trained(tmp_path, tmp_path / "models")

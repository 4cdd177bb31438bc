"""Our own system: trained by the product's trainer, asked through the product's pipeline."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.quality.questions import Answer, Lists, Matches, Pairs, Question
from benchmarks.quality.tasks import Task
from recsvc.matching.pipeline import Pipeline
from recsvc.matching.prepare import prepared
from recsvc.matching.queries import ListQuery, Wanted
from recsvc.model.bundle import Bundle
from recsvc.model.registry import ModelRegistry
from recsvc.model.snapshot import Snapshot
from training.config import TrainingConfig
from training.logs import read_dataset
from training.nightly import Training
from training.report import TrainingReport

TENANT = "default"
MOST_PAIRS = 5_000
"""ScorePairs takes so many at a time."""


@dataclass(frozen=True)
class Trained:
    """A published bundle, where it lies, and what training said; `seconds` are the whole run's."""

    models: Path
    report: TrainingReport
    seconds: float
    bundle: Bundle | None
    why_not: str = ""


def train(
    folder: Path, models: Path, config: TrainingConfig, progress: Callable[[str], None]
) -> Trained:
    """Trains and publishes as `recsvc train` does, into an empty models folder."""
    shutil.rmtree(models, ignore_errors=True)
    training = Training(config, TENANT, progress)
    begin = time.perf_counter()
    report = training.publish(folder, models)
    seconds = time.perf_counter() - begin
    if not report.published:
        return Trained(models, report, seconds, None, report.why_not)
    registry = ModelRegistry(models, TENANT)
    return Trained(models, report, seconds, registry.load(registry.published() or ""))


def train_ungated(folder: Path, config: TrainingConfig) -> Trained:
    """The bundle of a changed pipeline, whatever the gate would say of it."""
    training = Training(config, TENANT, lambda _: None)
    begin = time.perf_counter()
    bundle, _ = training.train(read_dataset(folder))
    served = prepared(bundle, config.threads)
    return Trained(folder, training.report, time.perf_counter() - begin, served)


def ask(trained: Trained, task: Task, question: Question) -> Answer:
    """The served pipeline's answer."""
    if trained.bundle is None:
        return Answer(seconds=trained.seconds, note=trained.why_not)
    pipeline = Pipeline(Snapshot(trained.bundle))
    if isinstance(question, Lists):
        return _lists(pipeline, task, question, trained.seconds)
    if isinstance(question, Matches):
        return _matches(pipeline, task, question, trained.seconds)
    return _pairs(pipeline, task, question, trained.seconds)


def _lists(pipeline: Pipeline, task: Task, question: Lists, seconds: float) -> Answer:
    ids = task.full.lead_ids
    wanted = Wanted()
    if question.candidates is not None:
        wanted = Wanted(candidate_ids=tuple(ids.ids[row] for row in question.candidates.tolist()))
    query = ListQuery(count=question.k, wanted=wanted, as_of_us=question.as_of_us)
    rows = np.full((len(question.asked), question.k), -1, np.int32)
    for at, member in enumerate(question.asked.tolist()):
        reply = pipeline.recommend(task.full.member_ids.ids[member], query)
        found = ids.rows([item.id for item in reply.items], "error")
        rows[at, : len(found)] = found
    return Answer(rows, seconds=seconds)


def _matches(pipeline: Pipeline, task: Task, question: Matches, seconds: float) -> Answer:
    query = ListQuery(count=min(question.k, 1_000), as_of_us=question.as_of_us)
    leads = question.drafts or [task.full.lead_ids.ids[row] for row in question.lead_rows.tolist()]
    rows = np.full((len(leads), question.k), -1, np.int32)
    for at, lead in enumerate(leads):
        reply = pipeline.match(lead, query)
        found = task.full.member_ids.rows([item.id for item in reply.items], "error")
        rows[at, : len(found)] = found
    return Answer(rows, seconds=seconds)


def _pairs(pipeline: Pipeline, task: Task, question: Pairs, seconds: float) -> Answer:
    members, leads = task.full.member_ids.ids, task.full.lead_ids.ids
    pairs = [
        (members[m], leads[n])
        for m, n in zip(question.member.tolist(), question.lead.tolist(), strict=True)
    ]
    scores: list[float] = []
    chances: list[float] = []
    for begin in range(0, len(pairs), MOST_PAIRS):
        reply = pipeline.score_pairs(pairs[begin : begin + MOST_PAIRS], question.as_of_us)
        scores += reply.scores
        chances += reply.probabilities or []
    probabilities = np.array(chances) if chances else None
    return Answer(scores=np.array(scores), probabilities=probabilities, seconds=seconds)

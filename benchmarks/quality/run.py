"""Everything that happens to one task: train, ask ours and the peers, time the service, compare."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from benchmarks.quality import ours
from benchmarks.quality.alone import BLEND, ask_vectors, blend_of, models_alone
from benchmarks.quality.compare import Contender, compare
from benchmarks.quality.environment import PeerEnvironment
from benchmarks.quality.folders import write_part
from benchmarks.quality.jobs import Jobs
from benchmarks.quality.latency import served
from benchmarks.quality.musts import Must
from benchmarks.quality.questions import Answer, Question
from benchmarks.quality.rows import SERVED, Row
from benchmarks.quality.tasks import Task
from benchmarks.quality.variants import Variant, variants
from features.errors import RecsvcError
from training.config import TrainingConfig
from training.logs import read_dataset

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What is run: systems and extras; `peers` None leaves them out."""

    work: Path
    config: TrainingConfig
    peers: PeerEnvironment | None
    musts: tuple[Must, ...]
    alone: bool = True
    latency: bool = True
    variants: bool = True
    ablations: bool = True
    seed: int = 1


@dataclass
class TaskRun:
    """One task on its way to rows."""

    task: Task
    plan: Plan
    say: Say
    oracles: dict[str, Answer] = field(default_factory=dict)

    def rows(self) -> list[Row]:
        """All rows of the task."""
        self.jobs = Jobs(self.task, threads=1)
        self.say("training")
        models = self.plan.work / "models"
        trained = ours.train(self.task.folder, models, self.plan.config, lambda _: None)
        asked = {q.name: [self._served(trained, q)] for q in self.task.questions}
        latencies = {
            q.name: self._latency(trained, q, asked[q.name][0].answer) for q in self.task.questions
        }
        if trained.bundle is not None and self.plan.alone:
            self._ask_alone(trained, asked)
        if self.plan.variants:
            for variant in variants(self.task, self.plan.config, ablations=self.plan.ablations):
                self._ask_variant(variant, asked)
        self._ask_peers(asked)
        mine = [must for must in self.plan.musts if must.data == self.task.data]
        rivals = sorted({must.above for must in mine if must.above})
        rows: list[Row] = []
        for question in self.task.questions:
            self.say(f"intervals, {question.name}")
            contenders = asked[question.name]
            found = compare(self.task, question, contenders, self.plan.seed, rivals)
            rows += [latencies[question.name](row) for row in found]
        return rows

    def _served(self, trained: ours.Trained, question: Question) -> Contender:
        self.say(f"asking the pipeline, {question.name}")
        return Contender(SERVED, "served", ours.ask(trained, self.task, question))

    def _latency(
        self, trained: ours.Trained, question: Question, answer: Answer
    ) -> Callable[[Row], Row]:
        """Writes the service's times beside every row of our own system."""
        if trained.bundle is None or not self.plan.latency:
            return lambda row: row
        self.say(f"asking the service, {question.name}")
        work = self.plan.work / "service"
        shutil.rmtree(work, ignore_errors=True)
        try:
            found = served(trained.models, self.task, question, answer, work)
        except RecsvcError as error:
            problem = f"the service could not be asked: {error}"
            return lambda row: replace(row, note=problem) if row.system == SERVED else row
        agreed = f"service and pipeline agree on {found.agreed} of {found.compared} replies"

        def told(row: Row) -> Row:
            if row.system != SERVED or row.part != "all":
                return row
            note = row.note or agreed
            return replace(row, latency_ms=found.median_ms, latency_p99_ms=found.p99_ms, note=note)

        return told

    def _ask_alone(self, trained: ours.Trained, asked: dict[str, list[Contender]]) -> None:
        bundle = trained.bundle
        assert bundle is not None
        if len(bundle.lead_ids) != len(self.task.full.leads):
            return  # drafts are in no table of vectors
        data = replace(self.task.full, events=self.task.train)
        content = bundle.space.content(data.leads)
        seconds = trained.report.seconds
        chosen = sum(seconds.get(stage, 0.0) for stage in ("choose", "final state"))
        found = [(BLEND, *blend_of(bundle), chosen, f"{bundle.manifest.embedding}")]
        for name, embedding, took in models_alone(data, content, self.plan.config, self.say):
            found.append((name, embedding.members, embedding.leads, took, ""))
        for question in self.task.questions:
            job = self.jobs.of(question)
            for name, members, leads, took, note in found:
                answer = replace(ask_vectors(members, leads, job, took), note=note)
                asked[question.name].append(Contender(name, "ours", answer))

    def _ask_variant(self, variant: Variant, asked: dict[str, list[Contender]]) -> None:
        self.say(variant.name)
        folder = self.task.folder
        if variant.without_columns:
            folder = self.plan.work / "variant"
            data = read_dataset(self.task.folder)
            every = np.ones(len(data.events), bool)
            columns = variant.without_columns
            write_part(self.task.folder, folder, data, every, without_columns=columns)
        trained = ours.train_ungated(folder, variant.config)
        for question in self.task.questions:
            if not question.is_costly:
                answer = ours.ask(trained, self.task, question)
                asked[question.name].append(Contender(variant.name, "ours", answer))

    def _ask_peers(self, asked: dict[str, list[Contender]]) -> None:
        for question in self.task.questions:
            for name, answer in self.oracles.items():
                asked[question.name].append(Contender(name, "oracle", answer))
        if self.plan.peers is None:
            return
        wanted = [
            (question, name)
            for question in self.task.questions
            for name in self.task.peers.get(question.name, ())
        ]
        self.say(f"{len(wanted)} answers of peers: {', '.join(name for _, name in wanted)}")
        jobs = {question.name: self.jobs.of(question) for question in self.task.questions}
        answers = self.plan.peers.ask_all(
            [(name, jobs[question.name]) for question, name in wanted], self.plan.work / "jobs"
        )
        for (question, name), answer in zip(wanted, answers, strict=True):
            asked[question.name].append(Contender(name, "peer", answer))

"""Everything that happens to one task: train, ask ours and the peers, time the service, compare."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from benchmarks.quality import ours
from benchmarks.quality.alone import BLEND, ask_vectors, blend_of, models_alone
from benchmarks.quality.compare import Contender, compare
from benchmarks.quality.jobs import Jobs
from benchmarks.quality.latency import served
from benchmarks.quality.others import Say, ask_others
from benchmarks.quality.questions import Answer, Question
from benchmarks.quality.rows import SERVED, Row
from benchmarks.quality.tasks import Plan, Task
from benchmarks.quality.variants import VARIANT
from features.errors import RecsvcError
from recsvc.model.arrays import F32


@dataclass
class TaskRun:
    """One task on its way to rows."""

    task: Task
    plan: Plan
    say: Say
    oracles: dict[str, Callable[[Question], Answer]] = field(default_factory=dict)

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
        self._ask_oracle(asked)
        others = ask_others(
            self.task, self.plan, self.jobs, self.say, lambda: self._ask_alone(trained)
        )
        for question, other in others:
            asked[question.name].append(other)
        return self._compared(asked, latencies)

    def _compared(
        self,
        asked: dict[str, list[Contender]],
        latencies: dict[str, Callable[[Row], Row]],
    ) -> list[Row]:
        mine = [must for must in self.plan.musts if must.data == self.task.data]
        rivals = {must.above for must in mine if must.above}
        rows: list[Row] = []
        for question in self.task.questions:
            self.say(f"intervals, {question.name}")
            contenders = asked[question.name]
            changed = {one.system for one in contenders if one.system.startswith(VARIANT)}
            found = compare(
                self.task, question, contenders, self.plan.seed, sorted(rivals | changed)
            )
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
        if question.is_costly:  # a page is searched for less widely than a thousand members
            agreed = f"{found.agreed} of {found.compared} pages begin the lists of a thousand"

        def told(row: Row) -> Row:
            if row.system != SERVED or row.part != "all":
                return row
            note = row.note or agreed
            return replace(row, latency_ms=found.median_ms, latency_p99_ms=found.p99_ms, note=note)

        return told

    def _ask_alone(self, trained: ours.Trained) -> Iterator[tuple[Question, Contender]]:
        bundle = trained.bundle
        if bundle is None or not self.plan.alone:
            return
        data = replace(self.task.full, events=self.task.train)
        content = bundle.space.content(data.leads)
        # One thread: a peer has the other, and BPR and LightFM repeat exactly.
        config = replace(self.plan.config, threads=1)
        for name, embedding, took in models_alone(data, content, config, self.say):
            yield from self._ask_vectors(name, embedding.members, embedding.leads, took)
        if len(bundle.lead_ids) != len(data.leads):
            for question in self.task.questions:
                note = "drafts are in no table of vectors"
                yield question, Contender(BLEND, "ours", Answer(note=note))
            return
        stages = trained.report.seconds
        seconds = sum(stages.get(stage, 0.0) for stage in ("choose", "final state"))
        yield from self._ask_vectors(
            BLEND, *blend_of(bundle), seconds, f"{bundle.manifest.embedding}"
        )

    def _ask_vectors(
        self, name: str, members: F32, leads: F32, seconds: float, note: str = ""
    ) -> Iterator[tuple[Question, Contender]]:
        for question in self.task.questions:
            answer = ask_vectors(members, leads, self.jobs.of(question), seconds)
            yield question, Contender(name, "ours", replace(answer, note=note))

    def _ask_oracle(self, asked: dict[str, list[Contender]]) -> None:
        for question in self.task.questions:
            for name, answer in self.oracles.items():
                asked[question.name].append(Contender(name, "oracle", answer(question)))

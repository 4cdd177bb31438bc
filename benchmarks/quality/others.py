"""Who is compared with the served pipeline: its variants and the peers, two things at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np

from benchmarks.quality import ours as own
from benchmarks.quality.asked import why_not
from benchmarks.quality.compare import Contender
from benchmarks.quality.environment import TOO_SLOW, PeerEnvironment
from benchmarks.quality.folders import write_part
from benchmarks.quality.jobs import Jobs
from benchmarks.quality.peers import names
from benchmarks.quality.questions import Answer, Question
from benchmarks.quality.tasks import Plan, Task
from benchmarks.quality.variants import Variant, variants
from features.errors import RecsvcError
from training.logs import read_dataset

AT_ONCE = 2
Say = Callable[[str], None]
Asked: TypeAlias = Iterable[tuple[Question, Contender]]


def ask_others(
    task: Task, plan: Plan, jobs: Jobs, say: Say, alone: Callable[[], Asked]
) -> Iterator[tuple[Question, Contender]]:
    """Our models `alone` and our variants, one after the other, and beside them the peers.

    So their training seconds are those of two things that share the machine. A peer that half the
    memory does not hold is asked again in the end, alone and with all of it.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        ours = pool.submit(lambda: [*alone(), *_ask_variants(task, plan, say)])
        asked = list(_ask_peers(task, plan, jobs, pool, say)) if plan.peers else []
        peers = [(question, name, one.result()) for question, name, one in asked]
        yield from ours.result()
    for place, (question, name, answer) in enumerate(peers):
        if plan.peers and _again(answer):
            say(f"{name} again, with all of the memory")
            work = plan.work / "jobs" / str(place)
            answer = plan.peers.ask(name, jobs.of(question), work)
        yield question, Contender(name, "peer", answer)


def _ask_peers(
    task: Task, plan: Plan, jobs: Jobs, pool: ThreadPoolExecutor, say: Say
) -> Iterator[tuple[Question, str, Future[Answer]]]:
    """Every peer with what it will answer to each question, or why it cannot."""
    assert plan.peers is not None
    place = 0
    for question in task.questions:
        job = jobs.of(question)
        for name in names.ALL:
            told: Future[Answer] = Future()
            problem = why_not(name, job, question)
            if problem:
                told.set_result(Answer(note=f"not asked: {problem}"))
            else:
                work = plan.work / "jobs" / str(place)
                told = pool.submit(_ask_peer, plan.peers, name, jobs, question, work, say)
            place += 1
            yield question, name, told


def _ask_peer(
    peers: PeerEnvironment, name: str, jobs: Jobs, question: Question, work: Path, say: Say
) -> Answer:
    say(f"{name}, {question.name}")
    return peers.ask(name, jobs.of(question), work, AT_ONCE)


def _again(answer: Answer) -> bool:
    """Whether a peer may have failed for want of memory."""
    silent = answer.rows is None and answer.scores is None
    return silent and not answer.note.startswith(("not asked", TOO_SLOW))


def _ask_variants(task: Task, plan: Plan, say: Say) -> Iterator[tuple[Question, Contender]]:
    if not plan.variants:
        return
    for variant in variants(task, plan.config, ablations=plan.ablations):
        say(variant.name)
        questions = [question for question in task.questions if not question.is_costly]
        try:
            trained = None if variant.why_not else _trained(variant, task, plan)
            problem = variant.why_not
        except RecsvcError as error:
            trained, problem = None, f"cannot be trained: {error}"
        for question in questions:
            answer = own.ask(trained, task, question) if trained else Answer(note=problem)
            yield question, Contender(variant.name, "ours", answer)


def _trained(variant: Variant, task: Task, plan: Plan) -> own.Trained:
    # One thread: the peers have the other, and the same bytes come out.
    config = replace(variant.config, threads=1)
    if not variant.without_columns:
        return own.train_ungated(task.folder, config)
    folder = plan.work / "variant"
    data = read_dataset(task.folder)
    every = np.ones(len(data.events), bool)
    write_part(task.folder, folder, data, every, without_columns=variant.without_columns)
    return own.train_ungated(folder, config)

"""What a bundle costs to ask: through `recsvc serve` and the shipped client, one call at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.quality.questions import Answer, Matches, Pairs, Question
from benchmarks.quality.tasks import Task
from benchmarks.serving import ServiceProcess
from recsvc.client import Client
from recsvc.client.types import Eligibility

CALLS, WARM_UP_CALLS, SAME_LISTS = 300, 30, 20
PAGE = 10
PAIRS_A_CALL = 100


class Served:
    """What a real service said: milliseconds of each call, and whether it agreed."""

    def __init__(self, milliseconds: list[float], agreed: int, compared: int) -> None:
        self.median_ms = float(np.median(milliseconds))
        self.p99_ms = float(np.quantile(milliseconds, 0.99))
        self.agreed, self.compared = agreed, compared


def served(models: Path, task: Task, question: Question, answer: Answer, work: Path) -> Served:
    """Starts a service on a bundle and asks it some of a question, as a client would.

    Replies are compared with what the pipeline answered in this process.
    """
    return asyncio.run(_served(models, task, question, answer, work))


async def _served(
    models: Path, task: Task, question: Question, answer: Answer, work: Path
) -> Served:
    service = ServiceProcess(work, models, workers=1)
    ready = await service.start()
    try:
        return await asyncio.to_thread(_measure, ready.address, task, question, answer)
    finally:
        await service.stop()


def _measure(address: str, task: Task, question: Question, answer: Answer) -> Served:
    milliseconds, agreed, compared = [], 0, 0
    with Client(address) as client:
        call, count = _calls(client, task, question, answer)
        for number in range(WARM_UP_CALLS + CALLS):
            begin = time.perf_counter()
            same = call(number % count)
            if number >= WARM_UP_CALLS:
                milliseconds.append((time.perf_counter() - begin) * 1e3)
            if number < SAME_LISTS:
                agreed, compared = agreed + same, compared + 1
    return Served(milliseconds, agreed, compared)


def _calls(
    client: Client, task: Task, question: Question, answer: Answer
) -> tuple[Callable[[int], bool], int]:
    """The i-th call, which tells whether the reply is the pipeline's, and how many differ."""
    members, leads, when = task.full.member_ids.ids, task.full.lead_ids.ids, question.as_of_us
    if isinstance(question, Pairs):

        def score(i: int) -> bool:
            at = slice(i * PAIRS_A_CALL, (i + 1) * PAIRS_A_CALL)
            pairs = [
                (members[m], leads[n])
                for m, n in zip(question.member[at], question.lead[at], strict=True)
            ]
            found = list(client.score_pairs(pairs, as_of_us=when))
            assert answer.scores is not None
            return bool(np.allclose([f.score for f in found], answer.scores[at], atol=1e-4))

        return score, max(1, len(question.member) // PAIRS_A_CALL)
    assert answer.rows is not None
    rows = answer.rows
    if isinstance(question, Matches):

        def match(i: int) -> bool:
            row = int(question.lead_rows[i])
            lead = question.drafts[i] if question.drafts else leads[row]
            found = client.match(lead, count=PAGE, as_of_us=when)
            return [item.member_id for item in found] == [
                members[m] for m in rows[i, :PAGE] if m >= 0
            ]

        return match, len(question.lead_rows)
    eligibility = None
    if question.candidates is not None and len(question.candidates) <= 5_000:
        eligibility = Eligibility(candidate_ids=tuple(leads[n] for n in question.candidates))

    def recommend(i: int) -> bool:
        member = members[int(question.asked[i])]
        found = client.recommend(member, count=PAGE, eligibility=eligibility, as_of_us=when)
        return [item.lead_id for item in found] == [leads[n] for n in rows[i, :PAGE] if n >= 0]

    return recommend, len(question.asked)

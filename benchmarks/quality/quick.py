"""The short form for CI: subsets, without peers, to notice in minutes what a change loses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from benchmarks.quality.questions import Lists, Question
from benchmarks.quality.tasks import Task

QUICK_SETS = ("bytecup2016", "cppcc_proposals", "foursquare_nyc", "citizen_messages")
MOST_ASKED = 500
QUICK_TEXTS = 2_500


def lists_alone(task: Task) -> Task:
    """The task with its questions for lists alone."""
    return replace(task, questions=tuple(q for q in task.questions if isinstance(q, Lists)))


def quick_tasks(tasks: Iterator[Task]) -> Iterator[Task]:
    """The first task of a set, its first question, with few members asked."""
    for task in tasks:
        yield replace(task, questions=(_some(task.questions[0], task.seed),))
        return


def _some(question: Question, seed: int) -> Question:
    if not isinstance(question, Lists) or len(question.asked) <= MOST_ASKED:
        return question
    rng = np.random.default_rng(seed)
    at = np.sort(rng.choice(len(question.asked), MOST_ASKED, replace=False))
    return replace(
        question,
        asked=question.asked[at],
        excluded=question.excluded[at],
        truth=_rows(question.truth, at),
        gains=None if question.gains is None else question.gains[at],
        slices={name: mask[at] for name, mask in question.slices.items()},
    )


def _rows(matrix: sparse.csr_matrix | None, at: NDArray[np.intp]) -> sparse.csr_matrix | None:
    return None if matrix is None else matrix[at]

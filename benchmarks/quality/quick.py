"""The short form for CI: subsets and cheap peers, to notice what a change loses, in minutes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from benchmarks.quality.questions import Lists, Question
from benchmarks.quality.tasks import Task

QUICK_SETS = ("bytecup2016", "citeulike_a", "cppcc_proposals", "foursquare_nyc", "citizen_messages")
QUICK_PEERS = ("answer rate", "implicit ALS", "TF-IDF nearest text", "RecTools EASE")
"""Peers that take seconds: enough to see that something broke."""
MOST_ASKED = 500


def quick_tasks(tasks: Iterator[Task]) -> Iterator[Task]:
    """The first task of a set, with few members asked and cheap peers."""
    for task in tasks:
        peers = {
            question: tuple(name for name in names if name in QUICK_PEERS)
            for question, names in task.peers.items()
        }
        yield replace(task, questions=(_some(task.questions[0], task.seed),), peers=peers)
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

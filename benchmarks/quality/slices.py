"""Parts of the members or leads that a gain must not be paid for with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from benchmarks.quality.questions import Answer, Lists, Matches, Pairs, Question
from features.events import EventLog
from training.cohorts import HISTORIES

UNTOUCHED = "leads with no event"
Mask = NDArray[np.bool_]
Ints = NDArray[np.int32]


def history_slices(train: EventLog, members: Ints) -> dict[str, Mask]:
    """By how many events of the training part a member has; empty slices are left out."""
    most = int(max(train.member.max(initial=-1), members.max(initial=-1))) + 1
    counts = np.bincount(train.member, minlength=most)[members]
    found = {}
    for name, low, high in HISTORIES:
        mask = (counts >= low) & (counts <= high)
        if mask.any():
            found[name] = mask
    return found


def untouched_slice(train: EventLog, leads: Ints) -> dict[str, Mask]:
    """Those of some leads that have no event in the training part, where some have and some not."""
    mask = ~np.isin(leads, train.lead)
    return {UNTOUCHED: mask} if mask.any() and not mask.all() else {}


@dataclass(frozen=True)
class Part:
    """A question about a part of its units: members of lists, pairs, or leads to match."""

    name: str
    question: Question
    kept: Mask

    def of(self, answer: Answer) -> Answer:
        """What an answer to the whole question says about the part."""
        return replace(
            answer,
            rows=None if answer.rows is None else answer.rows[self.kept],
            scores=None if answer.scores is None else answer.scores[self.kept],
            probabilities=None if answer.probabilities is None else answer.probabilities[self.kept],
        )


def parts_of(question: Question) -> Iterator[Part]:
    """The question about each of its slices."""
    for name, mask in question.slices.items():
        yield Part(name, _within(question, mask), mask)
    if isinstance(question, Lists) and question.truth is not None:
        for name, leads in question.lead_slices.items():
            wanted = (question.truth @ sparse.diags(leads.astype(np.float32))).tocsr()
            wanted.eliminate_zeros()
            # What there is to find is among these leads; the lists are as they were.
            yield Part(name, replace(question, truth=wanted), np.ones(len(question.asked), bool))


def _within(question: Question, mask: Mask) -> Question:
    if isinstance(question, Lists):
        return replace(
            question,
            asked=question.asked[mask],
            excluded=question.excluded[mask],
            truth=None if question.truth is None else question.truth[mask],
            gains=None if question.gains is None else question.gains[mask],
        )
    if isinstance(question, Pairs):
        return replace(
            question,
            member=question.member[mask],
            lead=question.lead[mask],
            label=question.label[mask],
        )
    assert isinstance(question, Matches)
    return replace(
        question,
        lead_rows=question.lead_rows[mask],
        authors=None if question.authors is None else question.authors[mask],
    )

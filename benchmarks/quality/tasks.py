"""A task: a training part on disk, as an operator would have it, and questions about the rest."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.quality.questions import Question
from features.events import EventLog
from training.logs import DataSet


@dataclass(frozen=True)
class Task:
    """`folder` holds the training part; `full` everything but what is asked (peers read it).

    `train` are the events of the training part in rows of `full`. `peers` names who is asked,
    by question. `untouched`: the questions are about leads without any event.
    """

    data: str
    split: str
    folder: Path
    full: DataSet
    train: EventLog
    questions: tuple[Question, ...]
    peers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    untouched: bool = False
    seed: int = 0
    notes: tuple[str, ...] = ()

"""A task: a training part on disk, as an operator would have it, and questions about the rest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.quality.environment import PeerEnvironment
from benchmarks.quality.musts import Must
from benchmarks.quality.questions import Question
from features.events import EventLog
from training.config import TrainingConfig
from training.logs import DataSet


@dataclass(frozen=True)
class Task:
    """`folder` holds the training part; `full` everything but what is asked (peers read it).

    `train` are the events of the training part in rows of `full`. `untouched`: the questions are
    about leads without any event.
    """

    data: str
    split: str
    folder: Path
    full: DataSet
    train: EventLog
    questions: tuple[Question, ...]
    untouched: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Plan:
    """What is run of each task: systems and extras; `peers` None leaves them out."""

    work: Path
    config: TrainingConfig
    peers: PeerEnvironment | None
    musts: tuple[Must, ...]
    alone: bool = True
    latency: bool = True
    variants: bool = True
    ablations: bool = True
    seed: int = 1

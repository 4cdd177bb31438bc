"""Our embedding models one by one, without ranker: the inner product of their vectors."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits

from benchmarks.quality.peers.base import Factors, answer_with
from benchmarks.quality.peers.job import Job
from benchmarks.quality.questions import Answer
from features.interest import event_weights
from recsvc.matching.profile import half_life
from recsvc.model.bundle import Bundle
from training.config import TrainingConfig
from training.embeddings.als import AlsModel
from training.embeddings.base import Embedding, EmbeddingModel
from training.embeddings.bpr import BprModel
from training.embeddings.lightfm import LightFmModel
from training.embeddings.spectral import SpectralModel
from training.logs import DataSet
from training.state import interactions, interest_rule, last_time_us

MODELS: tuple[tuple[str, EmbeddingModel], ...] = (
    ("our spectral model", SpectralModel()),
    ("our ALS + content map", AlsModel()),
    ("our BPR + content map", BprModel()),
    ("our LightFM hybrid", LightFmModel()),
)
BLEND = "our blend"


class Vectors(Factors):
    """Members and leads by their vectors alone."""

    def __init__(self, members: np.ndarray, leads: np.ndarray) -> None:
        self.members, self.leads = members, leads

    def fit(self, job: Job) -> None:
        """They are trained already."""


def models_alone(
    data: DataSet, content: sparse.csr_matrix, config: TrainingConfig, say: Callable[[str], None]
) -> Iterator[tuple[str, Embedding, float]]:
    """(name, embedding, seconds) of each model with its defaults, on a training part."""
    rule = interest_rule(data.events, config)
    weights = event_weights(data.events, last_time_us(data.events), half_life(rule))
    matrix = interactions(data.events, weights, len(data.members), len(data.leads))
    for name, model in MODELS:
        say(name)
        begin = time.perf_counter()
        with threadpool_limits(1, "blas"):
            embedding = model.fit(matrix, content, seed=config.seed, threads=config.threads)
        yield name, embedding, time.perf_counter() - begin


def ask_vectors(members: np.ndarray, leads: np.ndarray, job: Job, seconds: float) -> Answer:
    """What vectors alone say; `job` is the question as peers get it."""
    reply = answer_with(Vectors(members, leads), job)
    if job.question == "pairs":
        return Answer(scores=reply[1].astype(np.float64), seconds=seconds)
    return Answer(reply[0], seconds=seconds)


def blend_of(bundle: Bundle) -> tuple[np.ndarray, np.ndarray]:
    """The vectors of a bundle and its members' levels: float32[m, d + 1], float32[n, d + 1]."""
    members, leads = bundle.members, bundle.leads
    ones = np.ones((len(leads.vector), 1), np.float32)
    levels = np.asarray(members.embedding_level)[:, None]
    return np.hstack([members.vector, levels]), np.hstack([leads.vector, ones])

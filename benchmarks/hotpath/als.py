"""implicit's ALS on a data set's interactions: the raw limit of training, and the factors of the
pick-up alternative.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from scipy import sparse
from threadpoolctl import threadpool_limits

from features.interest import event_weights
from recsvc.matching.profile import half_life
from recsvc.model.arrays import F32
from training.config import TrainingConfig
from training.logs import DataSet, read_dataset
from training.state import interactions, interest_rule, last_time_us

FACTORS, ITERATIONS = 64, 15


@dataclass(frozen=True)
class Factors:
    """float32[members, 64], float32[leads, 64]; `seconds` of the fit alone."""

    members: F32
    leads: F32
    seconds: float


def interactions_of(data: DataSet, config: TrainingConfig) -> sparse.csr_matrix:
    """What our own training fits its embeddings to: one decayed weight a pair."""
    rule = interest_rule(data.events, config)
    weights = event_weights(data.events, last_time_us(data.events), half_life(rule))
    return interactions(data.events, weights, len(data.members), len(data.leads))


def fit_als(matrix: sparse.csr_matrix, *, seed: int, threads: int) -> Factors:
    """implicit with its defaults but 64 factors and 15 iterations."""
    with threadpool_limits(limits=1, user_api="blas"):
        model = AlternatingLeastSquares(
            factors=FACTORS, iterations=ITERATIONS, num_threads=threads, random_state=seed
        )
        begin = time.perf_counter()
        model.fit(matrix, show_progress=False)
        seconds = time.perf_counter() - begin
    return Factors(
        np.asarray(model.user_factors, np.float32),
        np.asarray(model.item_factors, np.float32),
        seconds,
    )


def factors_file(data_folder: Path, path: Path, threads: int = 2) -> Path:
    """`path` with the factors of a data set, fitted when it is not there."""
    if not path.is_file():
        config = TrainingConfig()
        found = fit_als(
            interactions_of(read_dataset(data_folder), config), seed=config.seed, threads=threads
        )
        np.savez(path, members=found.members, leads=found.leads)
    return path

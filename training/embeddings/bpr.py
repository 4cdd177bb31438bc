"""Bayesian personalised ranking (Rendle et al. 2009), from `implicit`."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from implicit.cpu.bpr import BayesianPersonalizedRanking
from scipy import sparse
from threadpoolctl import threadpool_limits

from recsvc.model.arrays import F32
from training.embeddings.base import Embedding, TrainingData, powered, untrained
from training.embeddings.content import ContentConfig
from training.embeddings.finish import finished
from training.embeddings.folds import learned_fold


@dataclass(frozen=True)
class BprModel:
    """Reproducible byte for byte with one thread only: more threads race on the vectors.

    BLAS is held to one thread while implicit uses `threads` of its own. Weights do not count in
    the loss: a pair is there or not.
    """

    dimensions: int = 64
    learning_rate: float = 0.05
    regularization: float = 0.01
    iterations: int = 60
    content: ContentConfig = field(default_factory=ContentConfig)

    @property
    def name(self) -> str:
        """bpr"""
        return "bpr"

    def fit(
        self,
        interactions: sparse.csr_matrix,
        content: sparse.csr_matrix | None = None,
        member_content: sparse.csr_matrix | None = None,
        *,
        seed: int,
        threads: int,
    ) -> Embedding:
        """See EmbeddingModel.fit; d = dimensions + 1, the last is the lead's bias."""
        data = TrainingData.checked(interactions, content, member_content)
        if not data.interactions.nnz:
            return untrained(self.name, data)
        members, leads = self._factors(powered(data.interactions, 0.0), seed, threads)
        part = learned_fold(members, leads, data.interactions, 0.0)
        return finished(self.name, members, leads, part, data, self.content, threads=threads)

    def _factors(self, pairs: sparse.csr_matrix, seed: int, threads: int) -> tuple[F32, F32]:
        with threadpool_limits(limits=1, user_api="blas"):
            model = BayesianPersonalizedRanking(
                factors=self.dimensions,
                learning_rate=self.learning_rate,
                regularization=self.regularization,
                iterations=self.iterations,
                num_threads=threads,
                random_state=seed,
            )
            model.fit(pairs, show_progress=False)
        return np.asarray(model.user_factors), np.asarray(model.item_factors)

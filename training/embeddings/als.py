"""Implicit-feedback alternating least squares (Hu, Koren, Volinsky 2008), from `implicit`."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from scipy import sparse
from threadpoolctl import threadpool_limits

from recsvc.model.arrays import F32
from recsvc.model.foldin import GramPart
from training.embeddings.base import Embedding, TrainingData, powered, untrained
from training.embeddings.content import ContentConfig
from training.embeddings.finish import finished


@dataclass(frozen=True)
class AlsModel:
    """Reproducible byte for byte with any fixed number of threads: rows are solved one by one.

    BLAS is held to one thread while implicit uses `threads` of its own.
    """

    dimensions: int = 128
    regularization: float = 20.0
    alpha: float = 40.0
    weight_power: float = 0.0
    iterations: int = 10
    content: ContentConfig = field(default_factory=ContentConfig)

    @property
    def name(self) -> str:
        """als"""
        return "als"

    def fit(
        self,
        interactions: sparse.csr_matrix,
        content: sparse.csr_matrix | None = None,
        member_content: sparse.csr_matrix | None = None,
        *,
        seed: int,
        threads: int,
    ) -> Embedding:
        """See EmbeddingModel.fit; d = dimensions."""
        data = TrainingData.checked(interactions, content, member_content)
        if not data.interactions.nnz:
            return untrained(self.name, data)
        weights = powered(data.interactions, self.weight_power)
        members, leads = self._factors(weights, seed, threads)
        gram = leads.T.astype(np.float64) @ leads
        gram[np.diag_indices_from(gram)] += self.regularization
        part = GramPart(
            start=0,
            stop=self.dimensions,
            gram=gram.astype(np.float32),
            alpha=self.alpha,
            weight_power=self.weight_power,
        )
        return finished(self.name, members, leads, part, data, self.content, threads=threads)

    def _factors(self, weights: sparse.csr_matrix, seed: int, threads: int) -> tuple[F32, F32]:
        with threadpool_limits(limits=1, user_api="blas"):
            model = AlternatingLeastSquares(
                factors=self.dimensions,
                regularization=self.regularization,
                alpha=self.alpha,
                iterations=self.iterations,
                num_threads=threads,
                random_state=seed,
            )
            model.fit(weights, show_progress=False)
            # The last half-step moved the leads: members once more, as fold-in will see them.
            confidence = weights * np.float32(self.alpha)
            model.solver(
                confidence,
                model.user_factors,
                model.item_factors,
                self.regularization,
                num_threads=threads,
            )
        return np.asarray(model.user_factors), np.asarray(model.item_factors)

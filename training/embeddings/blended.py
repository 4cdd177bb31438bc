"""Several models fitted on the same data and laid side by side."""

from __future__ import annotations

from dataclasses import dataclass

from scipy import sparse

from training.embeddings.base import Embedding, EmbeddingModel, blend


@dataclass(frozen=True)
class BlendModel:
    """Fits every part and blends with `weights`; as reproducible as its parts are."""

    parts: tuple[EmbeddingModel, ...]
    weights: tuple[float, ...]

    @property
    def name(self) -> str:
        """The names of the parts, joined by +."""
        return "+".join(part.name for part in self.parts)

    def fit(
        self,
        interactions: sparse.csr_matrix,
        content: sparse.csr_matrix | None = None,
        member_content: sparse.csr_matrix | None = None,
        *,
        seed: int,
        threads: int,
    ) -> Embedding:
        """See EmbeddingModel.fit; d is the sum of the parts' dimensions."""
        fitted = [
            part.fit(interactions, content, member_content, seed=seed, threads=threads)
            for part in self.parts
        ]
        return blend(fitted, self.weights, seed=seed)

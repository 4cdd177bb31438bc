"""Which embedding model a data set gets."""

from __future__ import annotations

from scipy import sparse

from training.embeddings.base import EmbeddingModel
from training.embeddings.content import ContentConfig
from training.embeddings.spectral import SpectralModel


def choose_embedding(
    interactions: sparse.csr_matrix,
    content: sparse.csr_matrix | None,
    *,
    seed: int,
    threads: int,
) -> EmbeddingModel:
    """The model for interactions csr float32[m, n] and content csr float32[n, t].

    More directions pay where there is more to learn them from.
    """
    dimensions = 64 if interactions.nnz < 300_000 else 512
    return SpectralModel(dimensions=dimensions, content=ContentConfig(rank=300))

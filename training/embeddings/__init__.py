"""Embedding models behind one interface: members and leads as vectors, a score as a product.

`base` has the interface and the blend, `als`, `bpr`, `lightfm` and `spectral` the models,
`content` the map for leads nobody touched, `select` the choice between them on held-out events.
"""

from training.embeddings.base import Embedding, EmbeddingModel, blend

__all__ = ["Embedding", "EmbeddingModel", "blend"]

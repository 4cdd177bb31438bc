"""LightFM's hybrid of ids and content (Kula 2015), trained with WARP, from `lightfm`."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from lightfm import LightFM
from scipy import sparse
from threadpoolctl import threadpool_limits

from recsvc.model.arrays import F32
from recsvc.model.content_map import ContentMap
from training.embeddings.base import Embedding, TrainingData, powered, untrained
from training.embeddings.content import ContentConfig
from training.embeddings.finish import finished
from training.embeddings.folds import learned_fold


@dataclass(frozen=True)
class LightFmModel:
    """Reproducible byte for byte with one thread only: more threads race on the vectors.

    A lead is the sum of the vectors of its id and of its terms, so that the content map comes out
    of training itself: no ridge. Never call LightFM's own predict online: vectors are exported.
    """

    dimensions: int = 64
    learning_rate: float = 0.05
    epochs: int = 20
    most_samples: int = 20
    content: ContentConfig = field(default_factory=ContentConfig)

    @property
    def name(self) -> str:
        """lightfm"""
        return "lightfm"

    def fit(
        self,
        interactions: sparse.csr_matrix,
        content: sparse.csr_matrix | None = None,
        member_content: sparse.csr_matrix | None = None,
        *,
        seed: int,
        threads: int,
    ) -> Embedding:
        """See EmbeddingModel.fit; d = dimensions + 2, the last two are the two biases."""
        data = TrainingData.checked(interactions, content, member_content)
        if not data.interactions.nnz:
            return untrained(self.name, data)
        member_features = _features(data.interactions.shape[0], data.member_content)
        lead_features = _features(data.interactions.shape[1], data.content)
        model = self._trained(data, member_features, lead_features, seed, threads)
        member_terms = _with_bias(model.user_embeddings, model.user_biases, column=-1)
        lead_terms = _with_bias(model.item_embeddings, model.item_biases, column=-2)
        members = np.asarray(member_features @ member_terms, np.float32)
        leads = np.asarray(lead_features @ lead_terms, np.float32)
        # Scores add both biases: the other side has a 1 in the column of each.
        members[:, -2] = leads[:, -1] = 1.0
        part = learned_fold(members, leads, data.interactions, 0.0)
        data_alone = TrainingData(data.interactions)
        found = finished(self.name, members, leads, part, data_alone, self.content, threads=threads)
        return _with_own_maps(found, data, member_terms, lead_terms)

    def _trained(
        self,
        data: TrainingData,
        member_features: sparse.csr_matrix,
        lead_features: sparse.csr_matrix,
        seed: int,
        threads: int,
    ) -> LightFM:
        model = LightFM(
            no_components=self.dimensions,
            loss="warp",
            learning_rate=self.learning_rate,
            max_sampled=self.most_samples,
            random_state=seed,
        )
        with threadpool_limits(limits=1, user_api="blas"):
            model.fit(
                powered(data.interactions, 0.0).tocoo(),
                user_features=member_features,
                item_features=lead_features,
                epochs=self.epochs,
                num_threads=threads,
            )
        return model


def _features(rows_count: int, content: sparse.csr_matrix | None) -> sparse.csr_matrix:
    """The id of every row and, after the ids, its content."""
    ids = sparse.identity(rows_count, np.float32, format="csr")
    if content is None:
        return ids
    return sparse.hstack([ids, content], format="csr", dtype=np.float32)


def _with_bias(vectors: F32, biases: F32, column: int) -> F32:
    """Vectors float32[t, k] and two columns more, of which `column` (-1 or -2) holds the biases."""
    wide = np.zeros((len(vectors), vectors.shape[1] + 2), np.float32)
    wide[:, :-2] = vectors
    wide[:, column] = biases
    return wide


def _with_own_maps(
    found: Embedding, data: TrainingData, member_terms: F32, lead_terms: F32
) -> Embedding:
    """Rows without interactions get their terms alone: the vector of an id nobody saw is chance."""
    members_count, leads_count = data.interactions.shape
    members, leads = found.members, found.leads
    content_map = member_map = None
    if data.content is not None:
        content_map = _own_map(lead_terms[leads_count:], one_column=-1)
        silent = np.bincount(data.interactions.indices, minlength=leads_count) == 0
        leads[silent] = content_map.vectors(data.content[silent])
    if data.member_content is not None:
        member_map = _own_map(member_terms[members_count:], one_column=-2)
        silent = np.diff(data.interactions.indptr) == 0
        members[silent] = member_map.vectors(data.member_content[silent])
    return Embedding(found.name, members, leads, found.fold_in, content_map, member_map)


def _own_map(terms: F32, one_column: int) -> ContentMap:
    width = terms.shape[1]
    bias = np.zeros(width, np.float32)
    bias[one_column] = 1.0
    no_length = np.zeros((2, width), np.float32)
    return ContentMap(terms.astype(np.float32), np.eye(width, dtype=np.float32), bias, no_length)

"""Spectral embedding: the truncated SVD of the degree-normalised interactions.

A linear, closed-form model (compare GF-CF, Shen et al. 2021): taste is the low-frequency part of
the member-lead graph. The exponents say how popularity counts on either side; they depend on the
data and are picked on held-out events (`select`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recsvc.model.arrays import F32
from recsvc.model.foldin import LinearPart
from training.embeddings.base import Embedding, TrainingData, powered, untrained
from training.embeddings.content import ContentConfig
from training.embeddings.finish import finished
from training.embeddings.svd import truncated_svd

# The input scale shares the lead's vector; small, so that it means nothing to distances.
_SCALE_UNIT = 1e-3


@dataclass(frozen=True)
class Spectrum:
    """A decomposition R ~ U S V^T: members = R V float32[m, r], values S float32[r], leads = V.

    lead_sums float64[n] are the degrees that R was normalised with.
    """

    members: F32
    values: F32
    leads: F32
    lead_sums: NDArray[np.float64]


@dataclass(frozen=True)
class SpectralModel:
    """Reproducible byte for byte with any fixed number of threads.

    W = weight ** weight_power, R = D_u^-member_exponent W D_i^-lead_exponent ~ U S V^T;
    member = (R V)_u * S^value_power, lead = d_i^output_exponent V_i, d = sums of W.
    """

    dimensions: int = 512
    member_exponent: float = 0.3
    lead_exponent: float = 0.4
    output_exponent: float = 0.3
    value_power: float = 0.0
    weight_power: float = 0.0
    content: ContentConfig = field(default_factory=ContentConfig)

    @property
    def name(self) -> str:
        """spectral"""
        return "spectral"

    def fit(
        self,
        interactions: sparse.csr_matrix,
        content: sparse.csr_matrix | None = None,
        member_content: sparse.csr_matrix | None = None,
        *,
        seed: int,
        threads: int,
    ) -> Embedding:
        """See EmbeddingModel.fit; d = min(dimensions, m, n) + 1, the last holds the input scale."""
        data = TrainingData.checked(interactions, content, member_content)
        if not data.interactions.nnz:
            return untrained(self.name, data)
        spectrum = self.decompose(data.interactions, seed=seed, threads=threads)
        return self.embed(data, spectrum, threads=threads)

    def decompose(self, interactions: sparse.csr_matrix, *, seed: int, threads: int) -> Spectrum:
        """The expensive half of `fit`: models that differ in the rest may share it."""
        weights = powered(interactions, self.weight_power)
        lead_sums = np.maximum(np.asarray(weights.sum(axis=0)).ravel(), 1.0)
        member_sums = np.maximum(np.asarray(weights.sum(axis=1)).ravel(), 1e-12)
        normalised = sparse.csr_matrix(
            sparse.diags(member_sums**-self.member_exponent)
            @ weights
            @ sparse.diags(lead_sums**-self.lead_exponent),
            dtype=np.float32,
        )
        rank = min(self.dimensions, *weights.shape)
        found = truncated_svd(normalised, rank, seed=seed, threads=threads)
        projected = np.asarray(normalised @ found.right, np.float32)
        return Spectrum(projected, found.values, found.right, lead_sums)

    def embed(self, data: TrainingData, spectrum: Spectrum, *, threads: int) -> Embedding:
        """The cheap half of `fit`, of the first `dimensions` directions of `spectrum`."""
        rank = min(self.dimensions, len(spectrum.values))
        gain = self._gain(spectrum.values[:rank])
        members = np.zeros((data.interactions.shape[0], rank + 1), np.float32)
        members[:, :rank] = spectrum.members[:, :rank] * gain
        leads = self._leads(spectrum.leads[:, :rank], spectrum.lead_sums)
        part = self._part(gain)
        return finished(self.name, members, leads, part, data, self.content, threads=threads)

    def _gain(self, values: F32) -> F32:
        relative = values / max(float(values.max(initial=0.0)), 1e-12)
        powers = np.maximum(relative, 1e-6) ** self.value_power
        return np.where(relative > 1e-6, powers, 0.0).astype(np.float32)

    def _leads(self, right: F32, lead_sums: NDArray[np.float64]) -> F32:
        scale = _SCALE_UNIT * lead_sums ** -(self.lead_exponent + self.output_exponent)
        out = np.empty((len(right), right.shape[1] + 1), np.float32)
        np.multiply(
            right, (lead_sums**self.output_exponent)[:, None], out[:, :-1], casting="same_kind"
        )
        out[:, -1] = scale
        return out

    def _part(self, gain: F32) -> LinearPart:
        wide = np.append(gain / _SCALE_UNIT, 0.0).astype(np.float32)
        return LinearPart(
            start=0,
            stop=len(wide),
            gain=wide,
            offset=np.zeros(len(wide), np.float32),
            scale_column=len(wide) - 1,
            length_exponent=self.member_exponent,
            weight_power=self.weight_power,
        )

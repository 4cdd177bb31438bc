"""Text as vectors: TF-IDF over words, Han n-grams and topics, reduced by truncated SVD.

Fitting uses scikit-learn; what is frozen is a handful of arrays, and the same kernels read them
offline and online, so that a batch and a single text give the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils.extmath import randomized_svd
from threadpoolctl import threadpool_limits

from features.config import FeatureConfig
from features.state import Arrays
from features.terms import Terms
from features.tokens import ALL_LETTERS, Documents, Tokenizer
from features.vocabulary import pack_strings, unpack_strings

_SVD_ITERATIONS = 3
_MANY_DOCUMENTS = 20_000
_DIMENSIONS_FEW, _DIMENSIONS_MANY = 256, 128


@dataclass(frozen=True, slots=True)
class TextModel:
    """Frozen text features. components: float32 [V, d]."""

    tokenizer: Tokenizer
    terms: Terms
    components: NDArray[np.float32]

    @classmethod
    def fit(
        cls,
        texts: Sequence[str],
        topics: Sequence[Sequence[str]],
        config: FeatureConfig,
        seed: int,
    ) -> TextModel:
        """Learns vocabulary and projection from n texts with their topics; empty ones are left out.

        Same input, seed and library versions give the same bytes.
        """
        tokenizer = Tokenizer.of(config)
        rng = np.random.default_rng(seed)
        filled = np.array([i for i, t in enumerate(texts) if t or topics[i]], np.int64)
        chosen = _sample(filled, config.max_fit_documents, rng)
        documents = tokenizer.documents([texts[i] for i in chosen], [topics[i] for i in chosen])
        terms = Terms.fit(
            documents,
            tokenizer,
            min_count=min(config.min_document_count, max(1, len(chosen) // 10)),
            max_terms=config.max_terms,
        )
        rows = terms.rows(documents, tokenizer)
        part = _sample(np.arange(len(chosen)), config.max_svd_documents, rng)
        dimensions = config.text_dimensions or (
            _DIMENSIONS_FEW if len(filled) < _MANY_DOCUMENTS else _DIMENSIONS_MANY
        )
        return cls(tokenizer, terms, fit_components(rows[part], dimensions, seed))

    @property
    def dimensions(self) -> int:
        """Width of a text vector."""
        return int(self.components.shape[1])

    def documents(
        self, texts: Sequence[str], topics: Sequence[Sequence[str]] | None = None
    ) -> Documents:
        """The texts (and their topics) split, for `rows`."""
        return self.tokenizer.documents(texts, topics)

    def rows(self, documents: Documents, letters: int = ALL_LETTERS) -> sparse.csr_matrix:
        """TF-IDF rows float32 [n, V] of L2 length 1, empty where no token is known.

        `letters`: how many letters, digits and Han characters of each text are read.
        """
        return self.terms.rows(documents, self.tokenizer, letters)

    def vectors(self, rows: sparse.csr_matrix) -> NDArray[np.float32]:
        """float32 [n, d] of L2 length 1, zero for empty rows."""
        return project(rows, self.components)

    def state(self) -> tuple[Arrays, dict[str, Any]]:
        """The frozen arrays by name, and the settings as JSON values."""
        names, offsets = pack_strings(self.terms.names)
        arrays: Arrays = {
            "term_names": names,
            "term_offsets": offsets,
            "term_hashes": self.terms.hashes,
            "term_is_topic": self.terms.is_topic,
            "term_weights": self.terms.weights,
            "character_classes": self.terms.classes,
            "text_components": self.components,
        }
        return arrays, {"tokenizer": asdict(self.tokenizer)}

    @classmethod
    def from_state(cls, arrays: Arrays, settings: Mapping[str, Any]) -> TextModel:
        """The inverse of `state`; raises KeyError when something is missing."""
        terms = Terms.build(
            unpack_strings(arrays["term_names"], arrays["term_offsets"]),
            arrays["term_hashes"],
            arrays["term_is_topic"],
            arrays["term_weights"],
            arrays["character_classes"],
        )
        return cls(Tokenizer(**settings["tokenizer"]), terms, arrays["text_components"])


def _sample(choices: NDArray[np.int64], size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """All choices, or `size` of them at random, in their old order."""
    if len(choices) <= size:
        return choices
    return np.sort(rng.choice(choices, size, replace=False))


def fit_components(rows: sparse.csr_matrix, dimensions: int, seed: int) -> NDArray[np.float32]:
    """float32 [V, d]: right singular vectors of `rows`, by seeded randomised SVD.

    d is `dimensions`, or less when the matrix has less to give, but at least 1.
    """
    possible = min(dimensions, rows.shape[0] - 1, rows.shape[1] - 1)
    if possible < 1 or rows.nnz == 0:
        return np.zeros((rows.shape[1], 1), np.float32)
    # One thread: a sum split over threads has another last bit each time.
    with threadpool_limits(limits=1):
        _, _, right = randomized_svd(rows, possible, n_iter=_SVD_ITERATIONS, random_state=seed)
    return np.ascontiguousarray(right.T, np.float32)


def project(rows: sparse.csr_matrix, components: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 [n, d]: `rows` [n, V] times `components` [V, d], each row of L2 length 1 or zero."""
    out: NDArray[np.float32] = _project(rows.indptr, rows.indices, rows.data, components)
    return out


@numba.njit(cache=True)
def _project(starts, indices, values, components):  # type: ignore[no-untyped-def]
    n = len(starts) - 1
    width = components.shape[1]
    out = np.zeros((n, width), np.float32)
    for row in range(n):
        for entry in range(starts[row], starts[row + 1]):
            value = values[entry]
            term = indices[entry]
            for k in range(width):
                out[row, k] += value * components[term, k]
        square = 0.0
        for k in range(width):
            square += out[row, k] * out[row, k]
        if square > 0.0:
            scale = np.float32(1.0 / np.sqrt(square))
            for k in range(width):
                out[row, k] *= scale
    return out

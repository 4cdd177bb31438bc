"""The frozen vocabulary of terms, and documents as TF-IDF rows over it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from features.term_kernels import count_documents, fill_slots, term_rows
from features.tokens import ALL_LETTERS, Documents, Tokenizer, character_classes

_SEPARATOR = "\x1f"


@dataclass(frozen=True, slots=True)
class Terms:
    """The frozen vocabulary: V terms, most frequent first.

    names: the terms as a person reads them. hashes: uint64[V]. is_topic: bool[V]. weights:
    float32[V], inverse document frequency. classes: uint8[65536], see `character_classes`.
    slots: int32[power of two], hash table from the low bits of a hash to its term, -1 free.
    """

    names: tuple[str, ...]
    hashes: NDArray[np.uint64]
    is_topic: NDArray[np.bool_]
    weights: NDArray[np.float32]
    classes: NDArray[np.uint8]
    slots: NDArray[np.int32]

    @classmethod
    def build(
        cls,
        names: Sequence[str],
        hashes: NDArray[np.uint64],
        is_topic: NDArray[np.bool_],
        weights: NDArray[np.float32],
        classes: NDArray[np.uint8],
    ) -> Terms:
        """Fills the hash table, which is not stored."""
        size = 1 << max(4, (4 * len(hashes)).bit_length())
        return cls(tuple(names), hashes, is_topic, weights, classes, fill_slots(hashes, size))

    def __len__(self) -> int:
        return len(self.hashes)

    @classmethod
    def fit(
        cls, documents: Documents, tokenizer: Tokenizer, *, min_count: int, max_terms: int
    ) -> Terms:
        """The `max_terms` tokens that the most documents hold, at least `min_count` of them."""
        classes = character_classes()
        hashes, counts, begins, ends, topic = count_documents(
            *documents, classes, tokenizer.ngram_min, tokenizer.ngram_max
        )
        often = np.flatnonzero(counts >= min_count)
        # Ties broken by hash: the order must not depend on the order of documents.
        order = often[np.lexsort((hashes[often], -counts[often]))][:max_terms]
        names = [
            _spell(documents.topic_points if is_topic else documents.points, begin, end)
            for is_topic, begin, end in zip(topic[order], begins[order], ends[order], strict=True)
        ]
        idf = np.log((1.0 + documents.size) / (1.0 + counts[order])) + 1.0
        return cls.build(names, hashes[order], topic[order], idf.astype(np.float32), classes)

    def rows(
        self, documents: Documents, tokenizer: Tokenizer, letters: int = ALL_LETTERS
    ) -> sparse.csr_matrix:
        """TF-IDF rows, float32 [n, V], sublinear in the count, of L2 length 1 (or empty).

        `letters`: how many letters, digits and Han characters of each text are read.
        """
        starts, indices, values = term_rows(
            *documents,
            letters,
            self.classes,
            tokenizer.ngram_min,
            tokenizer.ngram_max,
            self.hashes,
            self.slots,
            self.weights,
        )
        return sparse.csr_matrix((values, indices, starts), shape=(documents.size, len(self)))


def _spell(points: NDArray[np.uint32], begin: int, end: int) -> str:
    """The term that stands there; an n-gram may span the end of a word."""
    return points[begin:end].tobytes().decode("utf-32-le").replace(_SEPARATOR, "")

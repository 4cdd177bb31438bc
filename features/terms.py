"""The frozen vocabulary of terms, and documents as TF-IDF rows over it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from features.tokens import (
    ALL_LETTERS,
    Documents,
    Tokenizer,
    character_classes,
    scan_text,
    scan_topics,
)

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
        return cls(tuple(names), hashes, is_topic, weights, classes, _fill_slots(hashes, size))

    def __len__(self) -> int:
        return len(self.hashes)

    @classmethod
    def fit(
        cls, documents: Documents, tokenizer: Tokenizer, *, min_count: int, max_terms: int
    ) -> Terms:
        """The `max_terms` tokens that the most documents hold, at least `min_count` of them."""
        classes = character_classes()
        hashes, counts, begins, ends, topic = _count_documents(
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
        starts, indices, values = _term_rows(
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


@numba.njit(cache=True)
def _fill_slots(hashes, size):  # type: ignore[no-untyped-def]
    slots = np.full(size, -1, np.int32)
    mask = np.uint64(size - 1)
    for term in range(len(hashes)):
        slot = hashes[term] & mask
        while slots[slot] >= 0:
            slot = (slot + np.uint64(1)) & mask
        slots[slot] = term
    return slots


@numba.njit(cache=True)
def _room(bounds, topic_bounds, ngram_min, ngram_max):  # type: ignore[no-untyped-def]
    """The most tokens that one document can have."""
    most = 1
    for row in range(len(bounds)):
        text = (bounds[row, 1] - bounds[row, 0]) * (2 + ngram_max - ngram_min)
        most = max(most, text + topic_bounds[row, 1] - topic_bounds[row, 0])
    return most


@numba.njit(cache=True)
def _scan(  # type: ignore[no-untyped-def]
    points, bounds, topic_points, topic_bounds, row, letters, classes, low, high, found
):
    """All tokens of one document into `found` = (hashes, begins, ends); returns (how many come from
    its text, how many in all).
    """
    hashes, begins, ends = found
    start, stop = bounds[row]
    words = scan_text(points, start, stop, letters, classes, low, high, hashes, begins, ends)
    start, stop = topic_bounds[row]
    topics = scan_topics(topic_points, start, stop, hashes[words:], begins[words:], ends[words:])
    return words, words + topics


@numba.njit(cache=True)
def _term_rows(  # type: ignore[no-untyped-def]
    points,
    bounds,
    topic_points,
    topic_bounds,
    letters,
    classes,
    ngram_min,
    ngram_max,
    keys,
    slots,
    weights,
):
    n = len(bounds)
    room = _room(bounds, topic_bounds, ngram_min, ngram_max)
    found = (np.empty(room, np.uint64), np.empty(room, np.int64), np.empty(room, np.int64))
    hashes = found[0]
    starts = np.zeros(n + 1, np.int64)
    indices = np.empty(len(points) * (2 + ngram_max - ngram_min) + len(topic_points), np.int32)
    values = np.empty(len(indices), np.float32)
    counts = np.zeros(len(keys), np.int32)
    mask = np.uint64(len(slots) - 1)
    used = 0
    for row in range(n):
        _, total = _scan(
            points,
            bounds,
            topic_points,
            topic_bounds,
            row,
            letters,
            classes,
            ngram_min,
            ngram_max,
            found,
        )
        first = used
        for token in range(total):
            slot = hashes[token] & mask
            while slots[slot] >= 0 and keys[slots[slot]] != hashes[token]:
                slot = (slot + np.uint64(1)) & mask
            term = slots[slot]
            if term >= 0:
                if counts[term] == 0:
                    indices[used] = term
                    used += 1
                counts[term] += 1
        square = 0.0
        for entry in range(first, used):
            term = indices[entry]
            value = (1.0 + np.log(float(counts[term]))) * weights[term]
            counts[term] = 0
            values[entry] = value
            square += value * value
        for entry in range(first, used):
            values[entry] /= np.sqrt(square)
        starts[row + 1] = used
    return starts, indices[:used].copy(), values[:used].copy()


@numba.njit(cache=True)
def _count_documents(  # type: ignore[no-untyped-def]
    points, bounds, topic_points, topic_bounds, classes, ngram_min, ngram_max
):
    """In how many documents each distinct token stands, and where it stands first."""
    n = len(bounds)
    room = _room(bounds, topic_bounds, ngram_min, ngram_max)
    found = (np.empty(room, np.uint64), np.empty(room, np.int64), np.empty(room, np.int64))
    hashes, begins, ends = found
    capacity = 1 << 16
    keys = np.empty(capacity, np.uint64)
    counts = np.zeros(capacity, np.int32)
    last_row = np.full(capacity, -1, np.int32)
    first_begin = np.empty(capacity, np.int64)
    first_end = np.empty(capacity, np.int64)
    topic = np.zeros(capacity, np.bool_)
    slots = np.full(2 * capacity, -1, np.int32)
    used = 0
    for row in range(n):
        words, total = _scan(
            points,
            bounds,
            topic_points,
            topic_bounds,
            row,
            ALL_LETTERS,
            classes,
            ngram_min,
            ngram_max,
            found,
        )
        if used + total > capacity:
            while used + total > capacity:
                capacity *= 2
            keys = _grown(keys, used, capacity)
            counts = _grown(counts, used, capacity)
            last_row = _grown(last_row, used, capacity)
            first_begin = _grown(first_begin, used, capacity)
            first_end = _grown(first_end, used, capacity)
            topic = _grown(topic, used, capacity)
            slots = _fill_slots(keys[:used], 2 * capacity)
        mask = np.uint64(len(slots) - 1)
        for token in range(total):
            slot = hashes[token] & mask
            while slots[slot] >= 0 and keys[slots[slot]] != hashes[token]:
                slot = (slot + np.uint64(1)) & mask
            term = slots[slot]
            if term < 0:
                term = used
                used += 1
                slots[slot] = term
                keys[term] = hashes[token]
                counts[term] = 0
                last_row[term] = -1
                first_begin[term] = begins[token]
                first_end[term] = ends[token]
                topic[term] = token >= words
            if last_row[term] != row:
                last_row[term] = row
                counts[term] += 1
    return keys[:used], counts[:used], first_begin[:used], first_end[:used], topic[:used]


@numba.njit(cache=True)
def _grown(array, used, capacity):  # type: ignore[no-untyped-def]
    bigger = np.empty(capacity, array.dtype)
    bigger[:used] = array[:used]
    return bigger

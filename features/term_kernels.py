"""Compiled loops over tokens: how many documents hold each, and documents as TF-IDF rows.

`points, bounds, topic_points, topic_bounds` are the fields of `features.tokens.Documents`.
"""

from __future__ import annotations

import numba
import numpy as np

from features.tokens import ALL_LETTERS, scan_text, scan_topics


@numba.njit(cache=True)
def fill_slots(hashes, size):  # type: ignore[no-untyped-def]
    """Hash table int32[size] (a power of two) from the low bits of a hash to its row, -1 free."""
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


@numba.njit(cache=True, nogil=True)
def term_rows(  # type: ignore[no-untyped-def]
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
    """CSR parts (starts int64[n + 1], terms int32, values float32) of n TF-IDF rows of length 1.

    keys uint64[V], slots, weights float32[V] are those of `features.terms.Terms`.
    """
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
def count_documents(  # type: ignore[no-untyped-def]
    points, bounds, topic_points, topic_bounds, classes, ngram_min, ngram_max
):
    """Of each distinct token: hash, number of documents, first place (begin, end), topic or not."""
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
            slots = fill_slots(keys[:used], 2 * capacity)
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

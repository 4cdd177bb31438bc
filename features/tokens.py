"""Text to tokens: words, Han character n-grams and topics, each named by a 64-bit hash.

rjieba splits the text; everything after that works on one buffer of code points, because a Python
dictionary look-up a token would cost more than all the rest. Two kinds of tokens share their
hashes on purpose: the two-character word 停车 and the bigram 停车 are one term.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numba
import numpy as np
import rjieba
from numpy.typing import NDArray

from features.config import FeatureConfig

WORD_SEED = np.uint64(0xCBF29CE484222325)
TOPIC_SEED = np.uint64(0x84222325CBF29CE4)
_PRIME = np.uint64(0x100000001B3)
_MIX = np.uint64(0xFF51AFD7ED558CCD)
_SHIFT = np.uint64(33)

_SEPARATOR, _SEPARATOR_POINT = "\x1f", 0x1F
_BOUNDARY, _BOUNDARY_POINT = "\x1e", 0x1E
_CHUNK = 1_000
ALL_LETTERS = 1 << 60
_UNUSUAL = re.compile(
    "[^\x00-\x7f\u00b7\u2014\u2018-\u201d\u2026\u3000-\u3015\u4e00-\u9fff\uff01\uff08\uff09\uff0c\uff1a\uff1b\uff1f]"
)
"""Outside ASCII, common Han characters and common Chinese punctuation."""
_OTHER, _ALPHANUMERIC, _HAN = 0, 1, 2
_BASIC_PLANE = 0x10000
_HAN_PLANES = (0x20000, 0x323B0)


def character_classes() -> NDArray[np.uint8]:
    """uint8[65536]: for each code point of the basic plane 2 = Han, 1 = letter or digit, 0 = other.

    Part of the frozen feature state, so that another Unicode version cannot change a vocabulary.
    """
    classes = np.array([chr(c).isalnum() for c in range(_BASIC_PLANE)], np.uint8)
    classes[0x3400:0x4DC0] = _HAN
    classes[0x4E00:0xA000] = _HAN
    return classes


class Documents(NamedTuple):
    """n documents as code points, ready for the kernels.

    points: uint32[p], words of all texts, each closed by U+001F. bounds: int64[n, 2], where each
    text begins and ends in them. topic_points uint32[q], topic_bounds int64[n, 2]: the same of the
    topics.
    """

    points: NDArray[np.uint32]
    bounds: NDArray[np.int64]
    topic_points: NDArray[np.uint32]
    topic_bounds: NDArray[np.int64]

    @property
    def size(self) -> int:
        """Number of documents."""
        return len(self.bounds)


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """How text is split; part of the frozen feature state.

    ngram_min, ngram_max: lengths of Han character n-grams (1-3). maximum_characters: what is
    beyond is not read, so that one endless body cannot hold up a batch.
    """

    ngram_min: int
    ngram_max: int
    guess_new_words: bool
    maximum_characters: int

    @classmethod
    def of(cls, config: FeatureConfig) -> Tokenizer:
        """The tokenizer that a configuration asks for."""
        return cls(
            config.ngram_min, config.ngram_max, config.guess_new_words, config.maximum_characters
        )

    def documents(
        self, texts: Sequence[str], topics: Sequence[Sequence[str]] | None = None
    ) -> Documents:
        """Splits n texts (and their topics, when given) into buffers of code points."""
        words = [
            self._words(texts[start : start + _CHUNK]) for start in range(0, len(texts), _CHUNK)
        ]
        named = [""] * len(texts)
        if topics is not None and any(topics):
            named = [
                _SEPARATOR.join([*map(normalise_topic, own), ""]) if own else "" for own in topics
            ]
        points, bounds = _to_points(_BOUNDARY.join(words), len(texts))
        return Documents(points, bounds, *_to_points(_BOUNDARY.join(named), len(texts)))

    def _words(self, texts: Sequence[str]) -> str:
        """Words of several texts. rjieba gets them in one string: its cost a call is high, and
        U+001E between them is a token of its own that no word and no n-gram crosses.
        """
        longest = self.maximum_characters
        joined = _BOUNDARY.join([fold_text(text[:longest]) for text in texts])
        try:
            words = rjieba.cut(joined, self.guess_new_words)
        except UnicodeEncodeError:  # half a surrogate pair, which JSON can hold
            words = rjieba.cut(joined.encode("utf-8", "replace").decode(), self.guess_new_words)
        # Lower case comes last: the dictionary knows T恤 but not t恤.
        return _SEPARATOR.join([*words, ""]).lower()


def _to_points(joined: str, count: int) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Code points of `count` parts with U+001E between them, and where each part is."""
    points = np.frombuffer(joined.encode("utf-32-le", "replace"), np.uint32)
    bounds = np.zeros((count, 2), np.int64)
    if count:
        marks = np.flatnonzero(points == _BOUNDARY_POINT)
        bounds[1:, 0] = marks + 1
        bounds[:-1, 1] = marks
        bounds[-1, 1] = len(points)
    return points, bounds


def fold_text(text: str) -> str:
    """Full-width and other compatibility forms folded (NFKC).

    Folding is slow and Chinese punctuation alone, which never becomes a token, is no reason for it.
    """
    if _UNUSUAL.search(text):
        text = unicodedata.normalize("NFKC", text)
    return text.replace(_BOUNDARY, " ")


def normalise_topic(topic: str) -> str:
    """A topic as it is compared: folded, in lower case, without space around it."""
    return fold_text(topic).lower().strip()


@numba.njit(cache=True, inline="always")
def _finish(state: np.uint64) -> np.uint64:
    """FNV-1a leaves similar strings close together; this spreads them over the table."""
    mixed = (state ^ (state >> _SHIFT)) * _MIX
    return mixed ^ (mixed >> _SHIFT)


@numba.njit(cache=True)
def scan_text(points, start, stop, letters, classes, ngram_min, ngram_max, hashes, begins, ends):  # type: ignore[no-untyped-def]
    """Writes hash, first and last place of each token of one text; returns how many there are.

    Only the first `letters` letters, digits and Han characters are read. points uint32, classes
    uint8[65536]; hashes uint64, begins and ends int64 need room for
    (stop - start) * (2 + ngram_max - ngram_min) tokens. Words come out when they hold a letter, a
    digit or a Han character; one as short as an n-gram thus counts twice, which tells it from
    characters that only stand side by side (proposals by their nearest text: MRR .160, .178).
    """
    count = 0
    state = WORD_SEED
    word_begin = start
    alphanumeric = False
    han = False
    run = 0  # Han characters in a row, across word boundaries
    first = start  # where the second to last and the last of them are
    second = start
    for place in range(start, stop):
        point = points[place]
        if point == _SEPARATOR_POINT:
            if alphanumeric or han:
                hashes[count] = _finish(state)
                begins[count] = word_begin
                ends[count] = place
                count += 1
            state = WORD_SEED
            word_begin = place + 1
            alphanumeric = False
            han = False
            continue
        kind = _OTHER
        if point < _BASIC_PLANE:
            kind = classes[point]
        elif _HAN_PLANES[0] <= point < _HAN_PLANES[1]:
            kind = _HAN
        state = (state ^ np.uint64(point)) * _PRIME
        if kind != _OTHER:
            letters -= 1
            if letters < 0:
                break
        if kind != _HAN:
            run = 0
            alphanumeric = alphanumeric or kind == _ALPHANUMERIC
            continue
        han = True
        run += 1
        for n in range(ngram_min, min(ngram_max, run) + 1):
            gram = WORD_SEED
            begin = place
            if n == 3:
                gram = (gram ^ np.uint64(points[first])) * _PRIME
                begin = first
            if n >= 2:
                gram = (gram ^ np.uint64(points[second])) * _PRIME
                begin = min(begin, second)
            hashes[count] = _finish((gram ^ np.uint64(point)) * _PRIME)
            begins[count] = begin
            ends[count] = place + 1
            count += 1
        first = second
        second = place
    return count


@numba.njit(cache=True)
def scan_topics(points, start, stop, hashes, begins, ends):  # type: ignore[no-untyped-def]
    """Like `scan_text`, for the topics of one document; every topic is one token."""
    count = 0
    state = TOPIC_SEED
    begin = start
    for place in range(start, stop):
        if points[place] == _SEPARATOR_POINT:
            hashes[count] = _finish(state)
            begins[count] = begin
            ends[count] = place
            count += 1
            state = TOPIC_SEED
            begin = place + 1
        else:
            state = (state ^ np.uint64(points[place])) * _PRIME
    return count

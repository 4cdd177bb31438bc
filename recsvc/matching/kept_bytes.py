"""Bytes that are made once and read by compiled code again and again, by keys of four numbers.

A hash table with open addressing (Knuth, The Art of Computer Programming 3, 6.4): a key that is not
at its place stands in the next free one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit

from recsvc.model.arrays import I32, U8

_SLOTS = 64
_BYTES = 4_096


class KeptBytes:
    """Compiled code reads the three arrays; they are others when the table has grown."""

    __slots__ = ("_end", "count", "data", "keys", "places")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forgets everything."""
        self.count = self._end = 0
        self.keys: I32 = np.zeros((_SLOTS, 4), np.int32)
        """[slots, 4]"""
        self.places: I32 = np.zeros((_SLOTS, 2), np.int32)
        """[slots, 2] where the bytes begin and how many; none in a free slot."""
        self.data: U8 = np.zeros(_BYTES, np.uint8)
        """[b] all bytes."""

    def __contains__(self, key: Sequence[int]) -> bool:
        return bool(self.places[int(slot_of(self.keys, self.places, *key)), 1])

    def add(self, key: Sequence[int], value: bytes) -> None:
        """Keeps bytes (at least one) under a key; what is kept under it already stays."""
        if 2 * self.count >= len(self.keys):
            self._grow()
        slot = int(slot_of(self.keys, self.places, *key))
        if self.places[slot, 1]:
            return
        end = self._end + len(value)
        if end > len(self.data):
            self.data = np.resize(self.data, 2 * end)
        self.data[self._end : end] = np.frombuffer(value, np.uint8)
        self.keys[slot], self.places[slot] = key, (self._end, len(value))
        self.count, self._end = self.count + 1, end

    def _grow(self) -> None:
        keys, places = self.keys, self.places
        self.keys = np.zeros((2 * len(keys), 4), np.int32)
        self.places = np.zeros((2 * len(keys), 2), np.int32)
        for old in np.flatnonzero(places[:, 1]):
            slot = int(slot_of(self.keys, self.places, *keys[old].tolist()))
            self.keys[slot], self.places[slot] = keys[old], places[old]


@njit(cache=True, nogil=True)
def slot_of(keys: I32, places: I32, a: int, b: int, c: int, d: int) -> int:
    """Where a key is, or the free slot where it belongs."""
    mixed = np.uint64(14_695_981_039_346_656_037)  # FNV-1a, number by number
    for part in (a, b, c, d):
        mixed = (mixed ^ np.uint64(part)) * np.uint64(1_099_511_628_211)
    last = len(keys) - 1
    slot = np.int64((mixed ^ (mixed >> np.uint64(32))) & np.uint64(last))
    while places[slot, 1] and not (
        keys[slot, 0] == a and keys[slot, 1] == b and keys[slot, 2] == c and keys[slot, 3] == d
    ):
        slot = (slot + 1) & last
    return int(slot)

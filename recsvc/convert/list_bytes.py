"""The items of a page, straight from its columns to bytes of the contract.

An object a reason and a message a reason took as long as the ranking; joining bytes in the
interpreter, a fifth of it. What a reason says is written once and kept; compiled code puts names,
numbers and kept reasons together. Proven against the generated code by the tests.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numba import njit

from recsvc.matching.kept_bytes import slot_of
from recsvc.matching.page import Page
from recsvc.matching.reason_facts import GROUPS
from recsvc.matching.reason_record import (
    COUNT,
    DISTANCE,
    FACT,
    LIKELY,
    MOST_REASONS,
    SCORE,
    TAKEN,
    WEIGHT,
)
from recsvc.model.arrays import F64, I32, I64, U8
from recsvc.model.borrowed import borrowed
from recsvc.v1 import recommendation_pb2 as pb

# Field numbers and kinds; a RecommendedLead and a MatchedMember have the same.
_ITEM, _NAME, _POSITION, _SCORE, _LIKELY = 0x0A, 0x0A, 0x10, 0x19, 0x21
_REASON, _DISTANCE, _ADJUSTMENT = 0x2A, 0x31, 0x39
_CODE, _WEIGHT, _TEXT = 0x08, 0x11, 0x1A  # of a reason
_NUMBER = 8
"""Bytes of a number."""
_USUAL = 400
"""An item seldom takes more bytes."""

_CODES = [pb.ReasonCode.Value(f"REASON_CODE_{group}") for group in GROUPS]


def item_bytes(page: Page, prefix: str, offset: int) -> bytes:
    """The items as a field of a list reply; names begin with `prefix`, places with `offset`."""
    record, said = page.told.record, page.texts.encoded
    ids, out = page.packed_ids(), np.empty(_USUAL * len(record), np.uint8)
    while True:
        kept = said.keys, said.places, said.data
        size = _write_items(record, _bytes_of(prefix), offset, *ids, *kept, out)
        if size < 0:
            _keep_reasons(page)
        elif size > len(out):
            out = np.empty(size, np.uint8)
        else:
            return out[:size].tobytes()


@lru_cache(maxsize=1_000)
def _bytes_of(text: str) -> U8:
    return np.frombuffer(bytearray(text.encode()), np.uint8)


def _keep_reasons(page: Page) -> None:
    """Those reasons of a page that are not kept yet, each up to its weight, which comes last."""
    kept = page.texts.encoded
    for count, facts in zip(page.told.counts.tolist(), page.told.fact.tolist(), strict=True):
        for group, kind, a, b in facts[:count]:
            if (group, kind, a, b) in kept:
                continue
            text = page.texts.text(kind, a, b).encode()
            code = bytes([_CODE]) + _varint(_CODES[group])
            body = code + bytes([_TEXT]) + _varint(len(text)) + text + bytes([_WEIGHT])
            length = _varint(len(body) + _NUMBER)
            kept.add((group, kind, a, b), bytes([_REASON]) + length + body)


def _varint(value: int) -> bytes:
    out = np.empty(10, np.uint8)
    return out[: _put_varint(out, 0, value)].tobytes()


@njit(cache=True, nogil=True)
def _write_items(
    record: F64,
    prefix: U8,
    offset: int,
    ids: U8,
    starts: I64,
    rows: I64,
    keys: I32,
    places: I32,
    said: U8,
    out: U8,
) -> int:
    """Writes items into `out` if they fit; how many bytes they take, -1 when a reason is not kept.

    Rows have the ids (see `Table.packed_ids`); `keys`, `places`, `said` are those of a `KeptBytes`.
    """
    record, prefix, out = borrowed((record, prefix, out))
    ids, starts, rows = borrowed((ids, starts, rows))
    keys, places, said = borrowed((keys, places, said))
    slots = np.empty((len(record), MOST_REASONS), np.int64)
    sizes = np.empty(len(record), np.int64)
    total = _measure(record, len(prefix), offset, starts, rows, keys, places, slots, sizes)
    if total < 0 or total > len(out):
        return total
    raw, at = record.view(np.uint8), 0
    for i in range(len(record)):
        first, last = starts[rows[i]], starts[rows[i] + 1]
        at = _put_varint(out, _put_tag(out, at, _ITEM), sizes[i])
        at = _put_varint(out, _put_tag(out, at, _NAME), len(prefix) + last - first)
        at = _put(out, at, prefix, 0, len(prefix))
        at = _put(out, at, ids, first, last)
        at = _put_varint(out, _put_tag(out, at, _POSITION), offset + i)
        at = _put_known(out, at, _SCORE, record, raw, i, SCORE)
        at = _put_known(out, at, _LIKELY, record, raw, i, LIKELY)
        at = _put_reasons(out, at, record, raw, i, places, said, slots)
        at = _put_known(out, at, _DISTANCE, record, raw, i, DISTANCE)
        if record[i, TAKEN] != 0.0:
            at = _put_known(out, at, _ADJUSTMENT, record, raw, i, TAKEN)
    return total


@njit(cache=True, nogil=True, forceinline=True)
def _measure(
    record: F64,
    prefix: int,
    offset: int,
    starts: I64,
    rows: I64,
    keys: I32,
    places: I32,
    slots: I64,
    sizes: I64,
) -> int:
    """How many bytes each item takes, and all with their tags; -1 when a reason is not kept."""
    total = 0
    for i in range(len(record)):
        reasons = _find_reasons(record, i, keys, places, slots)
        if reasons < 0:
            return -1
        name = prefix + starts[rows[i] + 1] - starts[rows[i]]
        numbers = (not np.isnan(record[i, SCORE])) + (record[i, TAKEN] != 0.0)
        numbers += (not np.isnan(record[i, LIKELY])) + (not np.isnan(record[i, DISTANCE]))
        size = 1 + _varint_size(name) + name + 1 + _varint_size(offset + i)
        sizes[i] = size + (1 + _NUMBER) * numbers + reasons
        total += 1 + _varint_size(sizes[i]) + sizes[i]
    return total


@njit(cache=True, nogil=True, forceinline=True)
def _find_reasons(record: F64, i: int, keys: I32, places: I32, slots: I64) -> int:
    """Where the reasons of an item are kept, into its row of `slots`; how many bytes they take with
    their weights, -1 when one is not kept.
    """
    whole, size = record.view(np.int32), 0
    for k in range(whole[i, COUNT]):
        at = FACT + 4 * k
        fact = whole[i, at], whole[i, at + 1], whole[i, at + 2], whole[i, at + 3]
        slot = slot_of(keys, places, fact[0], fact[1], fact[2], fact[3])
        if places[slot, 1] == 0:
            return -1
        slots[i, k] = slot
        size += places[slot, 1] + _NUMBER
    return size


@njit(cache=True, nogil=True, forceinline=True)
def _put_reasons(
    out: U8, at: int, record: F64, raw: U8, i: int, places: I32, said: U8, slots: I64
) -> int:
    for k in range(record.view(np.int32)[i, COUNT]):
        begin, length = places[slots[i, k], 0], places[slots[i, k], 1]
        at = _put(out, at, said, begin, begin + length)
        weight = _NUMBER * (WEIGHT + k)
        at = _put(out, at, raw[i], weight, weight + _NUMBER)
    return at


@njit(cache=True, nogil=True, forceinline=True)
def _put_known(out: U8, at: int, tag: int, record: F64, raw: U8, i: int, column: int) -> int:
    """A field with a number of an item's record (`raw`: its bytes), if it is known."""
    if np.isnan(record[i, column]):
        return at
    begin = _NUMBER * column
    return _put(out, _put_tag(out, at, tag), raw[i], begin, begin + _NUMBER)


@njit(cache=True, nogil=True, forceinline=True)
def _put_tag(out: U8, at: int, tag: int) -> int:
    out[at] = tag
    return at + 1


@njit(cache=True, nogil=True, forceinline=True)
def _put(out: U8, at: int, source: U8, first: int, last: int) -> int:
    for i in range(last - first):
        out[at + i] = source[first + i]
    return at + last - first


@njit(cache=True, nogil=True)
def _put_varint(out: U8, at: int, value: int) -> int:
    while value > 0x7F:
        out[at] = value & 0x7F | 0x80
        value >>= 7
        at += 1
    out[at] = value
    return at + 1


@njit(cache=True, nogil=True, forceinline=True)
def _varint_size(value: int) -> int:
    size = 1
    while value > 0x7F:
        value >>= 7
        size += 1
    return size

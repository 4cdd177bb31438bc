"""The items of a page, straight from its columns to bytes of the contract.

An object a reason and a message a reason took as long as the ranking. What a reason says is written
once and kept; a page adds names and numbers. Proven against the generated code by the tests.
"""

from __future__ import annotations

import struct

from recsvc.matching.page import Page
from recsvc.matching.reason_facts import GROUPS, MOST_REASONS
from recsvc.v1 import recommendation_pb2 as pb

_ITEM, _NAME, _POSITION, _SCORE, _LIKELY = b"\x0a", b"\x0a", b"\x10", b"\x19", b"\x21"
_REASON, _DISTANCE, _ADJUSTMENT = b"\x2a", b"\x31", b"\x39"
"""Field numbers and kinds; a RecommendedLead and a MatchedMember have the same."""
_WEIGHT = b"\x11"
_KEY_BYTES = 16
_PAIR_BYTES = MOST_REASONS * _KEY_BYTES
_NUMBER_BYTES = 8

_number = struct.Struct("<cd").pack
"""A field with its number."""
_CODES = [pb.ReasonCode.Value(f"REASON_CODE_{group}") for group in GROUPS]


def item_bytes(page: Page, prefix: str, offset: int) -> bytes:
    """The items as a field of a list reply; names begin with `prefix`, places with `offset`."""
    told, encoded, ids = page.told, page.texts.encoded, page.ids
    facts, weights = told.fact.tobytes(), told.weight.tobytes()
    counts, taken = told.counts.tolist(), page.adjustments.tolist()
    written: list[bytes] = []
    for i, (score, likely, km) in enumerate(told.numbers.tolist()):
        name = (prefix + ids[i]).encode()
        item = [_NAME, _length(len(name)), name, _POSITION, _length(offset + i)]
        item.append(_number(_SCORE, score))
        if likely == likely:
            item.append(_number(_LIKELY, likely))
        at, weight = i * _PAIR_BYTES, i * MOST_REASONS * _NUMBER_BYTES
        for _ in range(counts[i]):
            key = facts[at : at + _KEY_BYTES]
            said = encoded.get(key)
            if said is None:
                said = encoded[key] = _reason(page, key)
            item.append(said)
            item.append(weights[weight : weight + _NUMBER_BYTES])
            at, weight = at + _KEY_BYTES, weight + _NUMBER_BYTES
        if km == km:
            item.append(_number(_DISTANCE, km))
        if taken[i]:
            item.append(_number(_ADJUSTMENT, taken[i]))
        whole = b"".join(item)
        written.append(_ITEM)
        written.append(_length(len(whole)))
        written.append(whole)
    return b"".join(written)


def _reason(page: Page, fact: bytes) -> bytes:
    """A reason without its weight, which comes last."""
    group, kind, a, b = struct.unpack("=4i", fact)
    text = page.texts.text(kind, a, b).encode()
    body = b"\x08" + _length(_CODES[group]) + b"\x1a" + _length(len(text)) + text + _WEIGHT
    return _REASON + _length(len(body) + _NUMBER_BYTES) + body


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


_SHORT = [_varint(value) for value in range(1 << 12)]


def _length(value: int) -> bytes:
    return _SHORT[value] if value < len(_SHORT) else _varint(value)

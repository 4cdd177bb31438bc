"""The items of a page, straight from its columns to bytes of the contract.

An object a reason and a message a reason took as long as the ranking, and a call a field took half
as long. What a reason says is written once and kept; a page adds names and numbers. Proven against
the generated code by the tests.
"""

from __future__ import annotations

import struct

from recsvc.matching.page import Page
from recsvc.matching.reason_facts import GROUPS
from recsvc.matching.reason_record import LAYOUT
from recsvc.v1 import recommendation_pb2 as pb

_ITEM, _NAME, _POSITION, _SCORE, _LIKELY = b"\x0a", b"\x0a", b"\x10", b"\x19", b"\x21"
_REASON, _DISTANCE, _ADJUSTMENT = b"\x2a", b"\x31", b"\x39"
"""Field numbers and kinds; a RecommendedLead and a MatchedMember have the same."""
_WEIGHT = b"\x11"
_NUMBER_BYTES = 8

_records = struct.Struct(LAYOUT).iter_unpack
_number = struct.Struct("<cd").pack
"""A field with its number."""
_numbers = struct.Struct("<cdcdcd").pack
_CODES = [pb.ReasonCode.Value(f"REASON_CODE_{group}") for group in GROUPS]


def item_bytes(page: Page, prefix: str, offset: int) -> bytes:
    """The items as a field of a list reply; names begin with `prefix`, places with `offset`."""
    said, ids, start = page.texts.encoded.get, page.ids, prefix.encode()
    taken = page.adjustments
    written: list[bytes] = []
    # As few calls an item as can be: each is as dear as the bytes it makes.
    for i, record in enumerate(_records(page.told.record.data)):
        count, first, second, third, weight, next_weight, last_weight, score, likely, km = record
        name = start + ids[i].encode()
        if likely == likely and km == km:  # a NaN, not known, is not equal to itself
            numbers = _numbers(_SCORE, score, _LIKELY, likely, _DISTANCE, km)
        else:
            numbers = _known(score, likely, km)
        size = len(name)
        length = _SHORT[size] if size < _MANY else _varint(size)
        item = [_NAME, length, name, _PLACED[offset + i], numbers]
        if count > 0:
            item += said(first) or _reason(page, first), weight
        if count > 1:
            item += said(second) or _reason(page, second), next_weight
        if count > 2:
            item += said(third) or _reason(page, third), last_weight
        if taken[i]:
            item.append(_number(_ADJUSTMENT, taken[i]))
        whole = b"".join(item)
        size = len(whole)
        length = _SHORT[size] if size < _MANY else _varint(size)
        written += _ITEM, length, whole
    return b"".join(written)


def _known(score: float, likely: float, km: float) -> bytes:
    """The fields of the numbers that are known."""
    fields = [_number(_SCORE, score)]
    if likely == likely:
        fields.append(_number(_LIKELY, likely))
    if km == km:
        fields.append(_number(_DISTANCE, km))
    return b"".join(fields)


def _reason(page: Page, fact: bytes) -> bytes:
    """A reason without its weight, which comes last; kept for others who say the same."""
    group, kind, a, b = struct.unpack("=4i", fact)
    text = page.texts.text(kind, a, b).encode()
    body = b"\x08" + _varint(_CODES[group]) + b"\x1a" + _varint(len(text)) + text + _WEIGHT
    said = page.texts.encoded[fact] = _REASON + _varint(len(body) + _NUMBER_BYTES) + body
    return said


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


_MANY = 1 << 12
_SHORT = [_varint(value) for value in range(_MANY)]
_PLACED = [_POSITION + place for place in _SHORT]
"""No list goes as deep."""

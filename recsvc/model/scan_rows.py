"""What a scan reads of each base lead, laid out for it: by slot of the blocks, so that rows of a
block lie side by side.

Two layouts, because reading memory is most of a scan's time: 64 bytes of a row, one cache line,
with four bits for each of the leading dimensions of its text; and its whole embedding, a byte a
dimension, list by list. Fewer bits or dimensions of the embedding lose what sets the best leads
apart: what a member cares for lies in no few of them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsvc.model.arrays import F32, I32, U8, LeadColumns
from recsvc.model.blocks import I8, LeadBlocks, globe_km
from recsvc.model.lists import EmbeddingLists

TEXT_BYTES = 32
"""Bytes of the text's codes, which begin a row; dimension d lies in a low half, d + 32 in a high.
"""

# Where the other parts of a row begin, counted in their own type.
PLACE = 8  # float32[3]
TOWN = 11  # int32: region code of the town, -1 unknown
GROUP = 13  # int32: group of its block
TOPICS = 28  # int16[2]: the first two topics, the number of topics for "none"
WEIGHTS = 30  # int16[2]: their weights in units of 1 / WEIGHT_UNIT
WEIGHT_UNIT = 4096

_MIDDLE_CODE = 8
_CODE_SPREAD = 2.8
"""Half-byte codes end at so many root mean squares: of a normal distribution that loses least."""

_PAD = 32
"""Codes are padded with zeros to a multiple of what one vector instruction takes."""

_CHUNK = 16_384

I16 = NDArray[np.int16]


class ScanRows(NamedTuple):
    """n leads by slot; see `RowViews` for the parts of `byte`."""

    byte: U8  # [n, 64]
    short_text_scale: F32  # [2 TEXT_BYTES] what a half-byte code of 1 means, 0 in the padding
    vector: I8  # [n, w] codes of the embedding, 0 padded, list by list
    vector_scale: F32  # [w] what a code of 1 means, 0 in the padding
    list_start: I32  # [c + 1] into the two arrays below
    list_slot: I32  # [n] slots, list by list
    list_block: I32  # [n] their blocks
    list_at: I32  # [n] by slot: where it is in its list
    centre: I8  # [c, d] codes of each list's mean
    centre_scale: F32  # [d]


class RowViews(NamedTuple):
    """The same memory, read as the types of its parts."""

    byte: U8  # [n, 64]
    short: I16  # [n, 32]
    whole: I32  # [n, 16]
    number: F32  # [n, 16]


def row_views(rows: ScanRows) -> RowViews:
    """Of the 64 bytes of each row."""
    byte = rows.byte
    views = byte.view(np.int16), byte.view(np.int32), byte.view(np.float32)
    return RowViews(byte, *views)


def build_scan_rows(leads: LeadColumns, blocks: LeadBlocks, lists: EmbeddingLists) -> ScanRows:
    """The rows of the base leads."""
    short_text, short_text_scale = half_byte_codes(leads.text[:, : 2 * TEXT_BYTES], TEXT_BYTES)
    byte = np.zeros((len(blocks.row), 64), np.uint8)
    _fill_facts(byte, leads, blocks)
    byte[:, :TEXT_BYTES] = short_text[blocks.row]
    sizes = np.diff(blocks.block_start)
    block = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
    list_slot = blocks.slot[lists.row]
    return ScanRows(
        byte,
        short_text_scale,
        *_padded(lists.code, lists.scale),
        lists.list_start,
        list_slot,
        block[list_slot],
        lists.slot[blocks.row],
        *_padded(lists.centre, lists.centre_scale),
    )


def half_byte_codes(vectors: F32, half: int) -> tuple[U8, F32]:
    """Two dimensions a byte (uint8[n, half]) and their scales (float32[2 half], 0 for padding).

    value = (code - 8) * scale.
    """
    count, width = vectors.shape
    square = np.einsum("ij,ij->j", vectors, vectors, dtype=np.float64) / max(count, 1)
    scale = np.zeros(2 * half, np.float32)
    scale[:width] = np.maximum(_CODE_SPREAD * np.sqrt(square) / (_MIDDLE_CODE - 1), 1e-12)
    codes = np.zeros((count, half), np.uint8)
    for start in range(0, count, _CHUNK):
        part = slice(start, start + _CHUNK)
        wide = np.full((len(codes[part]), 2 * half), _MIDDLE_CODE, np.uint8)
        wide[:, :width] = np.clip(np.rint(vectors[part] / scale[:width]), -7, 7) + _MIDDLE_CODE
        codes[part] = wide[:, :half] | (wide[:, half:] << 4)
    return codes, scale


def _fill_facts(byte: U8, leads: LeadColumns, blocks: LeadBlocks) -> None:
    short, whole = byte.view(np.int16), byte.view(np.int32)
    place = globe_km(leads.latitude_rad, leads.longitude_rad)
    byte.view(np.float32)[:, PLACE : PLACE + 3] = place[blocks.row]
    whole[:, TOWN] = leads.region[blocks.row, 3]
    sizes = np.diff(blocks.group_slot)
    whole[:, GROUP] = np.repeat(np.arange(len(sizes)), sizes)
    topics = leads.topics[blocks.row, :2]
    short[:, TOPICS : TOPICS + 2] = np.where(topics >= 0, topics, blocks.topic_count)
    weights = np.clip(leads.topic_weights[blocks.row, :2] * WEIGHT_UNIT, 0, 32767)
    short[:, WEIGHTS : WEIGHTS + 2] = np.rint(weights)


def _padded(codes: I8, scale: F32) -> tuple[I8, F32]:
    count, width = codes.shape
    wide = -(-width // _PAD) * _PAD
    padded = np.zeros((count, wide), np.int8)
    padded[:, :width] = codes
    scales = np.zeros(wide, np.float32)
    scales[:width] = scale
    return padded, scales

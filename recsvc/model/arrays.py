"""Members and leads as columns: one array a property, one row a member or lead.

The columns are NamedTuples of plain arrays, so that compiled kernels and NumPy read the same thing.
Every column has a fixed width, so a row can be overwritten in place. `d` is the embedding's
dimension, `dt` the text vector's.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

MEMBER_TOPICS = 16
LEAD_TOPICS = 8
PLACES = 4
OWN_TEXTS = 8
CO_TAKEN = 64
UNLIMITED = -1
NO_LEAD = int(np.iinfo(np.int32).max)
"""Pads a list of rows in ascending order."""

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]
I8 = NDArray[np.int8]


class MemberColumns(NamedTuple):
    """What the pipeline knows of each member."""

    key: I64  # [n] stable_key(member_id): equals LeadColumns.author_key for an author
    vector: F32  # [n, d] embedding; score = embedding_level + inner product with a lead's
    embedding_level: F32  # [n] mean of the score over all leads of training
    text: F32  # [n, dt] expertise, L2-normalised or zero
    interest_text: F32  # [n, dt] decayed mean of the leads acted on, L2-normalised or zero
    own_text: I8  # [n, 8, dt] of leads written or taken on, as codes: see features.own_texts
    own_text_scale: F32  # [n, 8] text = code * scale; 0 padded
    co_taken_leads: I32  # [n, 64] what goes with own leads: see recsvc.model.neighbours
    co_taken_weights: F32  # [n, 64]
    topics: I32  # [n, 16] topics known of: those named, then likely ones; -1 padded
    topic_weights: F32  # [n, 16]
    topics_named: U8  # [n] so many of them stand in the profile, the others are inferred
    interest_topics: I32  # [n, 16] topics acted on, -1 padded
    interest_topic_weights: F32  # [n, 16]
    sector: I32  # [n] -1 unknown
    latitude_rad: F32  # [n, 4] home first, NaN padded
    longitude_rad: F32  # [n, 4]
    activity_latitude_rad: F32  # [n, 4] where the leads acted on gather, NaN padded
    activity_longitude_rad: F32  # [n, 4]
    activity_share: F32  # [n, 4] how much of what was done lies there, 0 padded
    region: I32  # [n, 4, 4] province, city, county, town of each place, -1 unknown
    organization: I32  # [n] row of the organization tree, -1 none
    exposures: F32  # [n] pairs pushed or shown, decayed
    claims: F32  # [n] of those, the claimed ones
    events: F32  # [n] interactions of any positive kind
    answers: F32  # [n] exposures whose outcome is known; for these see recsvc.model.answers:
    willingness: F32  # [n] log-odds when trained, whatever the leads were; 0 without an answer
    willingness_information: F32  # [n] Σ p(1 - p) over the answers
    willingness_moved: F32  # [n] Σ (answer - p) over the answers since
    audience_met: F32  # [n] Σ audience_log of the leads asked about
    appeal_met: F32  # [n] Σ trained appeal of the leads asked about
    answer_topics: I32  # [n, 16] topics asked about, -1 padded
    answer_topic_sums: F32  # [n, 16] Σ (answer - p), decayed
    answer_topic_information: F32  # [n, 16] Σ p(1 - p), decayed
    answer_text: F32  # [n, dt] Σ (answer - p) * text of the lead, decayed
    active: U8  # [n]
    alive: U8  # [n] 0 = deleted or moved to the tail


class LeadColumns(NamedTuple):
    """What the pipeline knows of each lead."""

    key: I64  # [n] stable_key(lead_id)
    author_key: I64  # [n] stable_key(author_id), 0 = no author
    neighbour_row: I32  # [n] row in the bundle's neighbours, -1 when these say nothing of it
    vector: F32  # [n, d] embedding, less the mean of all leads'
    text: F32  # [n, dt]
    topics: I32  # [n, 8]
    topic_weights: F32  # [n, 8]
    topics_inferred: U8  # [n]
    latitude_rad: F32  # [n] NaN unknown
    longitude_rad: F32  # [n]
    region: I32  # [n, 4]
    organization: I32  # [n]
    urgency: U8  # [n] 0-3
    create_time_us: I64  # [n] 0 unknown
    close_time_us: I64  # [n] 0 unknown
    exposures: F32  # [n]
    claims: F32  # [n] of the exposures
    events: F32  # [n] interactions of any positive kind
    audience_log: F32  # [n] log of how many members it was shown to, when trained
    appeal: F32  # [n] log-odds when trained, whoever was asked; 0 without an answer
    appeal_information: F32  # [n] Σ p(1 - p) over the answers
    appeal_moved: F32  # [n] Σ (answer - p) over the answers since
    content_appeal: F32  # [n] what the text says of the appeal
    state: U8  # [n] features.entities.LeadState
    capacity_left: I32  # [n] -1 = unlimited
    alive: U8  # [n]


Columns = TypeVar("Columns", MemberColumns, LeadColumns)


@dataclass(frozen=True)
class Widths:
    """Column widths of one bundle: embedding and text dimensions."""

    vector: int
    text: int


_MEMBER_SPEC: dict[str, tuple[Any, tuple[int | str, ...], Any]] = {
    "key": (np.int64, (), 0),
    "vector": (np.float32, ("vector",), 0),
    "embedding_level": (np.float32, (), 0),
    "text": (np.float32, ("text",), 0),
    "interest_text": (np.float32, ("text",), 0),
    "own_text": (np.int8, (OWN_TEXTS, "text"), 0),
    "own_text_scale": (np.float32, (OWN_TEXTS,), 0),
    "co_taken_leads": (np.int32, (CO_TAKEN,), NO_LEAD),
    "co_taken_weights": (np.float32, (CO_TAKEN,), 0),
    "topics": (np.int32, (MEMBER_TOPICS,), -1),
    "topic_weights": (np.float32, (MEMBER_TOPICS,), 0),
    "topics_named": (np.uint8, (), 0),
    "interest_topics": (np.int32, (MEMBER_TOPICS,), -1),
    "interest_topic_weights": (np.float32, (MEMBER_TOPICS,), 0),
    "sector": (np.int32, (), -1),
    "latitude_rad": (np.float32, (PLACES,), np.nan),
    "longitude_rad": (np.float32, (PLACES,), np.nan),
    "activity_latitude_rad": (np.float32, (PLACES,), np.nan),
    "activity_longitude_rad": (np.float32, (PLACES,), np.nan),
    "activity_share": (np.float32, (PLACES,), 0),
    "region": (np.int32, (PLACES, 4), -1),
    "organization": (np.int32, (), -1),
    "exposures": (np.float32, (), 0),
    "claims": (np.float32, (), 0),
    "events": (np.float32, (), 0),
    "answers": (np.float32, (), 0),
    "willingness": (np.float32, (), 0),
    "willingness_information": (np.float32, (), 0),
    "willingness_moved": (np.float32, (), 0),
    "audience_met": (np.float32, (), 0),
    "appeal_met": (np.float32, (), 0),
    "answer_topics": (np.int32, (MEMBER_TOPICS,), -1),
    "answer_topic_sums": (np.float32, (MEMBER_TOPICS,), 0),
    "answer_topic_information": (np.float32, (MEMBER_TOPICS,), 0),
    "answer_text": (np.float32, ("text",), 0),
    "active": (np.uint8, (), 1),
    "alive": (np.uint8, (), 1),
}

_LEAD_SPEC: dict[str, tuple[Any, tuple[int | str, ...], Any]] = {
    "key": (np.int64, (), 0),
    "author_key": (np.int64, (), 0),
    "neighbour_row": (np.int32, (), -1),
    "vector": (np.float32, ("vector",), 0),
    "text": (np.float32, ("text",), 0),
    "topics": (np.int32, (LEAD_TOPICS,), -1),
    "topic_weights": (np.float32, (LEAD_TOPICS,), 0),
    "topics_inferred": (np.uint8, (), 0),
    "latitude_rad": (np.float32, (), np.nan),
    "longitude_rad": (np.float32, (), np.nan),
    "region": (np.int32, (4,), -1),
    "organization": (np.int32, (), -1),
    "urgency": (np.uint8, (), 0),
    "create_time_us": (np.int64, (), 0),
    "close_time_us": (np.int64, (), 0),
    "exposures": (np.float32, (), 0),
    "claims": (np.float32, (), 0),
    "events": (np.float32, (), 0),
    "audience_log": (np.float32, (), 0),
    "appeal": (np.float32, (), 0),
    "appeal_information": (np.float32, (), 0),
    "appeal_moved": (np.float32, (), 0),
    "content_appeal": (np.float32, (), 0),
    "state": (np.uint8, (), 1),
    "capacity_left": (np.int32, (), UNLIMITED),
    "alive": (np.uint8, (), 1),
}


def _empty(
    spec: dict[str, tuple[Any, tuple[int | str, ...], Any]], count: int, widths: Widths
) -> list[NDArray[Any]]:
    sizes = {"vector": widths.vector, "text": widths.text}
    arrays = []
    for dtype, shape, fill in spec.values():
        resolved = tuple(sizes[s] if isinstance(s, str) else s for s in shape)
        arrays.append(np.full((count, *resolved), fill, dtype))
    return arrays


def empty_members(count: int, widths: Widths) -> MemberColumns:
    """Columns of `count` members of whom nothing is known."""
    return MemberColumns(*_empty(_MEMBER_SPEC, count, widths))


def empty_leads(count: int, widths: Widths) -> LeadColumns:
    """Columns of `count` leads of which nothing is known."""
    return LeadColumns(*_empty(_LEAD_SPEC, count, widths))


def stable_key(identifier: str) -> int:
    """A 64-bit key of an id, equal in every process; 0 only for the empty id."""
    if not identifier:
        return 0
    digest = hashlib.blake2b(identifier.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True) or 1

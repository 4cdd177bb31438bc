"""What the scan asks of the member again and again, worked out once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from features.location import EARTH_RADIUS_KM
from recsvc.model.additive import AdditiveModel, table_value
from recsvc.model.arrays import F32, I32, MemberColumns
from recsvc.model.blocks import LeadBlocks
from recsvc.model.scan_tables import ScanTables
from recsvc.model.terms import INDEX, TermContext

_EXPERTISE_TOPICS = INDEX["expertise_topics"]
_INTEREST_TOPICS = INDEX["interest_topics"]
_SECTOR_TOPICS = INDEX["sector_topics"]
_ANSWER_TOPICS = INDEX["answer_topics"]


class Known(NamedTuple):
    """What the scan asks of the member again and again."""

    topic: F32  # [topics + 1] terms of a lead of each topic
    text: F32  # [TEXT_CODES] weights of the text codes
    home_km: F32  # [4, 3]
    home_count: int
    activity_km: F32  # [4, 3]
    activity_count: int


@njit(cache=True)
def known_of(
    model: AdditiveModel,
    context: TermContext,
    tables: ScanTables,
    members: MemberColumns,
    m: int,
    blocks: LeadBlocks,
) -> Known:
    text = np.empty(len(blocks.text_scale), np.float32)
    for d in range(len(text)):
        text[d] = blocks.text_scale[d] * (
            tables.expertise_text * members.text[m, d]
            + tables.interest_text * members.interest_text[m, d]
            + tables.answer_text * members.answer_text[m, d]
        )
    topic = _topic_terms(model, context, members, m, blocks.topic_count)
    home, homes = _places(members.latitude_rad[m], members.longitude_rad[m])
    active, actives = _places(members.activity_latitude_rad[m], members.activity_longitude_rad[m])
    return Known(topic, text, home, homes, active, actives)


@njit(cache=True)
def _topic_terms(
    model: AdditiveModel, context: TermContext, members: MemberColumns, m: int, count: int
) -> F32:
    """The topic terms (float32[count + 1]) of a lead with one topic; last: of one with none."""
    out = np.zeros(count + 1, np.float32)
    _add_topic_term(model, _EXPERTISE_TOPICS, members.topics[m], members.topic_weights[m], out)
    _add_topic_term(
        model, _INTEREST_TOPICS, members.interest_topics[m], members.interest_topic_weights[m], out
    )
    answered = members.answer_topic_sums[m] / (
        np.float32(1.0) + members.answer_topic_information[m]
    )
    _add_topic_term(model, _ANSWER_TOPICS, members.answer_topics[m], answered, out)
    sector, table = members.sector[m], context.sector_topics
    for t in range(count + 1):
        known = 0 <= sector < table.shape[0] and t < min(count, table.shape[1])
        out[t] += table_value(model, _SECTOR_TOPICS, table[sector, t] if known else np.nan)
    return out


@njit(cache=True)
def _add_topic_term(
    model: AdditiveModel, feature: int, topics: I32, weights: F32, out: F32
) -> None:
    count = len(out) - 1
    missing = table_value(model, feature, np.nan)
    # Most topics are none of the member's: their term is worked out once.
    other = missing if topics[0] < 0 else table_value(model, feature, 0.0)
    out[:count] += np.float32(other)
    out[count] += np.float32(missing)
    for i in range(len(topics)):
        if 0 <= topics[i] < count:
            out[topics[i]] += np.float32(table_value(model, feature, float(weights[i])) - other)


@njit(cache=True)
def _places(latitude: F32, longitude: F32) -> tuple[F32, int]:
    """Known places on the globe of `globe_km` (float32[4, 3]) and how many."""
    out = np.empty((len(latitude), 3), np.float32)
    count = 0
    for i in range(len(latitude)):
        if not np.isnan(latitude[i]):
            flat = np.cos(latitude[i]) * EARTH_RADIUS_KM
            out[count, 0] = flat * np.cos(longitude[i])
            out[count, 1] = flat * np.sin(longitude[i])
            out[count, 2] = np.sin(latitude[i]) * EARTH_RADIUS_KM
            count += 1
    return out, count

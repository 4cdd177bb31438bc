"""What the scan asks of the member again and again, worked out once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from features.location import EARTH_RADIUS_KM
from recsvc.model.additive import AdditiveModel, add_table_values
from recsvc.model.arrays import F32, I32, MemberColumns
from recsvc.model.scan_rows import ScanRows
from recsvc.model.scan_tables import ScanTables
from recsvc.model.terms import INDEX, TermContext

TOPIC_FEATURES = (
    INDEX["expertise_topics"],
    INDEX["interest_topics"],
    INDEX["answer_topics"],
    INDEX["sector_topics"],
)
"""In the order of `Known.topic_value`; the last is the best over a lead's topics, not the sum."""


class Known(NamedTuple):
    """What the scan asks of the member again and again."""

    topic: F32  # [topics + 1] terms of a lead of each topic alone
    topic_less: float  # term of a lead whose topics are none of the member's
    topic_more: F32  # [topics + 1] what a whole topic adds, but for the sector's
    topic_stated: F32  # [topics + 1] what a whole topic adds for having been stated
    topic_away: F32  # [topics + 1] the same for each unit of log-km
    sector: F32  # [topics + 1] the sector's term
    text: F32  # [2 TEXT_BYTES] weights of the text's half-byte codes
    text_middle: float  # what the codes of zeros make
    vector: F32  # [w] weights of the embedding's codes
    town: I32  # [4] region codes of the places' towns, -1 unknown
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
    rows: ScanRows,
    topic_count: int,
) -> Known:
    own_text = (
        np.float32(tables.expertise_text) * members.text[m]
        + np.float32(tables.interest_text) * members.interest_text[m]
        + np.float32(tables.answer_text) * members.answer_text[m]
    )
    text = np.zeros(len(rows.short_text_scale), np.float32)
    width = min(len(text), len(own_text))
    text[:width] = own_text[:width] * rows.short_text_scale[:width]
    own = members.vector[m]
    vector = np.zeros(len(rows.vector_scale), np.float32)
    vector[: len(own)] = own * rows.vector_scale[: len(own)]
    values = _topic_values(context, members, m, topic_count)
    terms = np.zeros((2, topic_count + 1), np.float32)
    nothing = np.zeros(1, np.float32)
    for i in range(len(TOPIC_FEATURES)):
        of_sector = int(i == len(TOPIC_FEATURES) - 1)
        add_table_values(model, TOPIC_FEATURES[i], values[i], terms[of_sector])
        if not of_sector:
            none = values[i, :1] * np.float32(0.0)  # NaN stays NaN: what is not known
            add_table_values(model, TOPIC_FEATURES[i], none, nothing)
    stated, away = _by_topic(context, tables, members.topics[m], topic_count)
    home, homes = _places(members.latitude_rad[m], members.longitude_rad[m])
    active, actives = _places(members.activity_latitude_rad[m], members.activity_longitude_rad[m])
    return Known(
        terms[0] + terms[1] + stated,
        float(nothing[0]),
        terms[0] - nothing[0],
        stated,
        away,
        terms[1],
        text,
        -8.0 * float(text.sum()),
        vector,
        members.region[m, :, 3],
        home,
        homes,
        active,
        actives,
    )


@njit(cache=True)
def _by_topic(
    context: TermContext, tables: ScanTables, stated: I32, topic_count: int
) -> tuple[F32, F32]:
    """What a lead of one topic gets for the member's stating it, and for each unit of log-km.

    The two tables of `recsvc.model.topic_terms` as straight lines.
    """
    effects, place, known = context.topic_effects, tables.place_by_topic, tables.stated_by_topic
    level, slope = np.zeros((2, topic_count + 1), np.float32)
    count = min(topic_count, len(effects))
    for t in range(count):
        slope[t] = place * effects[t, 0]
    for topic in stated:
        if 0 <= topic < count:
            level[topic] = known * effects[topic, 1]
            slope[topic] = place * effects[topic, 0] + known * effects[topic, 2]
    return level, slope


@njit(cache=True)
def _topic_values(context: TermContext, members: MemberColumns, m: int, count: int) -> F32:
    """The topic features (float32[4, count + 1]) of a lead of one topic; last: of one with none."""
    out = np.full((len(TOPIC_FEATURES), count + 1), np.nan, np.float32)
    _fill(members.topics[m], members.topic_weights[m], out[0])
    _fill(members.interest_topics[m], members.interest_topic_weights[m], out[1])
    answered = members.answer_topic_sums[m] / (
        np.float32(1.0) + members.answer_topic_information[m]
    )
    _fill(members.answer_topics[m], answered, out[2])
    sector, table = members.sector[m], context.sector_topics
    if 0 <= sector < table.shape[0]:
        known = min(count, table.shape[1])
        out[3, :known] = table[sector, :known]
    return out


@njit(cache=True)
def _fill(topics: I32, weights: F32, out: F32) -> None:
    """A lead's topics against the member's; nothing is known when the member has none."""
    count = len(out) - 1
    if topics[0] < 0:
        return
    out[:count] = 0.0
    for i in range(len(topics)):
        if topics[i] < 0:
            break
        if topics[i] < count:
            out[topics[i]] += weights[i]


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

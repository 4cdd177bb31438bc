"""A rough score of every member for a lead, cheap enough to be computed for all of them.

It has all terms of the ranker that tell members apart by much: the embedding whole (what a member
has in common with few leads lies in no dimension that many share), texts in the few dimensions in
which members and leads differ most, what does not depend on the lead, topics, sector, place,
region. It only decides whom the ranker looks at. What is the same for all members of a lead is left
out.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from features.location import EARTH_RADIUS_KM
from recsvc.matching.candidates import member_prior
from recsvc.model.additive import AdditiveModel, add_table_values, table_value
from recsvc.model.arrays import F32, I32, I64, LeadColumns, MemberColumns
from recsvc.model.bundle import Bundle
from recsvc.model.member_lists import turns
from recsvc.model.scan_tables import ScanTables, scan_tables, table_slope
from recsvc.model.terms import INDEX

FAR_KM = 1e6
"""A coordinate of a place that is not known."""


_LEAST = -1e3
"""Of a term: a lead without topics has the same of every sector."""
_SEED = 0
"""Of the sample that tells in which dimensions members and leads differ."""


class Topics(NamedTuple):
    """Who has a topic, by topic: the members of topic t are at `start[t]` to `start[t + 1]`."""

    start: I64  # [topics + 1]
    member: I32  # [entries] rows
    value: F32  # [entries] what a lead's weight of the topic is multiplied with


class Ranking(NamedTuple):
    """What is the same for all segments of the member table."""

    model: AdditiveModel
    tables: ScanTables
    text_turn: F32  # [r, dt] turns a lead's text to where members and leads differ most
    text_there: F32  # [dt, r] the same for members
    effects: F32  # [topics, 3], see recsvc.model.topic_terms
    sectors: F32  # [sectors + 1, topics] the sector's term for a lead of the topic; last: not known


class Rough(NamedTuple):
    """One segment of the member table, prepared for many leads."""

    vectors: F32  # [n, d]
    texts: F32  # [n, r]
    prior: F32  # [n]
    by_topics: F32  # [n] added for a lead that has topics
    homes: F32  # [n, 4, 3] on a globe of kilometres, the known ones first
    active: F32  # [n, 4, 3]
    sector: I32  # [n]
    region: I32  # [n, 4, 4]
    stated: Topics
    liked: Topics  # of interest and answers together


class Sought(NamedTuple):
    """What is to be known of a lead."""

    topics: I32  # [k] those it has
    weights: F32  # [k]
    stated: F32  # [k] log-odds of stating the topic, at 20 km
    away: F32  # [k] the same, for each unit of log-km from there
    known: bool  # its place
    place_km: F32  # [3]
    home: F32  # [ENTRIES + 1] what a home's distance says, with what the lead's topics say of it
    sector: F32  # [sectors + 1] last: not known
    region: I32  # [4]


def ranking(bundle: Bundle) -> Ranking:
    """What the rough score reads of a bundle."""
    model, leads, members = bundle.ranker, bundle.leads, bundle.members
    text_there, text_turn = turns(_text(model, members), leads.text, _SEED)
    context = bundle.context
    return Ranking(
        model,
        scan_tables(model),
        text_turn,
        text_there,
        context.topic_effects,
        _sectors(model, context.sector_topics),
    )


def prepare(bundle: Bundle, ranked: Ranking, columns: MemberColumns) -> Rough:
    """Everything of a segment that is the same for all leads."""
    model = ranked.model
    answered = columns.answer_topic_sums / (1.0 + columns.answer_topic_information)
    count = len(bundle.space.topics.names)
    expertise, interest, answers = (table_slope(model, name) for name in _TOPICAL)
    return Rough(
        columns.vector,
        _text(model, columns) @ ranked.text_there,
        member_prior(bundle, columns),
        _unsaid(model, columns),
        _points(columns.latitude_rad, columns.longitude_rad),
        _points(columns.activity_latitude_rad, columns.activity_longitude_rad),
        columns.sector.astype(np.int32),
        columns.region,
        _by_topic(count, (columns.topics, columns.topic_weights * np.float32(expertise))),
        _by_topic(
            count,
            (columns.interest_topics, columns.interest_topic_weights * np.float32(interest)),
            (columns.answer_topics, answered * np.float32(answers)),
        ),
    )


_TOPICAL = ("expertise_topics", "interest_topics", "answer_topics")


def sought(ranked: Ranking, leads: LeadColumns, row: int) -> Sought:
    """What is to be known of one lead (row of `leads`)."""
    tables = ranked.tables
    has = leads.topics[row] >= 0
    topics, weights = leads.topics[row][has], leads.topic_weights[row][has]
    shares = weights / max(float(weights.sum()), 1e-12)
    effects = np.zeros((len(topics), 3), np.float32)
    inside = topics < len(ranked.effects)
    effects[inside] = ranked.effects[topics[inside]]
    slope = tables.place_by_topic * float(shares @ effects[:, 0])
    place = _points(
        leads.latitude_rad[row : row + 1, None], leads.longitude_rad[row : row + 1, None]
    )
    return Sought(
        topics,
        weights,
        np.float32(tables.stated_by_topic) * shares * effects[:, 1],
        np.float32(tables.stated_by_topic) * shares * effects[:, 2],
        not np.isnan(leads.latitude_rad[row]),
        place[0, 0],
        tables.home + np.float32(slope) * tables.away,
        ranked.sectors[:, topics].max(axis=1, initial=_LEAST),
        leads.region[row],
    )


def _text(model: AdditiveModel, columns: MemberColumns) -> F32:
    """All that members' texts say, weighed as the ranker weighs it (float32[n, dt])."""
    text = columns.text * np.float32(table_slope(model, "expertise_text"))
    text += columns.interest_text * np.float32(table_slope(model, "interest_text"))
    text += columns.answer_text * np.float32(table_slope(model, "answer_text"))
    return np.asarray(text)


def _unsaid(model: AdditiveModel, columns: MemberColumns) -> F32:
    """What the topical terms are before any topic is shared (float32[n]): known or not known."""
    total = np.zeros(len(columns.alive), np.float32)
    stated = columns.topics[:, 0] >= 0
    for name, known in (
        ("expertise_topics", stated),
        ("stated_by_topic", stated),
        ("interest_topics", columns.interest_topics[:, 0] >= 0),
        ("answer_topics", columns.answer_topics[:, 0] >= 0),
    ):
        without, nothing = (table_value(model, INDEX[name], x) for x in (np.nan, 0.0))
        total += np.where(known, nothing, without).astype(np.float32)
    return total


def _points(latitude: F32, longitude: F32) -> F32:
    """On a globe of kilometres (float32[n, k, 3]), known places first; unknown ones far outside."""
    across = np.cos(latitude)
    where = np.stack(
        [across * np.cos(longitude), across * np.sin(longitude), np.sin(latitude)], axis=-1
    )
    where = (where * EARTH_RADIUS_KM).astype(np.float32)
    where[np.isnan(where)] = FAR_KM
    order = np.argsort(where[..., :1] >= FAR_KM, axis=1, kind="stable")
    return np.take_along_axis(where, order, axis=1)


def _sectors(model: AdditiveModel, table: F32) -> F32:
    """The term of each sector for a lead of each topic (float32[sectors + 1, topics]).

    It rises with the table's value, so that the best over topics is the term of the best.
    """
    feature = INDEX["sector_topics"]
    out = np.full((len(table) + 1, table.shape[1]), table_value(model, feature, np.nan), np.float32)
    flat = np.zeros(table.size, np.float32)
    add_table_values(model, feature, np.ascontiguousarray(table.ravel()), flat)
    out[:-1] = flat.reshape(table.shape)
    return out


def _by_topic(count: int, *kinds: tuple[I32, F32]) -> Topics:
    """Turns (topics int32[n, k], -1 padded, values float32[n, k]) the other way round."""
    topics, members, values = [], [], []
    for topic, value in kinds:
        row, column = np.nonzero((topic >= 0) & (topic < count))
        topics.append(topic[row, column])
        members.append(row.astype(np.int32))
        values.append(value[row, column].astype(np.float32))
    every = np.concatenate(topics)
    order = np.argsort(every, kind="stable")
    start = np.searchsorted(every[order], np.arange(count + 1, dtype=every.dtype)).astype(np.int64)
    return Topics(start, np.concatenate(members)[order], np.concatenate(values)[order])

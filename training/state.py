"""From a part of the log to columns: what is known of each member and lead at its end.

The service starts from such columns, and the ranker learns on them: one state is built from the
early part of a log (to learn from and judge on the later part), one from all of it (to serve).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from features.activity import activity_places
from features.entities import EventKind
from features.events import EventLog
from features.extract import FeatureSpace, LeadFeatures, MemberFeatures
from features.interest import (
    event_weights,
    interest_matrix,
    interest_text,
    interest_topics,
)
from features.own_texts import own_texts, own_weights
from features.willingness import slot_of
from recsvc.matching.profile import half_life, pair_strength
from recsvc.model.arrays import (
    F32,
    LeadColumns,
    MemberColumns,
    Widths,
    empty_leads,
    empty_members,
)
from recsvc.model.assemble import fill_leads, fill_members
from recsvc.model.bundle import InterestRule
from recsvc.model.history import BaseHistory, group_events
from recsvc.model.neighbours import Neighbours, co_taken
from recsvc.model.organizations import OrganizationTree
from recsvc.model.terms import TermContext
from training.answers import learn_answers
from training.config import TrainingConfig
from training.embeddings import Embedding
from training.embeddings.base import as_csr, centred
from training.exposures import exposed_pairs
from training.logs import DataSet
from training.neighbours import learn_neighbours
from training.split import ANSWERS, SHOWN, pair_hash

Fit = Callable[[sparse.csr_matrix], Embedding]
MOST_SECTOR_TOPICS = 2_000_000


@dataclass(frozen=True)
class Catalog:
    """A data set's members and leads as features; no event has been looked at."""

    data: DataSet
    space: FeatureSpace
    content: sparse.csr_matrix
    organizations: OrganizationTree
    member_features: MemberFeatures
    lead_features: LeadFeatures

    @property
    def shape(self) -> tuple[int, int]:
        """(members, leads)."""
        return len(self.data.members), len(self.data.leads)


@dataclass(frozen=True)
class State:
    """Columns and parameters learned from one part of the log."""

    members: MemberColumns
    leads: LeadColumns
    embedding: Embedding
    context: TermContext
    history: BaseHistory
    neighbours: Neighbours
    interest: InterestRule


def build_catalog(data: DataSet, config: TrainingConfig) -> Catalog:
    """Fits the feature space and extracts the content of all leads."""
    space = FeatureSpace.fit(data.members, data.leads, config.features, config.seed)
    organizations = OrganizationTree(data.organizations)
    lead_features, content = space.leads_with_content(data.leads)
    members = space.members(data.members)
    # Cleaned once: every fit would make a clean copy of its own.
    return Catalog(data, space, as_csr(content), organizations, members, lead_features)


def last_time_us(events: EventLog) -> int:
    """When a log ends, 0 for an empty one."""
    return int(events.time_us[-1]) if len(events) else 0


def interest_rule(events: EventLog, config: TrainingConfig) -> InterestRule:
    """How the events of this log count toward interest; one event does not show a lack of times."""
    has_times = len(events) < 2 or events.has_times
    return InterestRule(config.interest_half_life_days, last_time_us(events), has_times)


def interactions(
    events: EventLog, weights: F32, member_count: int, lead_count: int
) -> sparse.csr_matrix:
    """One weight > 0 a pair (csr float32[m, n]) from n events' weights, as in the fold-in."""
    matrix = interest_matrix(events, weights, member_count, lead_count)
    matrix.data = pair_strength(matrix.data)
    matrix.eliminate_zeros()
    return matrix


def learn_state(catalog: Catalog, events: EventLog, fit: Fit, config: TrainingConfig) -> State:
    """Everything a bundle knows, learned from `events` (a part of the data set's log)."""
    member_count, lead_count = catalog.shape
    rule = interest_rule(events, config)
    weights = event_weights(events, rule.reference_time_us, half_life(rule))
    taken = interactions(events, weights, member_count, lead_count)
    embedding = centred(fit(taken))
    widths = Widths(embedding.dimensions_count, catalog.space.text.dimensions)
    members = _member_columns(catalog, embedding, widths)
    leads = _lead_columns(catalog, embedding, widths)
    members.interest_text[:] = interest_text(events, weights, leads.text, member_count)
    members.interest_topics[:], members.interest_topic_weights[:] = interest_topics(
        events, weights, leads.topics, leads.topic_weights, member_count
    )
    _count(events, members, leads)
    _fill_own(events, weights, members, leads)
    neighbours = learn_neighbours(taken, config.neighbours, config.seed)
    _fill_co_taken(taken, neighbours, members, leads)
    context = learn_answers(
        exposed_pairs(events, leads.capacity_left, config.split),
        members,
        leads,
        _sector_topics(events, weights, members, leads, catalog.space),
        rule.has_times,
        config.split.attribution_days,
        config.answers,
    )
    history = group_events(
        events.member,
        events.lead,
        events.kind,
        events.reason,
        events.time_us,
        slot_of(events.position),
        member_count,
        lead_count,
    )
    return State(members, leads, embedding, context, history, neighbours, rule)


def _member_columns(catalog: Catalog, embedding: Embedding, widths: Widths) -> MemberColumns:
    data = catalog.data
    columns = empty_members(len(data.members), widths)
    rows = np.arange(len(data.members), dtype=np.int32)
    fill_members(columns, rows, data.members, catalog.member_features, catalog.organizations)
    columns.vector[:] = embedding.members
    columns.embedding_level[:] = embedding.fold_in.levels(embedding.members)
    return columns


def _lead_columns(catalog: Catalog, embedding: Embedding, widths: Widths) -> LeadColumns:
    data = catalog.data
    columns = empty_leads(len(data.leads), widths)
    rows = np.arange(len(data.leads), dtype=np.int32)
    fill_leads(columns, rows, data.leads, catalog.lead_features, catalog.organizations)
    columns.vector[:] = embedding.leads
    return columns


def _count(events: EventLog, members: MemberColumns, leads: LeadColumns) -> None:
    """Exposures and claims count once a pair, other events each time, as `event_updates` does."""
    known = events.lead >= 0
    pair = events.member.astype(np.int64) * len(leads.alive) + events.lead
    shown = np.unique(pair[known & np.isin(events.kind, SHOWN)])
    claimed = np.unique(pair[known & (events.kind == EventKind.CLAIMED)])
    hits = shown[np.isin(shown, claimed)]
    answered = known & np.isin(events.kind, ANSWERS)
    for columns, shown_rows, hit_rows, rows in (
        (members, shown // len(leads.alive), hits // len(leads.alive), events.member[answered]),
        (leads, shown % len(leads.alive), hits % len(leads.alive), events.lead[answered]),
    ):
        count = len(columns.alive)
        columns.exposures[:] = np.bincount(shown_rows, minlength=count)
        columns.claims[:] = np.bincount(hit_rows, minlength=count)
        columns.events[:] = np.bincount(rows, minlength=count)


def _fill_own(events: EventLog, weights: F32, members: MemberColumns, leads: LeadColumns) -> None:
    """Where members are active, and the texts of their own leads."""
    kept = (weights > 0) & (events.lead >= 0)
    order = np.argsort(events.member[kept], kind="stable")
    starts = np.zeros(len(members.alive) + 1, np.int64)
    np.cumsum(np.bincount(events.member[kept], minlength=len(members.alive)), out=starts[1:])
    lead, weights = events.lead[kept][order], weights[kept][order]
    places = activity_places(starts, lead, weights, leads.latitude_rad, leads.longitude_rad)
    members.activity_latitude_rad[:], members.activity_longitude_rad[:] = places[:2]
    members.activity_share[:] = places[2]
    own = own_weights(events.kind[kept][order], weights)
    members.own_text[:], members.own_text_scale[:] = own_texts(starts, lead, own, leads.text)


def _fill_co_taken(
    taken: sparse.csr_matrix, neighbours: Neighbours, members: MemberColumns, leads: LeadColumns
) -> None:
    known = np.flatnonzero(neighbours.known())
    leads.neighbour_row[known] = known
    start = taken.indptr.astype(np.int64)
    members.co_taken_leads[:], members.co_taken_weights[:] = co_taken(
        neighbours, start, taken.indices.astype(np.int32), taken.data
    )


def _sector_topics(
    events: EventLog,
    weights: F32,
    members: MemberColumns,
    leads: LeadColumns,
    space: FeatureSpace,
) -> F32:
    """Log-lift (float32[sectors, topics]) of a sector acting on a topic, shrunk toward 0."""
    sectors, topics = len(space.sectors), len(space.topics.names)
    if sectors == 0 or topics == 0 or sectors * topics > MOST_SECTOR_TOPICS:
        return np.zeros((0, 0), np.float32)
    kept = (weights > 0) & (events.lead >= 0)
    kept &= members.sector[events.member] >= 0
    sector = members.sector[events.member[kept]]
    named = leads.topics[events.lead[kept]]
    counts = np.zeros((sectors, topics))
    for column in range(named.shape[1]):
        has = named[:, column] >= 0
        np.add.at(counts, (sector[has], named[has, column]), 1.0)
    share = (counts.sum(axis=0) + 1.0) / (counts.sum() + topics)
    own = (counts + 5.0 * share) / (counts.sum(axis=1, keepdims=True) + 5.0)
    lift: F32 = np.log(own / share).astype(np.float32)
    return lift


def sample_rows(count: int, most: int, seed: int) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    """At most `most` of `count` rows (int32, ascending), chosen by hash."""
    rows = np.arange(count, dtype=np.int32)
    if count <= most:
        return rows
    order = np.argsort(pair_hash(rows, np.zeros_like(rows), seed + 3))
    return np.sort(rows[order[:most]])

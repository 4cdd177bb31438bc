"""Retrieval: the few eligible rows that the ranker should look at.

Eligibility is decided for every row before the search and pushed into it, so that the best of the
eligible come back, however few they are.
"""

from __future__ import annotations

import numpy as np

from recsvc.matching.candidates import (
    CandidateConfig,
    by_distance,
    by_prior,
    by_vector,
    lead_prior,
    lead_query,
    member_prior,
    member_query,
)
from recsvc.matching.masks import Masked
from recsvc.model.arrays import F32, I32, I64, LeadColumns, MemberColumns
from recsvc.model.snapshot import Snapshot, lead_search_vectors, member_search_vectors
from recsvc.model.verdicts import Verdict


def lead_candidates(
    snapshot: Snapshot,
    member_row: int,
    masked: Masked,
    now_us: int,
    depth: int,
    config: CandidateConfig,
) -> I64:
    """Global rows (int64[c], no order) of the leads worth ranking for one member."""
    members, local = snapshot.members.locate(member_row)
    query = lead_query(snapshot.bundle.ranker, members, local)
    found = []
    for part, (start, leads) in zip(masked.verdicts, snapshot.leads.segments(), strict=True):
        eligible = (part == Verdict.KEPT).astype(np.uint8)
        count = max(config.per_source, 2 * depth)
        if eligible.sum() <= max(config.all_below, 2 * depth):
            found.append(np.flatnonzero(eligible) + start)
            continue
        index = snapshot.lead_index if start == 0 else None
        vectors = leads.vector[:0] if index else lead_search_vectors(leads)
        sources = (
            by_vector(index, vectors, query, eligible, count),
            by_distance(
                leads.latitude_rad[:, None],
                leads.longitude_rad[:, None],
                *_all_places(members, local),
                eligible,
                count,
            ),
            by_prior(lead_prior(snapshot.bundle, leads, now_us), eligible, count),
        )
        found.append(_union(sources) + start)
    return np.concatenate([np.empty(0, np.int64), *found])


def member_candidates(
    snapshot: Snapshot,
    leads: LeadColumns,
    local: int,
    masked: Masked,
    depth: int,
    config: CandidateConfig,
) -> I64:
    """Global rows (int64[c], no order) of the members worth ranking for one lead."""
    query = member_query(snapshot.bundle.ranker, leads, local)
    found = []
    for part, (start, members) in zip(masked.verdicts, snapshot.members.segments(), strict=True):
        eligible = (part == Verdict.KEPT).astype(np.uint8)
        count = max(config.per_source, 2 * depth)
        if eligible.sum() <= max(config.all_below, 2 * depth):
            found.append(np.flatnonzero(eligible) + start)
            continue
        index = snapshot.member_index if start == 0 else None
        vectors = members.vector[:0] if index else member_search_vectors(members)
        place = leads.latitude_rad[local : local + 1], leads.longitude_rad[local : local + 1]
        active = members.activity_latitude_rad, members.activity_longitude_rad
        sources = (
            by_vector(index, vectors, query, eligible, count),
            by_distance(members.latitude_rad, members.longitude_rad, *place, eligible, count),
            by_distance(*active, *place, eligible, count),
            by_prior(member_prior(snapshot.bundle, members), eligible, count),
        )
        found.append(_union(sources) + start)
    return np.concatenate([np.empty(0, np.int64), *found])


def _all_places(members: MemberColumns, local: int) -> tuple[F32, F32]:
    """A member's own places and those of their activity (two float32[8], radians)."""
    return (
        np.concatenate([members.latitude_rad[local], members.activity_latitude_rad[local]]),
        np.concatenate([members.longitude_rad[local], members.activity_longitude_rad[local]]),
    )


def _union(sources: tuple[I32, ...]) -> I64:
    return np.unique(np.concatenate(sources)).astype(np.int64)

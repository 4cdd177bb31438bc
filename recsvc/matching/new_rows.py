"""What came since the bundle lies in no list: every such row is looked at, roughly.

What the rough look needs of the new rows (their vectors side by side, what speaks for each whoever
asks) is worked out when they change, not at every request.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recsvc.matching.candidates import (
    best_of,
    by_distance,
    lead_prior,
    lead_query,
    lead_search_vectors,
    member_prior,
    member_query,
    member_search_vectors,
)
from recsvc.model.arrays import F32, I32, I64, U8, LeadColumns, MemberColumns
from recsvc.model.snapshot import Snapshot

_AGES_US = 600_000_000
"""Leads grow old: what speaks for them by themselves holds for ten minutes."""

Reading = tuple[F32, F32]
"""Search vectors (float32[t, w]) and priors (float32[t]) of a tail."""


def best_new_leads(
    snapshot: Snapshot, members: MemberColumns, local: int, eligible: U8, now_us: int, count: int
) -> I64:
    """The best of the new leads for one member: global rows, at most 1.25 `count`, no order.

    `eligible` uint8[t] by row of the tail.
    """
    table, bundle = snapshot.leads, snapshot.bundle
    reading = _kept(
        snapshot,
        "leads",
        (table.version, now_us // _AGES_US),
        lambda: (lead_search_vectors(table.tail), lead_prior(bundle, table.tail, now_us)),
    )
    where = table.tail.latitude_rad[:, None], table.tail.longitude_rad[:, None]
    own = (
        np.concatenate([members.latitude_rad[local], members.activity_latitude_rad[local]]),
        np.concatenate([members.longitude_rad[local], members.activity_longitude_rad[local]]),
    )
    near = by_distance(*where, *own, eligible, count // 4)
    query = lead_query(bundle.ranker, members, local)
    return _best(reading, query, eligible, near, count) + table.base_count


def best_new_members(
    snapshot: Snapshot, leads: LeadColumns, local: int, eligible: U8, count: int
) -> I64:
    """The best of the new members for one lead: as `best_new_leads`."""
    table, bundle = snapshot.members, snapshot.bundle
    reading = _kept(
        snapshot,
        "members",
        (table.version, 0),
        lambda: (member_search_vectors(table.tail), member_prior(bundle, table.tail)),
    )
    where = table.tail.latitude_rad, table.tail.longitude_rad
    place = leads.latitude_rad[local : local + 1], leads.longitude_rad[local : local + 1]
    near = by_distance(*where, *place, eligible, count // 4)
    query = member_query(bundle.ranker, leads, local)
    return _best(reading, query, eligible, near, count) + table.base_count


def _kept(
    snapshot: Snapshot, kind: str, key: tuple[int, int], read: Callable[[], Reading]
) -> Reading:
    """The reading of a tail, made anew when what it depends on (`key`) has changed."""
    kept = snapshot.kept_new.get(kind)
    if kept is None or kept[0] != key:
        kept = snapshot.kept_new[kind] = key, read()
    return kept[1]


def _best(reading: Reading, query: F32, eligible: U8, near: I32, count: int) -> I64:
    """What the linear terms and the prior speak for, and what is near."""
    vectors, prior = reading
    found = best_of(prior + vectors @ query, np.flatnonzero(eligible), count)
    return np.union1d(found, near).astype(np.int64)

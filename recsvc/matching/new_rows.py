"""What came since the bundle lies in no list: every such row is looked at, roughly.

What the rough look needs of the new rows (their vectors side by side, what speaks for each whoever
asks) is worked out when they change, not at every request.
"""

from __future__ import annotations

import numpy as np

from recsvc.matching.candidates import (
    best_of,
    by_distance,
    lead_prior,
    lead_query,
    member_prior,
    member_query,
)
from recsvc.model.arrays import F32, I32, I64, U8, LeadColumns, MemberColumns
from recsvc.model.snapshot import Snapshot, lead_search_vectors, member_search_vectors

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
    table, key = snapshot.leads, (snapshot.leads.version, now_us // _AGES_US)
    kept, reading = snapshot.kept_new.get("leads", (None, None))
    if reading is None or kept != key:
        prior = lead_prior(snapshot.bundle, table.tail, now_us)
        reading = lead_search_vectors(table.tail), prior
        snapshot.kept_new["leads"] = key, reading
    where = table.tail.latitude_rad[:, None], table.tail.longitude_rad[:, None]
    own = (
        np.concatenate([members.latitude_rad[local], members.activity_latitude_rad[local]]),
        np.concatenate([members.longitude_rad[local], members.activity_longitude_rad[local]]),
    )
    near = by_distance(*where, *own, eligible, count // 4)
    query = lead_query(snapshot.bundle.ranker, members, local)
    return _best(reading, query, eligible, near, count) + table.base_count


def best_new_members(
    snapshot: Snapshot, leads: LeadColumns, local: int, eligible: U8, count: int
) -> I64:
    """The best of the new members for one lead: as `best_new_leads`."""
    table, key = snapshot.members, (snapshot.members.version, 0)
    kept, reading = snapshot.kept_new.get("members", (None, None))
    if reading is None or kept != key:
        reading = member_search_vectors(table.tail), member_prior(snapshot.bundle, table.tail)
        snapshot.kept_new["members"] = key, reading
    where = table.tail.latitude_rad, table.tail.longitude_rad
    place = leads.latitude_rad[local : local + 1], leads.longitude_rad[local : local + 1]
    near = by_distance(*where, *place, eligible, count // 4)
    query = member_query(snapshot.bundle.ranker, leads, local)
    return _best(reading, query, eligible, near, count) + table.base_count


def _best(reading: Reading, query: F32, eligible: U8, near: I32, count: int) -> I64:
    """What the linear terms and the prior speak for, and what is near."""
    vectors, prior = reading
    found = best_of(prior + vectors @ query, np.flatnonzero(eligible), count)
    return np.union1d(found, near).astype(np.int64)

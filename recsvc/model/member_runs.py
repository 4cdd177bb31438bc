"""Members by cell and topic, the best first: a search that follows these runs sees few members.

A cell is an organization, a county and, where many live, a part of it; somebody with two places is
in two cells. What a member brings to a lead by willingness and topic does not change with the lead,
so that each run of a cell (one a topic, one for whoever has nothing to do with the lead's topic) is
sorted by it once. What is left, the way from the cell to the lead, is alike for the whole cell.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from recsvc.model.additive import AdditiveModel
from recsvc.model.arrays import F32, I32, I64, PLACES, MemberColumns
from recsvc.model.blocks import globe_km, middles, run_starts, split_runs
from recsvc.model.member_worth import Worth, worth_of_members
from recsvc.model.terms import TermContext

_CELL_ROWS = 64
_MOST_CELLS = 4096
"""A request looks at every cell it may see: of many members cells are larger."""


class MemberRuns(NamedTuple):
    """The base members by cell and topic; entry arrays are parallel to `row`."""

    row: I32  # [e] base row
    worth: F32  # [e] terms of the member and of the topic; falls within a run
    place_km: F32  # [e, 3] the place in the cell, on a globe of kilometres; NaN unknown
    run_start: I32  # [(topics + 1) * c + 1] entries; last topic: everybody, whatever the topic
    run_best: F32  # [(topics + 1) * c] worth of each run's first entry, -inf when it has none
    cell_organization: I32  # [c] -1 none
    cell_region: I32  # [c, 3] province, city, county; -1 unknown
    cell_place_km: F32  # [c, 3] middle of its places, NaN unknown
    cell_radius_km: F32  # [c] mean distance of its places from that
    member_worth: F32  # [n] by base row: terms of the member alone
    by_key: I32  # [n] base rows by rising key
    topic_count: int


def build_member_runs(
    members: MemberColumns, model: AdditiveModel, context: TermContext, topic_count: int
) -> MemberRuns:
    """The runs of all rows."""
    worth = worth_of_members(model, context, members, topic_count)
    member, place = _spots(members)
    organization = members.organization[member]
    region = members.region[member, place, :3]
    point = globe_km(members.latitude_rad[member, place], members.longitude_rad[member, place])
    order = np.lexsort((region[:, 2], organization)).astype(np.int32)
    bounds = run_starts(np.stack([organization, region[:, 2]], axis=1)[order])
    most = max(_CELL_ROWS, -(-len(order) // _MOST_CELLS))
    cell_start = split_runs(order, bounds, np.nan_to_num(point), most)
    middle, radius = middles(point[order], cell_start)
    leader = order[cell_start[:-1]]
    spot, topic, value = _entries(worth, member[order], topic_count)
    cell = np.repeat(np.arange(len(leader)), np.diff(cell_start))[spot]
    # By topic first: what a request reads of all cells lies side by side.
    run = topic * len(leader) + cell
    in_runs = np.lexsort((-value, run))
    run_start = np.searchsorted(run[in_runs], np.arange((topic_count + 1) * len(leader) + 1))
    at, value = order[spot[in_runs]], value[in_runs]
    return MemberRuns(
        row=member[at],
        worth=value,
        place_km=point[at],
        run_start=run_start.astype(np.int32),
        run_best=_firsts(value, run_start),
        cell_organization=organization[leader],
        cell_region=np.ascontiguousarray(region[leader]),
        cell_place_km=middle,
        cell_radius_km=radius,
        member_worth=worth.alone,
        by_key=np.argsort(members.key, kind="stable").astype(np.int32),
        topic_count=topic_count,
    )


def _firsts(values: F32, start: I64) -> F32:
    """The first value of each run, -inf of an empty one."""
    padded = np.append(values, np.float32(-np.inf))
    return np.where(start[:-1] < start[1:], padded[start[:-1]], -np.inf).astype(np.float32)


def _spots(members: MemberColumns) -> tuple[I32, I32]:
    """Each member with each of their places, or once when none is known (two int32[s])."""
    known = ~np.isnan(members.latitude_rad) | (members.region[:, :PLACES, 0] >= 0)
    known[:, 0] |= ~known.any(axis=1)
    member, place = np.nonzero(known)
    return member.astype(np.int32), place.astype(np.int32)


def _entries(worth: Worth, member: I32, topic_count: int) -> tuple[I64, I32, F32]:
    """Of n spots of members (int32[n]): spot, topic and worth of every entry."""
    count = np.diff(worth.start)[member]
    every: I64 = np.arange(len(member), dtype=np.int64)
    spot = np.repeat(every, count)
    ends = np.cumsum(count)
    at = np.arange(len(spot)) - np.repeat(ends - count, count) + worth.start[member[spot]]
    any_topic = np.full(len(member), topic_count, np.int32)
    return (
        np.concatenate([every, spot]),
        np.concatenate([any_topic, worth.topic[at]]),
        np.concatenate([worth.other[member], worth.worth[at]]),
    )

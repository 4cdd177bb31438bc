"""Who is served from the short lists that were made with the bundle, and with what of them.

A member is, as long as the list holds what a search would find: they have not acted since (their
row would have moved), may see the same organizations, and no recusal of theirs was lifted. Leads
that opened since are added; of the listed ones those that are still open to this member are taken,
best first. Who has too few of them left, or asks for a longer list, is searched for.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from recsvc.matching.lead_filter import Filtered, is_left
from recsvc.model.arrays import I32, I64
from recsvc.model.filter_world import FilterWorld, OpenRecord
from recsvc.model.snapshot import Snapshot

_GOOD_FOR_US = 14 * 86_400_000_000
"""Leads grow old, and which are best changes: lists serve so long before and after their time."""

_MOST_OPENED = 64
"""So many leads that opened since are ranked beside the listed ones; with more, all search."""


def from_short_list(
    snapshot: Snapshot, member_row: int, filtered: Filtered, least: int, most: int
) -> I64 | None:
    """Base rows to rank for one member: `least` to `most` listed ones; None: a search has to."""
    lists = snapshot.short_lists
    if lists is None or member_row >= len(lists.row) or lists.row.shape[1] < least:
        return None
    opened = filtered.state.opened
    if abs(filtered.state.asked_us - lists.made_us) > _GOOD_FOR_US:
        return None
    if len(opened) > _MOST_OPENED or not _as_listed(snapshot, member_row):
        return None
    found = _still_open(
        snapshot.filter_world,
        filtered.state.record,
        lists.row,
        member_row,
        opened,
        filtered.visible,
        filtered.tick,
        least,
        most,
    )
    return found if len(found) else None


def _as_listed(snapshot: Snapshot, member_row: int) -> bool:
    """Whether nothing was allowed to the member since the lists were made."""
    if snapshot.members.identifier(member_row) in snapshot.recusals.lifted:
        return False
    return snapshot.listed_reach.is_same(int(snapshot.members.base.organization[member_row]))


@njit(cache=True)
def _still_open(
    world: FilterWorld,
    open_leads: OpenRecord,
    lists: I32,
    member: int,
    opened: I32,
    visible: NDArray[np.bool_],
    tick: int,
    least: int,
    most: int,
) -> I64:
    """The best listed leads that are left, and all that opened; nothing if too few are."""
    found = np.empty(most + len(opened), np.int64)
    count = 0
    for row in lists[member]:
        if count == most or row < 0:
            break
        if is_left(world, open_leads, visible, tick, row):
            found[count] = row
            count += 1
    if count < least:
        return found[:0]
    for row in opened:
        if is_left(world, open_leads, visible, tick, row):
            found[count] = row
            count += 1
    return found[:count]

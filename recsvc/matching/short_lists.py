"""Who is served from the short lists that were made with the bundle, and with what of them.

A member is, as long as the list holds what a search would find: they are who they were and have
acted little since, may see the same organizations, and no recusal of theirs was lifted. Leads that
opened since are added; of the listed ones those that are still open to this member are taken, best
first, and more of them for one who acted. Who has too few of them left, or asks for a longer list,
is searched for.

For a lead it is the same: members who may be offered leads again, are worth much more than they
were, or had a recusal lifted are ranked beside the listed ones.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from features.entities import EXPOSURES
from recsvc.matching.lead_filter import Filtered, is_left
from recsvc.matching.member_filter import MembersFiltered
from recsvc.matching.member_filter import is_left as is_member_left
from recsvc.model.arrays import I32, I64, U8
from recsvc.model.borrowed import borrowed
from recsvc.model.filter_world import FilterWorld, OpenRecord
from recsvc.model.snapshot import Snapshot

_GOOD_FOR_US = 14 * 86_400_000_000
"""Leads grow old, and which are best changes: lists serve so long before and after their time."""

_MOST_ACTIONS = 3
"""After so many, 64 of the listed leads hold .96 of the ranker's ten, as a search's candidates do
(after one .98, after ten .92)."""

_MOST_OPENED = 64
"""So many leads that opened since are ranked beside the listed ones; with more, all search."""


def span(listed: int, depth: int) -> tuple[int, int]:
    """How many listed rows are ranked for a list of `depth`, at least and at most."""
    return max(listed, depth + depth // 8), max(listed, 2 * depth)


def from_short_list(
    snapshot: Snapshot, member_row: int, filtered: Filtered, listed: int, acted: int, depth: int
) -> I64 | None:
    """Base rows to rank for a member's list of `depth`, some `listed` ones, some `acted` when they
    acted since; None: a search has to.
    """
    lists = snapshot.short_lists
    if lists is None or abs(filtered.state.asked_us - lists.made_us) > _GOOD_FOR_US:
        return None
    row, actions = member_row, 0
    if member_row >= len(lists.row):
        row, actions = _as_it_was(snapshot, member_row)
    opened = filtered.state.opened
    least, most = span(listed, depth)
    if row < 0 or lists.row.shape[1] < least or actions > _MOST_ACTIONS:
        return None
    if len(opened) > _MOST_OPENED or not _as_listed(snapshot, row):
        return None
    most = max(acted, most) if actions else most
    found = np.empty(most + len(opened), np.int64)
    count = _still_open(
        snapshot.filter_world,
        filtered.state.record,
        lists.row,
        row,
        opened,
        filtered.visible,
        filtered.tick,
        least,
        most,
        found,
    )
    return found[:count] if count else None


def members_from_list(
    snapshot: Snapshot, lead: int, filtered: MembersFiltered, least: int, most: int
) -> I64 | None:
    """Base members to rank for a base lead; None: a search has to.

    Every member has to see what they saw: who may be offered a lead is decided organization by
    organization, and these change seldom.
    """
    lists = snapshot.lead_lists
    if lists is None or lists.row.shape[1] < least or not snapshot.lead_reach.all_same():
        return None
    if abs(filtered.asked_us - lists.made_us) > _GOOD_FOR_US:
        return None
    lifted = (snapshot.members.row(member_id) for member_id in snapshot.recusals.lifted)
    again = np.fromiter((r for r in lifted if 0 <= r < len(lists.open_then)), np.int32)
    others = np.concatenate([filtered.risen, snapshot.opened_members.rows(), again])
    if len(others) > _MOST_OPENED:
        return None
    found = _still_free(
        lists.row,
        lead,
        others,
        filtered.verdict,
        filtered.visible,
        snapshot.members.base.organization,
        snapshot.member_search.marks.mark,
        filtered.tick,
        least,
        most,
    )
    return found if len(found) else None


def _as_it_was(snapshot: Snapshot, member_row: int) -> tuple[int, int]:
    """The base row of a member whose row moved, -1 for one who is new or another by now, and how
    often they acted since.
    """
    members = snapshot.members
    member_id = members.identifier(member_row)
    row = snapshot.bundle.member_ids.get(member_id)
    if row < 0 or members.record(member_row) != members.record(row):
        return -1, 0
    later = snapshot.history.by_member.get(member_id, ())
    return row, sum(event.kind not in EXPOSURES for event in later)


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
    found: I64,
) -> int:
    """The best listed leads that are left, and all that opened, into `found`; how many, none if too
    few are.
    """
    lists, opened, visible = borrowed((lists, opened, visible))
    open_in, mark = open_leads.open_in, world.mark
    count = 0
    for row in lists[member]:
        if count == most or row < 0:
            break
        if is_left(open_in, visible, mark, tick, row):
            found[count] = row
            count += 1
    if count < least:
        return 0
    for row in opened:
        if is_left(open_in, visible, mark, tick, row):
            found[count] = row
            count += 1
    return count


@njit(cache=True)
def _still_free(
    lists: I32,
    lead: int,
    others: I32,
    verdict: U8,
    visible: NDArray[np.bool_],
    organization: I32,
    mark: I32,
    tick: int,
    least: int,
    most: int,
) -> I64:
    """The others and the best listed members that are left, each once; nothing if too few are."""
    verdict, visible, organization, mark = borrowed((verdict, visible, organization, mark))
    found = np.empty(most + len(others), np.int64)
    listed = count = 0
    for i in range(len(others) + lists.shape[1]):
        row = others[i] if i < len(others) else lists[lead, i - len(others)]
        if row < 0 or listed == most:
            break
        if is_member_left(verdict, visible, organization, mark, tick, row):
            mark[row] = tick
            found[count] = row
            count += 1
            listed += i >= len(others)
    if listed >= least:
        return found[:count]
    for row in found[:count]:
        mark[row] = tick - 1  # a search may find them
    return found[:0]

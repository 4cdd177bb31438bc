"""Which members may be offered a lead, and how many each filter took, without looking at them all.

What stands against a member whatever the lead is known (`OpenMembers`); jurisdiction is decided
organization by organization; what is left are the lead's own few rows: members who are recused, its
author, members who met it before. The counts are those of `masks.mask_members`, which looks at
every row.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from recsvc.matching.filters import ANYTHING, Eligibility, restrict_members, wanted_members
from recsvc.matching.masks import tail_member_verdicts
from recsvc.model.arrays import I32, I64, U8, LeadColumns
from recsvc.model.borrowed import borrowed
from recsvc.model.history import Seen
from recsvc.model.open_leads import lead_verdict
from recsvc.model.open_members import row_of_key, rows_of_keys
from recsvc.model.snapshot import Snapshot
from recsvc.model.verdicts import Verdict

_COUNTED = tuple(v for v in Verdict if v > Verdict.DELETED)
_NONE = Seen(np.empty(0, np.int32), np.empty(0, np.uint8), {})


class MembersFiltered(NamedTuple):
    """Who may be offered one lead.

    Base members: of visible organizations (bool[organizations + 1]), with nothing against them
    (`verdict` uint8[n]), and not marked in the snapshot's marks with `tick`; of these only `chosen`
    (rows int64[k]) when the request asks for certain ones. Tail members: verdicts (uint8[t]).
    """

    verdict: U8
    visible: NDArray[np.bool_]
    tick: int
    risen: I32  # base rows that are worth more than their place in the runs says
    tail: U8
    eligible_count: int
    removed: dict[Verdict, int]
    asked_us: int
    chosen: I64 | None = None


def filter_members(
    snapshot: Snapshot,
    leads: LeadColumns,
    local: int,
    lead_id: str,
    now_us: int,
    wanted: Eligibility = ANYTHING,
) -> MembersFiltered:
    """The filters of one lead's list (see `mask_members`)."""
    members, search = snapshot.members, snapshot.member_search
    state, marks = search.open, search.marks
    organization, author = int(leads.organization[local]), int(leads.author_key[local])
    jurisdiction = snapshot.organizations.visible_members(organization)
    risen, tick = state.follow(), marks.next_tick()
    recused = _recused(snapshot, int(leads.key[local]), author, organization)
    seen, rows, verdicts = _NONE, _NONE.base_rows, _NONE.base_verdicts
    if lead_id:
        seen = snapshot.history.seen_by(snapshot.bundle.lead_ids.get(lead_id), lead_id)
        rows, verdicts = seen.base_rows, seen.base_verdicts
    tail = verdicts[:0]
    if seen.ids or members.tail_count:
        tail, elsewhere = tail_member_verdicts(snapshot, leads, local, recused, seen)
        # What was said later comes first: the last event of a pair is the reason.
        rows = np.concatenate([rows, np.fromiter(elsewhere, np.int32)])
        verdicts = np.concatenate([verdicts, np.fromiter(elsewhere.values(), np.uint8)])
    counts, visible = _count(
        state.verdict,
        members.base.organization,
        state.open_count,
        state.inactive_count,
        jurisdiction,
        np.array([row for row in recused if row < members.base_count], np.int32),
        row_of_key(members.base.key, search.runs.by_key, author),
        rows,
        verdicts,
        marks.mark,
        tick,
    )
    if len(tail):
        counts += np.bincount(tail, minlength=len(counts))
    against = int(lead_verdict(leads, local, now_us)) if lead_id else 0
    if against:
        counts[against], counts[Verdict.KEPT] = counts.sum() - counts[Verdict.DELETED], 0
        counts[Verdict.DELETED + 1 : against] = counts[against + 1 :] = 0
    total = counts.tolist()
    removed = {verdict: total[verdict] for verdict in _COUNTED if total[verdict]}
    found = MembersFiltered(state.verdict, visible, tick, risen, tail, total[0], removed, now_us)
    if wanted.restricts and found.eligible_count:
        return _narrowed(snapshot, leads, local, found, wanted)
    return found


def kept_members(snapshot: Snapshot, filtered: MembersFiltered) -> I64:
    """Global rows of all base members who may be offered the lead."""
    return _kept_of(snapshot, filtered, np.arange(snapshot.members.base_count, dtype=np.int32))


def _kept_of(snapshot: Snapshot, filtered: MembersFiltered, rows: I32) -> I64:
    organization = snapshot.members.base.organization
    mark = snapshot.member_search.marks.mark
    return _kept(filtered.verdict, filtered.visible, organization, mark, filtered.tick, rows)


def _narrowed(
    snapshot: Snapshot,
    leads: LeadColumns,
    local: int,
    filtered: MembersFiltered,
    wanted: Eligibility,
) -> MembersFiltered:
    """What is left of those who may be offered a lead when only some are wanted."""
    place = float(leads.latitude_rad[local]), float(leads.longitude_rad[local])
    members = snapshot.members
    if wanted.candidate_keys is None:
        rows = kept_members(snapshot, filtered)
    else:
        keys = np.fromiter(wanted.candidate_keys, np.int64)
        named = rows_of_keys(members.base.key, snapshot.member_search.runs.by_key, keys)
        rows = _kept_of(snapshot, filtered, named)
    chosen = rows[wanted_members(members.base, rows, wanted, *place)]
    tail = filtered.tail.copy()
    restrict_members(tail, members.tail, wanted, *place)
    left = len(chosen) + int((tail == Verdict.KEPT).sum())
    removed = dict(filtered.removed)
    if others := filtered.eligible_count - left:
        removed[Verdict.NOT_ELIGIBLE] = others
    return filtered._replace(eligible_count=left, removed=removed, chosen=chosen, tail=tail)


def _recused(snapshot: Snapshot, key: int, author: int, organization: int) -> list[int]:
    """Global rows of the members who must not be offered the lead."""
    found = snapshot.recusals.members_of(key, author, organization)
    rows = (snapshot.members.row(member_id) for member_id in found)
    return [row for row in rows if row >= 0]


@njit(cache=True)
def _kept(
    verdict: U8,
    visible: NDArray[np.bool_],
    organization: I32,
    mark: I32,
    tick: int,
    rows: I32,
) -> I64:
    """Those of the base members `rows` who may be offered a lead."""
    verdict, visible, organization, mark = borrowed((verdict, visible, organization, mark))
    kept = np.empty(len(rows), np.int64)
    count = 0
    for row in rows:
        if is_left(verdict, visible, organization, mark, tick, row):
            kept[count] = row
            count += 1
    return kept[:count]


@njit(cache=True, forceinline=True)
def is_left(
    verdict: U8, visible: NDArray[np.bool_], organization: I32, mark: I32, tick: int, row: int
) -> bool:
    """Whether a base member may be offered the lead: what `MembersFiltered` says of one row."""
    return bool(verdict[row] == 0 and visible[organization[row]] and mark[row] != tick)


@njit(cache=True)
def _count(
    verdict: U8,
    organization: I32,
    open_count: I64,
    inactive_count: I64,
    jurisdiction: U8,
    recused: I32,
    author: int,
    seen: I32,
    seen_verdicts: U8,
    mark: I32,
    tick: int,
) -> tuple[I64, NDArray[np.bool_]]:
    """Base rows by verdict (int64[13]) and the visible organizations; marks the lead's own rows."""
    counts = np.zeros(13, np.int64)
    for at in range(len(open_count)):
        row = at if at < len(open_count) - 1 else -1
        if jurisdiction[row] == 1:
            counts[0] += open_count[at]
            counts[7] += inactive_count[at]
        else:
            counts[6] += open_count[at] + inactive_count[at]
    for i in range(len(recused) + 1):
        row = recused[i] if i < len(recused) else author
        if row >= 0 and verdict[row] != 1 and mark[row] != tick:
            mark[row] = tick
            before = verdict[row] if jurisdiction[organization[row]] == 1 else 6
            counts[before] -= 1
            counts[5 if i < len(recused) else 4] += 1
    for i in range(len(seen) - 1, -1, -1):
        row = seen[i]
        if verdict[row] == 0 and mark[row] != tick and jurisdiction[organization[row]] == 1:
            mark[row] = tick
            counts[0] -= 1
            counts[seen_verdicts[i]] += 1
    return counts, jurisdiction == 1

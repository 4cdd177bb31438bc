"""Which leads a member may be offered, and how many each filter took, without looking at them all.

What stands against a lead whoever asks is known (`OpenLeads`); jurisdiction and recusals of whole
organizations are decided organization by organization; what is left are the member's own few rows:
recused, written or met before. The counts are those of `masks.mask_leads`, which looks at every
row.
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numba import njit
from numpy.typing import NDArray

from recsvc.matching.filters import ANYTHING, Eligibility, restrict_leads, wanted_leads
from recsvc.matching.masks import seen_leads, tail_verdicts
from recsvc.model.arrays import I32, I64, U8
from recsvc.model.borrowed import borrowed
from recsvc.model.filter_world import NOT_OPEN, FilterWorld, OpenRecord
from recsvc.model.open_leads import LeadsAt
from recsvc.model.recusals import holds
from recsvc.model.snapshot import Snapshot
from recsvc.model.verdicts import Verdict

_NO_ROWS, _NO_VERDICTS = np.empty(0, np.int32), np.empty(0, np.uint8)
_COUNTED = tuple(v for v in Verdict if v > Verdict.DELETED)


class Filtered(Struct, frozen=True):
    """What one member may be offered.

    Base leads: of visible organizations (bool[organizations + 1]), open in `state`, and not marked
    in the snapshot's marks with `tick`; of these only `chosen` (rows int64[k]) when the request
    asks for certain ones. Tail leads: verdicts (uint8[t]).
    """

    state: LeadsAt
    visible: NDArray[np.bool_]
    tick: int
    tail: U8
    eligible_count: int
    removed: dict[Verdict, int]
    chosen: I64 | None = None


def filter_leads(
    snapshot: Snapshot, member_row: int, now_us: int, wanted: Eligibility = ANYTHING
) -> Filtered:
    """The filters of one member's list."""
    members, local = snapshot.members.locate(member_row)
    member_id = snapshot.members.identifier(member_row)
    state = snapshot.open_leads.at(now_us)
    tick = snapshot.marks.next_tick()
    recusal = snapshot.recusals.mask(member_id)
    tail, later, later_verdicts = _said_later(snapshot, member_row, member_id, now_us)
    jurisdiction = snapshot.organizations.visible_leads(int(members.organization[local]))
    counts, visible = state.removed.copy(), np.empty(len(jurisdiction), np.bool_)
    _count(
        snapshot.filter_world,
        state.record,
        snapshot.bundle.member_ids.get(member_id),
        int(members.key[local]),
        bool(members.active[local]),
        jurisdiction,
        recusal.organizations,
        snapshot.lead_rows.of_keys(recusal.lead_keys, recusal.author_keys),
        later,
        later_verdicts,
        tick,
        counts,
        visible,
    )
    if len(tail):
        counts += np.bincount(tail, minlength=len(counts))
    total = counts.tolist()
    removed = {v: total[v] for v in _COUNTED if total[v]}
    filtered = Filtered(state, visible, tick, tail, total[0], removed)
    return _narrowed(snapshot, member_row, filtered, wanted) if wanted.restricts else filtered


def _said_later(
    snapshot: Snapshot, member_row: int, member_id: str, now_us: int
) -> tuple[U8, I32, U8]:
    """Verdicts of the tail's leads, and the base rows that later events forbid with theirs."""
    tail, elsewhere = _NO_VERDICTS, dict[int, Verdict]()
    if snapshot.leads.tail_count:
        seen = seen_leads(snapshot, member_row)
        tail, elsewhere = tail_verdicts(snapshot, member_row, seen, now_us)
    elif member_id in snapshot.history.by_member:  # all leads are where they were
        said = snapshot.history.later_verdicts(member_id)
        elsewhere = {snapshot.leads.last_row(i): verdict for i, verdict in said.items()}
    if not elsewhere:
        return tail, _NO_ROWS, _NO_VERDICTS
    verdicts = np.fromiter(elsewhere.values(), np.uint8, len(elsewhere))
    return tail, np.fromiter(elsewhere, np.int32, len(elsewhere)), verdicts


def _narrowed(
    snapshot: Snapshot, member_row: int, filtered: Filtered, wanted: Eligibility
) -> Filtered:
    """What is left of the leads that a member may be offered when only some are wanted."""
    members, local = snapshot.members.locate(member_row)
    places = members.latitude_rad[local], members.longitude_rad[local]
    if wanted.candidate_keys is None:
        every = np.arange(snapshot.leads.base_count, dtype=np.int32)
    else:
        keys = np.fromiter(wanted.candidate_keys, np.int64)
        every = np.sort(snapshot.lead_rows.of_keys(keys, keys[:0]))
    state, visible = filtered.state.record, filtered.visible
    rows = _kept(snapshot.filter_world, state, visible, filtered.tick, every)
    chosen = rows[wanted_leads(snapshot.leads.base, rows, wanted, *places)]
    tail = filtered.tail.copy()
    restrict_leads(tail, snapshot.leads.tail, wanted, *places)
    left = len(chosen) + int((tail == Verdict.KEPT).sum())
    removed = dict(filtered.removed)
    if others := filtered.eligible_count - left:
        removed[Verdict.NOT_ELIGIBLE] = others
    return replace(filtered, eligible_count=left, removed=removed, chosen=chosen, tail=tail)


@njit(cache=True)
def _kept(
    world: FilterWorld, open_leads: OpenRecord, visible: NDArray[np.bool_], tick: int, rows: I32
) -> I64:
    """Those of the base leads `rows` that a member may be offered."""
    visible = borrowed(visible)
    open_in, mark = open_leads.open_in, world.mark
    kept = np.empty(len(rows), np.int64)
    count = 0
    for row in rows:
        if is_left(open_in, visible, mark, tick, row):
            kept[count] = row
            count += 1
    return kept[:count]


@njit(cache=True, forceinline=True)
def is_left(open_in: I32, visible: NDArray[np.bool_], mark: I32, tick: int, row: int) -> bool:
    """Whether a base lead may be offered: what `Filtered` says of one row.

    Takes the arrays and not their records: to read these for each row took ten times as long.
    """
    where = open_in[row]
    return bool(where != NOT_OPEN and visible[where] and mark[row] != tick)


@njit(cache=True)
def _count(
    world: FilterWorld,
    open_leads: OpenRecord,
    base_member: int,
    key: int,
    active: bool,
    jurisdiction: U8,
    recused_organizations: I64,
    recused: I32,
    later: I32,
    later_verdicts: U8,
    tick: int,
    counts: I64,
    seen: NDArray[np.bool_],
) -> None:
    """Rows by verdict (int64[13], of those whoever asks so far) and, into `seen`, whose leads they
    see; marks the member's own rows.

    `base_member` is their row in the bundle's log, -1 none; `later` are rows of later events.
    """
    open_count = open_leads.open_count
    visible = jurisdiction.copy()
    for at in range(len(open_count)):
        row = at if at < len(open_count) - 1 else -1
        if len(recused_organizations) and holds(recused_organizations, row):
            visible[row] = 2  # conflict comes before jurisdiction
        if visible[row] != 1:
            counts[0] -= open_count[at]
            counts[5 if visible[row] == 2 else 6] += open_count[at]
    for row in recused:
        _take_own(world, open_leads, visible, counts, tick, row, 5)
    for at in range(np.searchsorted(world.authors, key), len(world.authors)):
        if world.authors[at] != key:
            break
        _take_own(world, open_leads, visible, counts, tick, world.by_author[at], 4)
    # What was said later comes first: the last event of a pair is the reason.
    for i in range(len(later) - 1, -1, -1):
        _take_met(world, open_leads, visible, counts, tick, later[i], later_verdicts[i], active)
    if base_member >= 0:
        first, last = world.seen_start[base_member], world.seen_start[base_member + 1]
        for i in range(last - 1, first - 1, -1):
            row, verdict = world.seen_lead[i], world.seen_verdict[i]
            _take_met(world, open_leads, visible, counts, tick, row, verdict, active)
    if not active:
        counts[7] += counts[0]
        counts[0] = 0
        visible[:] = 0
    seen[:] = visible == 1


@njit(cache=True, forceinline=True)
def _take_own(
    world: FilterWorld,
    open_leads: OpenRecord,
    visible: U8,
    counts: I64,
    tick: int,
    row: int,
    verdict: int,
) -> None:
    """Takes out a lead that the member wrote or is recused from, wherever it belongs."""
    where = _marked(world, open_leads, tick, row)
    if where != NOT_OPEN:
        before = visible[where]
        if before != 2:
            counts[0 if before == 1 else 6] -= 1
            counts[verdict] += 1


@njit(cache=True, forceinline=True)
def _take_met(
    world: FilterWorld,
    open_leads: OpenRecord,
    visible: U8,
    counts: I64,
    tick: int,
    row: int,
    verdict: int,
    active: bool,
) -> None:
    """Takes out a lead that the member is done with."""
    where = _marked(world, open_leads, tick, row)
    if where != NOT_OPEN and visible[where] == 1:
        counts[0] -= active
        counts[verdict] += active


@njit(cache=True, forceinline=True)
def _marked(world: FilterWorld, open_leads: OpenRecord, tick: int, row: int) -> int:
    """Takes an open lead out; its organization, NOT_OPEN when it was not open or is out already."""
    where = open_leads.open_in[row]
    if where == NOT_OPEN or world.mark[row] == tick:
        return NOT_OPEN
    world.mark[row] = tick
    return int(where)

"""Which leads a member may be offered, and how many each filter took, without looking at them all.

What stands against a lead whoever asks is known (`OpenLeads`); jurisdiction and recusals of whole
organizations are decided organization by organization; what is left are the member's own few rows:
recused, written or met before. The counts are those of `masks.mask_leads`, which looks at every
row.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from recsvc.matching.masks import seen_leads, tail_verdicts
from recsvc.model.arrays import I32, I64, U8
from recsvc.model.open_leads import LeadsAt
from recsvc.model.recusals import holds
from recsvc.model.snapshot import Snapshot
from recsvc.model.verdicts import Verdict

_COUNTED = tuple(v for v in Verdict if v > Verdict.DELETED)


class Filtered(NamedTuple):
    """What one member may be offered.

    Base leads: of visible organizations (bool[organizations + 1]), open in `state`, and not marked
    in the snapshot's marks with `tick`. Tail leads: verdicts (uint8[t]).
    """

    state: LeadsAt
    visible: NDArray[np.bool_]
    tick: int
    tail: U8
    eligible_count: int
    removed: dict[Verdict, int]


def filter_leads(snapshot: Snapshot, member_row: int, now_us: int) -> Filtered:
    """The filters of one member's list that asks for nothing in particular."""
    members, local = snapshot.members.locate(member_row)
    state = snapshot.open_leads.at(now_us)
    marks = snapshot.marks
    tick = marks.next_tick()
    recusal = snapshot.recusals.mask(snapshot.members.identifier(member_row))
    seen = seen_leads(snapshot, member_row)
    seen_rows, seen_verdicts = seen.base_rows, seen.base_verdicts
    tail: U8 = np.empty(0, np.uint8)
    if seen.ids or snapshot.leads.tail_count:
        tail, elsewhere = tail_verdicts(snapshot, member_row, seen, now_us)
        # What was said later comes first: the last event of a pair is the reason.
        seen_rows = np.concatenate([seen_rows, np.fromiter(elsewhere, np.int32)])
        seen_verdicts = np.concatenate([seen_verdicts, np.fromiter(elsewhere.values(), np.uint8)])
    counts, visible = _count(
        state.verdict,
        snapshot.blocks.slot,
        snapshot.leads.base.organization,
        state.open_count,
        state.removed,
        snapshot.organizations.visible_leads(int(members.organization[local])),
        recusal.organizations,
        snapshot.lead_rows.of_keys(recusal.lead_keys, recusal.author_keys),
        snapshot.lead_rows.by_author(int(members.key[local])),
        seen_rows,
        seen_verdicts,
        bool(members.active[local]),
        marks.mark,
        tick,
    )
    total = counts.tolist()
    if len(tail):
        total = [
            a + b for a, b in zip(total, np.bincount(tail, minlength=13).tolist(), strict=True)
        ]
    removed = {v: total[v] for v in _COUNTED if total[v]}
    return Filtered(state, visible, tick, tail, total[0], removed)


@njit(cache=True)
def _count(
    verdict: U8,
    slot: I32,
    organization: I32,
    open_count: I64,
    removed: I64,
    jurisdiction: U8,
    recused_organizations: I64,
    recused: I32,
    written: I32,
    seen: I32,
    seen_verdicts: U8,
    active: bool,
    mark: I32,
    tick: int,
) -> tuple[I64, NDArray[np.bool_]]:
    """Rows by verdict (int64[13]) and the visible organizations; marks the member's own rows."""
    counts = removed.copy()
    visible = jurisdiction.copy()
    for at in range(len(open_count)):
        row = at if at < len(open_count) - 1 else -1
        if len(recused_organizations) and holds(recused_organizations, row):
            visible[row] = 2  # conflict comes before jurisdiction
        if visible[row] != 1:
            counts[0] -= open_count[at]
            counts[5 if visible[row] == 2 else 6] += open_count[at]
    for kind in range(2):
        for row in recused if kind == 0 else written:
            if verdict[slot[row]] == 0 and mark[row] != tick:
                mark[row] = tick
                before = visible[organization[row]]
                if before != 2:
                    counts[0 if before == 1 else 6] -= 1
                    counts[5 - kind] += 1
    for i in range(len(seen) - 1, -1, -1):
        row = seen[i]
        if verdict[slot[row]] == 0 and mark[row] != tick:
            mark[row] = tick
            if visible[organization[row]] == 1:
                counts[0] -= active
                counts[seen_verdicts[i]] += active
    if not active:
        counts[7] += counts[0]
        counts[0] = 0
        visible[:] = 0
    return counts, visible == 1

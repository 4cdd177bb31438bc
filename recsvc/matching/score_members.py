"""Scores of one lead with many members."""

from __future__ import annotations

from recsvc.matching.ranked import rank_members
from recsvc.matching.score import Scored
from recsvc.model.arrays import I64, LeadColumns
from recsvc.model.snapshot import Snapshot


def score_members(
    snapshot: Snapshot, rows: I64, leads: LeadColumns, lead: int, now_us: int
) -> Scored:
    """Scores n members (global rows int64[n], base rows first) with one lead (row of `leads`)."""
    worlds, members, out = snapshot.pair_worlds, snapshot.members, Scored.empty(len(rows))
    base = worlds.of(members.base, leads)
    if not members.tail_count:
        rank_members(base, lead, rows, 0, now_us, *out)
        return out
    start = members.base_count
    in_base = int((rows < start).sum())
    old, new = slice(in_base), slice(in_base, None)
    tail = worlds.of(members.tail, leads)
    rank_members(base, lead, rows[old], 0, now_us, *out.part(old))
    rank_members(tail, lead, rows[new], start, now_us, *out.part(new))
    return out

"""Scores of one lead with many members."""

from __future__ import annotations

import numpy as np

from recsvc.matching.ranked import rank_members
from recsvc.matching.score import Scored
from recsvc.model.arrays import I64, LeadColumns
from recsvc.model.snapshot import Snapshot


def score_members(
    snapshot: Snapshot, rows: I64, leads: LeadColumns, lead: int, now_us: int
) -> Scored:
    """Scores n members (global rows int64[n], base rows first) with one lead (row of `leads`)."""
    worlds, members = snapshot.pair_worlds, snapshot.members
    if not members.tail_count:
        return Scored(*rank_members(worlds.of(members.base, leads), lead, rows, 0, now_us))
    start = members.base_count
    in_base = int((rows < start).sum())
    old, new = worlds.of(members.base, leads), worlds.of(members.tail, leads)
    parts = (
        rank_members(old, lead, rows[:in_base], 0, now_us),
        rank_members(new, lead, rows[in_base:], start, now_us),
    )
    return Scored(*(np.concatenate(both) for both in zip(*parts, strict=True)))

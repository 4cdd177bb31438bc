"""Scores of one lead with many members."""

from __future__ import annotations

import numpy as np

from recsvc.matching.score import Scored, score_rows
from recsvc.model.arrays import I64, LeadColumns, MemberColumns
from recsvc.model.bundle import Bundle
from recsvc.model.segments import Table


def score_members(
    bundle: Bundle,
    members: Table[MemberColumns],
    rows: I64,
    leads: LeadColumns,
    lead: int,
    now_us: int,
) -> Scored:
    """Scores n members (global rows int64[n], base rows first) with one lead (row of `leads`)."""
    in_base = int((rows < members.base_count).sum())
    parts: list[Scored] = []
    for columns, local in (
        (members.base, rows[:in_base]),
        (members.tail, rows[in_base:] - members.base_count),
    ):
        if len(local) or not parts:
            lead_rows = np.full(len(local), lead, np.int32)
            when = np.full(len(local), now_us, np.int64)
            parts.append(
                score_rows(bundle, columns, local.astype(np.int32), leads, lead_rows, when)
            )
    if len(parts) == 1:
        return parts[0]
    return Scored(*(np.concatenate(both) for both in zip(*parts, strict=True)))

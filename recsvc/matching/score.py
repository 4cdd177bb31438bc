"""Scores of (member, lead) pairs wherever their rows live: features, then additive terms."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from recsvc.matching.ranked import rank_leads, rank_members
from recsvc.model.additive import scored_terms
from recsvc.model.arrays import F32, I32, I64, Columns, LeadColumns, MemberColumns
from recsvc.model.bundle import Bundle
from recsvc.model.pair_terms import pair_features
from recsvc.model.pair_world import PairWorld
from recsvc.model.segments import Table
from recsvc.model.snapshot import Snapshot
from recsvc.model.terms import FEATURE_COUNT


class Scored(NamedTuple):
    """n pairs: their features and terms (float32[n, F]) and scores (float32[n])."""

    features: F32
    terms: F32
    scores: F32

    @classmethod
    def empty(cls, count: int) -> Scored:
        """Room for so many pairs."""
        return cls(
            np.empty((count, FEATURE_COUNT), np.float32),
            np.empty((count, FEATURE_COUNT), np.float32),
            np.empty(count, np.float32),
        )

    def part(self, of: slice) -> Scored:
        """Some of the pairs, in the same memory."""
        return Scored(self.features[of], self.terms[of], self.scores[of])


def score_rows(
    bundle: Bundle,
    members: MemberColumns,
    member_rows: I32,
    leads: LeadColumns,
    lead_rows: I32,
    now_us: I64,
) -> Scored:
    """Scores n pairs of local rows (int32[n] each) of one member and one lead segment."""
    features = pair_features(members, member_rows, leads, lead_rows, now_us, bundle.context)
    return Scored(features, *scored_terms(bundle.ranker, features))


def score_leads(
    snapshot: Snapshot, members: MemberColumns, member: int, lead_rows: I64, now_us: int
) -> Scored:
    """Scores one member (local row) with n leads (global rows int64[n], base rows first)."""
    worlds = snapshot.pair_worlds

    def world(leads: LeadColumns) -> PairWorld:
        return worlds.of(members, leads)

    return _ranked(rank_leads, snapshot.leads, world, member, lead_rows, now_us)


def score_members(
    snapshot: Snapshot, rows: I64, leads: LeadColumns, lead: int, now_us: int
) -> Scored:
    """Scores n members (global rows int64[n], base rows first) with one lead (row of `leads`)."""
    worlds = snapshot.pair_worlds

    def world(members: MemberColumns) -> PairWorld:
        return worlds.of(members, leads)

    return _ranked(rank_members, snapshot.members, world, lead, rows, now_us)


def _ranked(
    rank: Callable[..., None],
    table: Table[Columns],
    world: Callable[[Columns], PairWorld],
    one: int,
    rows: I64,
    now_us: int,
) -> Scored:
    """One row (local) of a side with n of the other side's table, segment by segment."""
    out = Scored.empty(len(rows))
    if not table.tail_count:
        rank(world(table.base), one, rows, 0, now_us, *out)
        return out
    start = table.base_count
    in_base = int((rows < start).sum())
    old, new = slice(in_base), slice(in_base, None)
    rank(world(table.base), one, rows[old], 0, now_us, *out.part(old))
    rank(world(table.tail), one, rows[new], start, now_us, *out.part(new))
    return out


def score_pairs(
    bundle: Bundle,
    members: Table[MemberColumns],
    member_rows: I64,
    leads: Table[LeadColumns],
    lead_rows: I64,
    now_us: int,
) -> Scored:
    """Scores n pairs of global rows (int64[n] each), whichever segments they live in."""
    out = Scored.empty(len(lead_rows))
    for member_start, member_columns in members.segments():
        of_members = _inside(member_rows, member_start, len(member_columns.alive))
        for lead_start, lead_columns in leads.segments():
            of_leads = _inside(lead_rows, lead_start, len(lead_columns.alive))
            at = np.flatnonzero(of_members & of_leads)
            if len(at) == 0:
                continue
            part = score_rows(
                bundle,
                member_columns,
                (member_rows[at] - member_start).astype(np.int32),
                lead_columns,
                (lead_rows[at] - lead_start).astype(np.int32),
                np.full(len(at), now_us, np.int64),
            )
            for whole, values in zip(out, part, strict=True):
                whole[at] = values
    return out


def _inside(rows: I64, start: int, count: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return (rows >= start) & (rows < start + count)

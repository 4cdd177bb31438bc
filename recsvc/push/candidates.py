"""The members a plan chooses from: for each lead the best eligible ones, by the served ranker.

A rough score of every eligible member (`recsvc.push.rough`) decides whom the ranker looks at; it
has the ranker's greatest terms, so that the best hundred by the ranker are hardly ever missed. The
masks are the pipeline's own, applied before the search; probabilities are its calibration.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from recsvc.matching.candidates import member_query
from recsvc.matching.filters import Eligibility
from recsvc.matching.masks import Masked, mask_members
from recsvc.matching.score import score_pairs
from recsvc.model.arrays import F32, I64, U8
from recsvc.model.snapshot import Snapshot
from recsvc.model.terms import INDEX
from recsvc.model.verdicts import Verdict
from recsvc.push.log import PushLog
from recsvc.push.network import F64
from recsvc.push.rough import Rough, best_rows, linear_scores, prepare

_BLOCK = 64
"""Leads looked at together: a block's scores of all members fit the cache a few times over."""
_POOL = 2.25
"""The ranker looks at so many times the wanted number: a hundredth of the best is missed then."""
_THREADS = 2
"""Matrix products and kernels run without the interpreter's lock."""

_EVERYBODY = Eligibility()


class Pairs(NamedTuple):
    """n scored pairs, by lead and from likely to unlikely; rows are global."""

    member: I64
    lead: I64
    score: F32
    probability: F64
    distance_km: F32  # NaN unknown


class Candidates(NamedTuple):
    """The pairs to plan over; how many members were eligible, and free, of each lead asked for."""

    pairs: Pairs
    eligible: I64
    free: I64


class Pushed(NamedTuple):
    """Pairs (global rows) that were pushed before, sorted by lead."""

    member: I64
    lead: I64

    @staticmethod
    def of(log: PushLog) -> Pushed:
        """The pairs of a log."""
        order = np.argsort(log.lead, kind="stable")
        return Pushed(log.member[order], log.lead[order])


class CandidateFinder:
    """Finds candidates on one snapshot at one instant. `free` says who may get a push at all."""

    def __init__(self, snapshot: Snapshot, now_us: int, free: U8, pushed: Pushed) -> None:
        """`free` uint8[members], 1 = may get something now."""
        self._snapshot = snapshot
        self._now_us = now_us
        self._free = free
        self._pushed = pushed
        self._prepared: list[tuple[int, Rough]] | None = None

    def mask(self, lead_row: int, wanted: Eligibility = _EVERYBODY) -> Masked:
        """The pipeline's masks of one lead (global row)."""
        columns, local = self._snapshot.leads.locate(lead_row)
        lead_id = self._snapshot.leads.identifier(lead_row)
        return mask_members(self._snapshot, columns, local, lead_id, wanted, self._now_us)

    def best(self, leads: I64, wanted: dict[int, Eligibility], count: int) -> Candidates:
        """The best `count` members of each lead (global rows); `wanted` restricts some leads."""
        self._segments()  # once, before threads want it
        blocks = [leads[at : at + _BLOCK] for at in range(0, len(leads), _BLOCK)]
        with ThreadPoolExecutor(_THREADS) as threads:
            found = list(threads.map(lambda block: self._best_of(block, wanted, count), blocks))
        nothing = np.empty(0, np.int64)
        found.append(Candidates(self.scored(nothing, nothing, count), nothing, nothing))
        pairs = Pairs(
            *(np.concatenate(column) for column in zip(*(f.pairs for f in found), strict=True))
        )
        return Candidates(
            pairs,
            np.concatenate([part.eligible for part in found]),
            np.concatenate([part.free for part in found]),
        )

    def _segments(self) -> list[tuple[int, Rough]]:
        if self._prepared is None:
            snapshot = self._snapshot
            self._prepared = [
                (start, prepare(snapshot.bundle, columns))
                for start, columns in snapshot.members.segments()
            ]
        return self._prepared

    def _best_of(self, block: I64, wanted: dict[int, Eligibility], count: int) -> Candidates:
        """As `best`, for so few leads that their scores of all members fit the cache."""
        kept = [_kept(self.mask(lead, wanted.get(lead, _EVERYBODY))) for lead in block.tolist()]
        eligible = [int(mask.sum()) for mask in kept]
        usable = [self._usable(lead, mask) for lead, mask in zip(block.tolist(), kept, strict=True)]
        free = [int(mask.sum()) for mask in usable]
        members = self._search(block, usable, count)
        pairs = self.scored(np.concatenate(members), _repeated(block, members), count)
        return Candidates(pairs, np.array(eligible, np.int64), np.array(free, np.int64))

    def usable(self, lead: int, wanted: Eligibility = _EVERYBODY) -> U8:
        """Who (uint8[members]) may get a lead (global row) now."""
        return self._usable(lead, _kept(self.mask(lead, wanted)))

    def everyone(self, lead: int, among: U8, wanted: Eligibility = _EVERYBODY) -> I64:
        """All members (global rows) who may get a lead now and are `among` (uint8[members])."""
        return np.flatnonzero(self.usable(lead, wanted) & among)

    def everybody(self, lead: int, wanted: Eligibility, among: U8, count: int) -> Pairs:
        """The best `count` of everyone, scored."""
        members = self.everyone(lead, among, wanted)
        return self.scored(members, np.full(len(members), lead, np.int64), count)

    def scored(self, members: I64, leads: I64, count: int) -> Pairs:
        """Scores pairs of global rows and keeps the best `count` of each lead."""
        snapshot = self._snapshot
        scored = score_pairs(
            snapshot.bundle, snapshot.members, members, snapshot.leads, leads, self._now_us
        )
        order = np.lexsort((members, -scored.scores, leads))
        lead = leads[order]
        place = np.arange(len(lead)) - np.searchsorted(lead, lead)
        order = order[place < count]
        scores = scored.scores[order]
        km = np.expm1(scored.features[order, INDEX["distance_log_km"]])
        return Pairs(members[order], leads[order], scores, self._probability(scores), km)

    def _probability(self, scores: F32) -> F64:
        """Calibrated; a model without exposures in its log has log-odds up to a constant."""
        calibrated = self._snapshot.bundle.calibration.probability(scores)
        if calibrated is not None:
            return np.clip(calibrated.astype(np.float64), 0.0, 1.0)
        return np.asarray(1.0 / (1.0 + np.exp(-scores.astype(np.float64))))

    def _usable(self, lead: int, kept: U8) -> U8:
        """Of those whom the masks keep: who is free and was not pushed the lead before."""
        usable = kept & self._free
        begin, end = np.searchsorted(self._pushed.lead, [lead, lead + 1])
        usable[self._pushed.member[begin:end]] = 0
        return usable

    def _search(self, block: I64, usable: list[U8], count: int) -> list[I64]:
        found: list[list[I64]] = [[] for _ in block]
        place = [self._snapshot.leads.locate(int(lead)) for lead in block]
        model = self._snapshot.bundle.ranker
        queries = np.stack([member_query(model, columns, local) for columns, local in place])
        most = int(_POOL * count)
        for start, part in self._segments():
            scores = linear_scores(part, queries)
            for i, mask in enumerate(usable):
                inside = mask[start : start + len(part.prior)]
                found[i].append(best_rows(scores[i], inside, part, *place[i], most) + start)
        return [np.concatenate([np.empty(0, np.int64), *rows]) for rows in found]


def _kept(masked: Masked) -> U8:
    return np.concatenate(
        [
            np.empty(0, np.uint8),
            *((part == Verdict.KEPT).astype(np.uint8) for part in masked.verdicts),
        ]
    )


def _repeated(block: I64, members: list[I64]) -> I64:
    return np.repeat(block, [len(rows) for rows in members])

"""The members a plan chooses from: for each lead the best eligible ones, by the served ranker.

A rough score of every eligible member (`recsvc.push.rough`) decides whom the ranker looks at; it
has the ranker's greatest terms, so that the best hundred by the ranker are hardly ever missed. The
masks are the pipeline's own, applied before the search; probabilities are its calibration.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from recsvc.matching.filters import Eligibility
from recsvc.matching.masks import Masked, mask_members
from recsvc.matching.score import score_pairs
from recsvc.model.arrays import F32, F64, I64, U8
from recsvc.model.snapshot import Snapshot
from recsvc.model.terms import INDEX
from recsvc.model.verdicts import Verdict
from recsvc.push.log import PushLog
from recsvc.push.rough import Ranking, Rough, prepare, ranking, sought
from recsvc.push.rough_best import best_rows

_BLOCK = 64
"""Leads looked at together: a block's scores of all members fit the cache a few times over."""
_POOL = 1.5
"""The ranker looks at so many times the wanted number: a seventieth of the best is missed then."""
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
        self._prepared: tuple[Ranking, list[tuple[int, Rough]]] | None = None

    def mask(self, lead_row: int, wanted: Eligibility = _EVERYBODY) -> Masked:
        """The pipeline's masks of one lead (global row)."""
        columns, local = self._snapshot.leads.locate(lead_row)
        lead_id = self._snapshot.leads.identifier(lead_row)
        return mask_members(self._snapshot, columns, local, lead_id, wanted, self._now_us)

    def best(self, leads: I64, wanted: dict[int, Eligibility], count: int) -> Candidates:
        """The best `count` members of each lead (global rows); `wanted` restricts some leads."""
        self._rough()  # once, before threads want it
        # Leads that the same members may get are looked at together.
        order = np.argsort(self._organizations(leads), kind="stable")
        blocks = [leads[order[at : at + _BLOCK]] for at in range(0, len(leads), _BLOCK)]
        with ThreadPoolExecutor(_THREADS) as threads:
            found = list(threads.map(lambda block: self._best_of(block, wanted, count), blocks))
        nothing = np.empty(0, np.int64)
        found.append(Candidates(self.scored(nothing, nothing, count), nothing, nothing))
        pairs = Pairs(
            *(np.concatenate(column) for column in zip(*(f.pairs for f in found), strict=True))
        )
        by_lead, back = np.argsort(pairs.lead, kind="stable"), np.argsort(order)
        return Candidates(
            Pairs._make(column[by_lead] for column in pairs),
            np.concatenate([part.eligible for part in found])[back],
            np.concatenate([part.free for part in found])[back],
        )

    def _organizations(self, leads: I64) -> I64:
        """Of each lead (global rows)."""
        place = (self._snapshot.leads.locate(row) for row in leads.tolist())
        return np.array([columns.organization[local] for columns, local in place], np.int64)

    def _rough(self) -> tuple[Ranking, list[tuple[int, Rough]]]:
        """What the rough scores are made of: of all members, and of each segment."""
        if self._prepared is None:
            bundle, members = self._snapshot.bundle, self._snapshot.members
            ranked = ranking(bundle)
            segments = [
                (start, prepare(bundle, ranked, columns)) for start, columns in members.segments()
            ]
            self._prepared = ranked, segments
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
        ranked, segments = self._rough()
        wanted = [sought(ranked, columns, local) for columns, local in place]
        vectors = np.stack([columns.vector[local] for columns, local in place])
        texts = np.stack([columns.text[local] for columns, local in place]) @ ranked.text_turn.T
        most = int(_POOL * count)
        for start, part in segments:
            masks = [mask[start : start + len(part.prior)] for mask in usable]
            rows = np.flatnonzero(np.bitwise_or.reduce(masks))
            near, alike = vectors @ part.vectors[rows].T, texts @ part.texts[rows].T
            for i, mask in enumerate(masks):
                dots = near[i], alike[i]
                best = best_rows(rows, *dots, mask, part, wanted[i], ranked.tables, most)
                found[i].append(best + start)
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

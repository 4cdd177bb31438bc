"""Scores of all pairs of a play, each worked out once.

During a play the model learns nothing, so of a pair's terms only those change that belong to the
lead alone (its age, the season of its topics): they are read again every day, the others are kept.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recsvc.matching.candidates import lead_prior
from recsvc.matching.score import score_pairs
from recsvc.model.arrays import F32
from recsvc.model.snapshot import Snapshot

Rows = NDArray[np.int64]


class PairScores:
    """The ranker's scores on one snapshot whose columns do not change but for new leads."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._without_lead: dict[int, F32] = {}  # lead row -> score less the lead's own terms
        self._own: tuple[int, list[F32]] = (-1, [])  # time, terms of each segment's leads alone

    def of(self, lead: int, members: Rows, now_us: int) -> F32:
        """Scores (float32[n]) of a lead with n members (global rows) at `now_us`."""
        own = self._own_terms(lead, now_us)
        known = self._without_lead.get(lead)
        if known is None:
            known = np.full(len(self._snapshot.members), np.nan, np.float32)
            self._without_lead[lead] = known
        new = members[np.isnan(known[members])]
        if len(new):
            snapshot = self._snapshot
            rows = np.full(len(new), lead, np.int64)
            scored = score_pairs(
                snapshot.bundle, snapshot.members, new, snapshot.leads, rows, now_us
            )
            known[new] = scored.scores - np.float32(own)
        return np.asarray(known[members] + np.float32(own))

    def _own_terms(self, lead: int, now_us: int) -> float:
        table = self._snapshot.leads
        if self._own[0] != now_us:
            every = [lead_prior(self._snapshot.bundle, c, now_us) for _, c in table.segments()]
            self._own = now_us, every
        for (start, columns), terms in zip(table.segments(), self._own[1], strict=True):
            if start <= lead < start + len(columns.alive):
                return float(terms[lead - start])
        raise IndexError(lead)

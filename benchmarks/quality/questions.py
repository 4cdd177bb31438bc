"""What is asked of every system alike, and how its answers are measured.

A question holds the truth; systems see only what `ask` needs of it. Rows are those of the data
set's tables, as in training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from benchmarks.quality.pair_measures import measure_pairs
from benchmarks.quality.plans import capped_plan, share_bounds
from benchmarks.quality.samples import Mean, Ratio, Sample
from features.entities import Lead
from recsvc.model.arrays import F64
from training.metrics import list_hits, ndcg_at, recall_at, reciprocal_rank, share_of_top

Ints = NDArray[np.int32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Answer:
    """What a system says: rows int32[n, k] (-1 = no more), or scores of pairs float32[n].

    `seconds` is what its training took; `note` says why there is nothing else.
    """

    rows: Ints | None = None
    scores: F64 | None = None
    probabilities: F64 | None = None
    seconds: float = float("nan")
    note: str = ""


@dataclass(frozen=True)
class Lists:
    """RecommendLeads: the best `k` leads for each of `asked` members.

    Relevant is what `truth` (csr[u, leads]) stores; with `gains` (float64[u, candidates]) the
    expected claims of a list count instead, as a share of the best list's. `candidates` (None: all
    leads) restricts what may be listed, `excluded` csr[u, leads] what a member may not get.
    `cuts` are list lengths to measure at. `slices` are parts of the asked members, `lead_slices`
    (bool[leads]) of what there is to find. `suffix` tells the share of two such questions apart.
    """

    name: str
    asked: Ints
    k: int
    excluded: sparse.csr_matrix
    as_of_us: int
    truth: sparse.csr_matrix | None = None
    gains: F64 | None = None
    candidates: Ints | None = None
    cuts: tuple[int, ...] = (20,)
    slices: Mapping[str, Mask] = field(default_factory=dict)
    lead_slices: Mapping[str, Mask] = field(default_factory=dict)
    suffix: str = ""

    @property
    def is_costly(self) -> bool:
        """Whether it is too long to be asked of every variant."""
        return False

    def measure(self, answer: Answer) -> dict[str, Sample]:
        """Recall and NDCG at every cut, or the share of the oracle's expected claims."""
        assert answer.rows is not None
        if self.gains is not None:
            return {f"oracle share@{self.k}{self.suffix}": self._share(answer.rows)}
        assert self.truth is not None
        hits, relevant = list_hits(answer.rows, self.truth)
        found: dict[str, Sample] = {}
        for cut in self.cuts:
            found[f"recall@{cut}"] = Mean(recall_at(hits, relevant, cut))
            found[f"ndcg@{cut}"] = Mean(ndcg_at(hits, relevant, cut))
        return found

    def _share(self, rows: Ints) -> Ratio:
        """Each member's expected claims, and those of the best list."""
        assert self.gains is not None
        assert self.candidates is not None
        place = np.full(max(int(self.candidates.max()), int(rows.max())) + 1, -1)
        place[self.candidates] = np.arange(len(self.candidates))
        at = np.where(rows >= 0, place[rows], -1)[:, : self.k]
        own = np.take_along_axis(self.gains, np.maximum(at, 0), axis=1) * (at >= 0)
        best = -np.sort(-self.gains, axis=1)[:, : self.k]
        return Ratio(own.sum(axis=1), best.sum(axis=1))


@dataclass(frozen=True)
class Pairs:
    """ScorePairs: a score for each given pair, of which `label` says whether it was taken.

    `slices` are parts of the pairs.
    """

    name: str
    member: Ints
    lead: Ints
    label: NDArray[np.float32]
    as_of_us: int
    seed: int
    slices: Mapping[str, Mask] = field(default_factory=dict)

    @property
    def is_costly(self) -> bool:
        """Whether it is too long to be asked of every variant."""
        return False

    def measure(self, answer: Answer) -> dict[str, Sample]:
        """See pair_measures."""
        assert answer.scores is not None
        return measure_pairs(
            self.member, self.lead, self.label, answer.scores, answer.probabilities, self.seed
        )


@dataclass(frozen=True)
class Matches:
    """MatchMembers: the best `k` members for each lead, a stored one or a draft.

    `lead_rows` int32[n] are rows of the full table (peers read contents there); `drafts` the same
    leads where they are stored nowhere. `authors` int32[n] are the members to find; without them
    it is asked how the pushes fall on members, when each lead is pushed to `pushes` members and
    nobody gets more than `member_cap`, and what comes of them: `gains` (float64[n, members]) are
    the chances of a claim; `logged` (csr[n, members]) stores 1 for a push of the log that was
    refused, 2 for one that was claimed. `slices` are parts of the leads.
    """

    name: str
    lead_rows: Ints
    k: int
    as_of_us: int
    member_count: int
    drafts: tuple[Lead, ...] = ()
    authors: Ints | None = None
    gains: F64 | None = None
    logged: sparse.csr_matrix | None = None
    pushes: int = 10
    member_cap: int = 5
    slices: Mapping[str, Mask] = field(default_factory=dict)

    @property
    def is_costly(self) -> bool:
        """Plans need lists of a thousand members: too long to be asked of every variant."""
        return self.authors is None

    def measure(self, answer: Answer) -> dict[str, Sample]:
        """MRR of the authors, or where pushes fall and what comes of them."""
        assert answer.rows is not None
        if self.authors is not None:
            return {"mrr": Mean(reciprocal_rank(answer.rows == self.authors[:, None]))}
        plan = self._plan(answer.rows)
        suffix = f"cap {self.member_cap}"
        top = share_of_top(np.bincount(plan[plan >= 0], minlength=self.member_count))
        found: dict[str, Sample] = {f"pushes to top 1 %, {suffix}": Mean(np.array([top]))}
        if self.gains is not None:
            best = self._plan(np.argsort(-self.gains, axis=1)[:, : self.k].astype(np.int32))
            found[f"oracle share of a plan, {suffix}"] = Ratio(
                _sums(self.gains, plan), _sums(self.gains, best)
            )
        if self.logged is not None:
            logged = np.asarray(self.logged.todense())
            claims, known = _sums(logged == 2, plan), _sums(logged > 0, plan)
            found[f"claims a logged push, {suffix}"] = Ratio(claims, known)
        return found

    @property
    def bounds_note(self) -> str:
        """What the share of the top 1 % can be."""
        even, most = share_bounds(
            self.member_count, len(self.lead_rows) * self.pushes, self.member_cap
        )
        return f"spread evenly {even:.3f}, as far as the cap goes {most:.3f}"

    def _plan(self, rows: Ints) -> Ints:
        return capped_plan(rows, self.member_count, self.pushes, self.member_cap)


def _sums(worth: NDArray[np.generic], plan: Ints) -> F64:
    """What a plan (int32[n, pushes], -1 nobody) brings each lead (float64[n])."""
    told = np.take_along_axis(worth.astype(np.float64), np.maximum(plan, 0), axis=1)
    return np.asarray((told * (plan >= 0)).sum(axis=1))


Question: TypeAlias = Lists | Pairs | Matches

"""How good a ranking, a probability or a plan is: per-group values, so that they can be resampled.

A ranked list is a row of `hits` (bool[n, k]: is the i-th place relevant) and the number of relevant
things that could have been there (`relevant` int[n]); pairs with scores become such rows through
`grouped_hits`. n is members (RecommendLeads) or leads (MatchMembers).

Sources: Järvelin & Kekäläinen 2002 (NDCG, here with binary gains); Voorhees 1999 (MRR); Mann &
Whitney 1947 (AUC); Naeini, Cooper & Hauskrecht 2015 (ECE); Brier 1950. Resampling is in
`training/intervals.py`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.stats import rankdata

from recsvc.model.arrays import F64

Floats = NDArray[np.floating]
Ints = NDArray[np.integer]
Bools = NDArray[np.bool_]


class GroupedHits(NamedTuple):
    """The best k of every group of pairs, best first."""

    groups: NDArray[np.int64]  # [g] ascending
    hits: Bools  # [g, k] False beyond the end of a short group
    relevant: NDArray[np.int64]  # [g] relevant pairs in the whole group


class GroupedAuc(NamedTuple):
    """AUC within each group that has both classes."""

    groups: NDArray[np.int64]  # [g] ascending
    auc: F64  # [g]
    pairs: F64  # [g] positives × negatives, the weight of the group in a pooled mean

    @property
    def mean(self) -> float:
        """Mean over groups, each counted once; NaN without a group."""
        return float(self.auc.mean()) if len(self.auc) else float("nan")

    @property
    def pooled(self) -> float:
        """Share of all (positive, negative) pairs of the same group in the right order."""
        total = self.pairs.sum()
        return float((self.auc * self.pairs).sum() / total) if total else float("nan")


def grouped_hits(scores: Floats, labels: Floats, groups: Ints, k: int, *, seed: int) -> GroupedHits:
    """The top k of each group, from n scored pairs (labels: relevant when > 0).

    Ties are broken by a seeded shuffle: neither the order of the rows nor a scorer that ties
    everything gains by it.
    """
    shuffle = np.random.default_rng(seed).permutation(len(scores))
    order = np.lexsort((shuffle, -scores, groups))
    names, start, size = np.unique(groups[order], return_index=True, return_counts=True)
    relevant_row = labels[order] > 0
    places = start[:, None] + np.arange(k)
    inside = np.arange(k) < size[:, None]
    hits = relevant_row[np.minimum(places, len(order) - 1)] & inside
    relevant = np.add.reduceat(relevant_row.astype(np.int64), start) if len(start) else start
    return GroupedHits(names.astype(np.int64), hits, relevant)


def list_hits(lists: Ints, truth: sparse.csr_matrix) -> tuple[Bools, NDArray[np.int64]]:
    """Hits (bool[n, k]) and relevant counts (int64[n]) of n lists of columns (-1 = empty place).

    `truth` is csr [n, columns]; whatever is stored counts as relevant, each column once a list.
    """
    n, k = lists.shape
    width = truth.shape[1]
    rows = np.repeat(np.arange(n, dtype=np.int64), np.diff(truth.indptr))
    keys = rows * width + truth.indices
    wanted = np.arange(n, dtype=np.int64)[:, None] * width + lists
    hits = np.isin(wanted, keys) & (lists >= 0)
    return hits.reshape(n, k), np.diff(truth.indptr).astype(np.int64)


def recall_at(hits: Bools, relevant: Ints, k: int) -> F64:
    """Recall@k (float64[n]): hits within k / relevant; NaN where nothing is relevant."""
    return _ratio(hits[:, :k].sum(axis=1), relevant)


def ndcg_at(hits: Bools, relevant: Ints, k: int) -> F64:
    """NDCG@k (float64[n]): Σ hit_i / log2(i + 1) over that of the best list; NaN as in recall."""
    width = min(k, hits.shape[1])
    discount = 1.0 / np.log2(np.arange(2, k + 2))
    best = np.concatenate([[0.0], np.cumsum(discount)])
    return _ratio(hits[:, :width] @ discount[:width], best[np.minimum(relevant, k)])


def reciprocal_rank(hits: Bools) -> F64:
    """1 / place of the first hit (float64[n]), 0 without one; its mean is the MRR."""
    first = hits.argmax(axis=1)
    return np.where(hits.any(axis=1), 1.0 / (first + 1.0), 0.0)


def _ratio(part: Floats | Ints, whole: Floats | Ints) -> F64:
    out = np.full(len(part), np.nan)
    np.divide(part, whole, out=out, where=np.asarray(whole) > 0)
    return out


def auc(scores: Floats, labels: Floats, weights: Floats | None = None) -> float:
    """P(score of a positive > score of a negative), ties one half; NaN with one class only.

    With weights: Σ over (positive, negative) of w⁺w⁻[s⁺ > s⁻] / ΣΣ w⁺w⁻.
    """
    positive = labels > 0
    weight = np.ones(len(scores)) if weights is None else np.asarray(weights, np.float64)
    _, level = np.unique(scores, return_inverse=True)
    up = np.bincount(level, weight * positive)
    down = np.bincount(level, weight * ~positive)
    total = up.sum() * down.sum()
    below = np.cumsum(down) - down
    return float((up * (below + 0.5 * down)).sum() / total) if total > 0 else float("nan")


def auc_within_groups(scores: Floats, labels: Floats, groups: Ints) -> GroupedAuc:
    """AUC inside each group (a member, a lead) that has positives and negatives.

    AUC = (Σ ranks of positives - p(p + 1)/2) / (p·q), ranks within the group, ties averaged.
    """
    names, group = np.unique(groups, return_inverse=True)
    order = np.lexsort((scores, group))
    positive = (labels > 0).astype(np.float64)
    size = np.bincount(group, minlength=len(names))
    start = np.concatenate([[0], np.cumsum(size)])[:-1]
    # Ranks over a key that sorts by group first, then score; ties only inside a group.
    changed = np.diff(scores[order], prepend=np.nan) != 0
    changed |= np.diff(group[order], prepend=-1) != 0
    key = np.empty(len(scores), np.int64)
    key[order] = np.cumsum(changed)
    rank = rankdata(key) - start[group]
    p = np.bincount(group, positive, minlength=len(names))
    q = size - p
    both = (p > 0) & (q > 0)
    rank_sum = np.bincount(group, rank * positive, minlength=len(names))
    pairs = (p * q)[both]
    values = (rank_sum[both] - (p * (p + 1) / 2)[both]) / pairs
    return GroupedAuc(names[both].astype(np.int64), values, pairs)


def ece(
    probabilities: Floats, labels: Floats, bins: int = 15, weights: Floats | None = None
) -> float:
    """Expected calibration error: Σ over equal-width bins of share·|mean label - mean p|."""
    weight = np.ones(len(labels)) if weights is None else np.asarray(weights, np.float64)
    at = np.minimum((np.asarray(probabilities, np.float64) * bins).astype(np.int64), bins - 1)
    gap = np.bincount(at, weight * (np.asarray(labels, np.float64) - probabilities), bins)
    return float(np.abs(gap).sum() / weight.sum())


def brier_skill(probabilities: Floats, labels: Floats, weights: Floats | None = None) -> float:
    """1 - Brier / Brier of the base rate; a constant has 0, a perfect forecast 1.

    NaN when the labels are all alike: there is nothing to be skilful about.
    """
    weight = np.ones(len(labels)) if weights is None else np.asarray(weights, np.float64)
    label = np.asarray(labels, np.float64)
    base = np.average(label, weights=weight)
    brier = np.average((np.asarray(probabilities, np.float64) - label) ** 2, weights=weight)
    reference = base * (1.0 - base)
    return float(1.0 - brier / reference) if reference > 0 else float("nan")


def share_of_top(assigned: Floats | Ints, share: float = 0.01) -> float:
    """Share of all assignments that falls on the `share` of members with the most (at least one).

    `assigned`: assignments of each member, with a zero for those who got none. 0 without any.
    """
    ordered = np.sort(np.asarray(assigned, np.float64))[::-1]
    top = max(1, int(np.ceil(share * len(ordered))))
    total = ordered.sum()
    return float(ordered[:top].sum() / total) if total > 0 else 0.0

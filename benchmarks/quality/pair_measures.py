"""Measures of scored pairs: order, and whether a probability means what it says."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.plans import best_of_members
from benchmarks.quality.samples import Mean, Sample, Statistic
from recsvc.model.arrays import F64
from training.metrics import auc, auc_within_groups, brier_skill, ece, grouped_hits, ndcg_at

Ints = NDArray[np.int32]
Labels = NDArray[np.float32]
PLAN_CAP = 5


def measure_pairs(
    member: Ints, lead: Ints, label: Labels, scores: F64, probabilities: F64 | None, seed: int
) -> dict[str, Sample]:
    """NDCG over leads, AUC over all pairs and within members, claims a push of a plan, calibration.

    The plan takes each member's five best pairs; calibration is measured on all pairs and on those.
    """
    hits = grouped_hits(scores, label, lead, 10, seed=seed)
    ndcg = (ndcg_at(hits.hits, hits.relevant, 5) + ndcg_at(hits.hits, hits.relevant, 10)) / 2
    within = auc_within_groups(scores, label, member)
    found: dict[str, Sample] = {
        "ndcg@5,10": Mean(ndcg),
        "auc": _auc(scores, label, member),
        "auc within members": Mean(within.auc),
    }
    plan = best_of_members(member, scores, PLAN_CAP)
    found["claims a push, cap 5"] = _rate(plan, label, member)
    if probabilities is not None:
        found |= _calibration("", member, label, probabilities, seed)
        found |= _calibration(", cap 5", member[plan], label[plan], probabilities[plan], seed)
    return found


def _auc(scores: F64, label: Labels, member: Ints) -> Statistic:
    level = np.unique(scores, return_inverse=True)[1].astype(np.float64)
    return Statistic(lambda weights: auc(level, label, weights), member)


def _rate(chosen: NDArray[np.bool_], label: Labels, member: Ints) -> Statistic:
    """Claims of the chosen pairs over how many were chosen."""

    def rate(weights: F64) -> float:
        return float((weights * label)[chosen].sum() / max(weights[chosen].sum(), 1.0))

    return Statistic(rate, member)


def _calibration(
    suffix: str, member: Ints, label: Labels, chance: F64, seed: int
) -> dict[str, Sample]:
    """ECE and Brier skill, and the ECE that so many pairs would show were every chance exact."""
    rng = np.random.default_rng(seed)
    luck = [ece(chance, (rng.random(len(chance)) < chance).astype(np.float64)) for _ in range(100)]
    return {
        f"ece of exact chances{suffix}": Mean(np.array(luck)),
        f"ece{suffix}": Statistic(lambda w: ece(chance, label, 15, w), member),
        f"brier skill{suffix}": Statistic(lambda w: brier_skill(chance, label, w), member),
    }

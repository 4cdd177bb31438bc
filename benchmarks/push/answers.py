"""What members do with a push, by the ground truth.

Every draw is a hash of the seed and the pair: whoever pushes a pair, on whatever day, the member
was that sure of it. So two policies differ by whom they ask, not by luck.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from benchmarks.province.config import DAY_US
from benchmarks.province.noise import pair_uniform
from benchmarks.province.truth import BASE
from benchmarks.province.world import Province
from features.entities import DismissReason

NEVER = np.iinfo(np.int64).max
_REASONS = (
    DismissReason.TOO_FAR,
    DismissReason.NOT_MY_FIELD,
    DismissReason.BUSY,
    DismissReason.DUPLICATE,
)
_CLAIM, _DELAY, _OPEN, _DISMISS, _REASON, _LESS = range(101, 107)
"""Streams of the hash, apart from the province's own."""


class Answers(NamedTuple):
    """Of n pushes: when each would claim, opened it, dismissed it (NEVER: not)."""

    claim_us: NDArray[np.int64]
    opened: NDArray[np.bool_]
    dismiss_us: NDArray[np.int64]
    reason: NDArray[np.int64]
    sees_less: NDArray[np.bool_]


@dataclass(frozen=True)
class Members:
    """The members of a province, asked by the formulas of its log (`province.followups`)."""

    province: Province
    seed: int

    def answer(self, member: NDArray[np.int64], lead: NDArray[np.int64], time_us: int) -> Answers:
        """What n members (rows) do with n leads (rows) pushed at `time_us`."""
        truth = self.province.truth
        chance = self.province.claim_probability(member, lead, time_us)
        z = truth.logit(member, lead, time_us)
        would = self._uniform(_CLAIM, member, lead) < chance
        normal = ndtri(self._uniform(_DELAY, member, lead))
        days = np.clip(np.exp(np.log(0.6) + 1.2 * normal), 0.002, 6.5)
        claim = time_us + (days * DAY_US).astype(np.int64)
        look = 1.0 / (1.0 + np.exp(0.9 - 0.6 * (z - BASE)))
        opened = would | (self._uniform(_OPEN, member, lead) < look)
        refuse = 0.03 + 0.14 / (1.0 + np.exp(z - BASE))
        dismissed = ~would & (self._uniform(_DISMISS, member, lead) < refuse)
        reason = self._reasons(member, lead)
        less = self._uniform(_LESS, member, lead) < 0.08
        return Answers(
            np.where(would, claim, NEVER),
            opened,
            np.where(dismissed, time_us + DAY_US // 4, NEVER),
            reason,
            dismissed & (reason == DismissReason.NOT_MY_FIELD) & less,
        )

    def _uniform(
        self, stream: int, member: NDArray[np.int64], lead: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        return np.asarray(pair_uniform(self.seed * 1_000 + stream, member, lead), np.float64)

    def _reasons(self, member: NDArray[np.int64], lead: NDArray[np.int64]) -> NDArray[np.int64]:
        truth = self.province.truth
        far = np.log1p(truth.distance_km(member, lead) / 20)
        scores = np.stack(
            [
                -1.6 + 1.1 * far,
                0.9 - 3.5 * truth.expertise(member, lead),
                -0.4 - 0.9 * truth.members.willingness[member],
                np.full(len(member), -2.0),
            ],
            axis=1,
        )
        draws = [self._uniform(_REASON + 100 + k, member, lead) for k in range(scores.shape[1])]
        gumbel = -np.log(-np.log(np.stack(draws, axis=1)))
        return np.asarray(np.array(_REASONS, np.int64)[(scores + gumbel).argmax(axis=1)])

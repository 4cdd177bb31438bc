"""What is said of a pair, side by side: one record a pair, as kernels write and replies read it.

One array, given to the kernels: a compiled function takes 0.6 µs to hand over one it has made.
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from recsvc.model.arrays import F64, I32

MOST_REASONS = 3
FACT_NUMBERS = 4
"""Group, fact, and its two numbers."""

# Where the parts begin, in their own type.
COUNT = 0  # int32: how many reasons
FACT = 2  # int32[3, 4], strongest first
WEIGHT = 7  # float64[3]: the sums of their groups' terms
SCORE = 10  # float64
LIKELY = 11  # float64: claim probability; NaN not known
DISTANCE = 12  # float64: kilometres; NaN not known
TAKEN = 13  # float64: what diversity took off the score
NUMBERS = 14
"""The length of a record in float64."""


class Told(Struct, frozen=True):
    """Of n pairs, at most three reasons each, strongest first."""

    record: F64  # [n, NUMBERS]

    @classmethod
    def empty(cls, count: int) -> Told:
        """Nothing said of so many pairs."""
        return cls(np.zeros((count, NUMBERS)))

    @property
    def counts(self) -> I32:
        """How many reasons (int32[n])."""
        return self._whole[:, COUNT]

    @property
    def fact(self) -> I32:
        """What they are (int32[n, 3, 4]): group, fact, and its two numbers."""
        parts = self._whole[:, FACT : FACT + MOST_REASONS * FACT_NUMBERS]
        return parts.reshape(len(parts), MOST_REASONS, FACT_NUMBERS)

    @property
    def weight(self) -> F64:
        """The sums of their groups' terms (float64[n, 3])."""
        return self.record[:, WEIGHT : WEIGHT + MOST_REASONS]

    @property
    def numbers(self) -> F64:
        """Score, claim probability, kilometres (NaN: not known), what diversity took off the score
        (float64[n, 4]).
        """
        return self.record[:, SCORE:]

    @property
    def _whole(self) -> I32:
        return self.record.view(np.int32)

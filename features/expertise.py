"""What members know, from all that their profile says: topics they left out, and how sure each is.

A profile names some of the topics that somebody knows; its text and sector tell of others, and how
likely the named ones are meant. Members who name topics teach a linear model (ridge regression, its
strength chosen by generalised cross-validation: Golub, Heath & Wahba 1979) which topics go with
which texts and sectors. (Simulated provinces of 4,000 members, share of the oracle's expected
claims at k = 10: seed 1 from .767 to .787, seed 2 from .750 to .772.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from features.entities import Member
from features.state import Arrays, from_named, named_arrays
from features.text import TextModel

LEAST_CHANCE = 0.25
"""Topics that are less likely are not taken up; a named one counts as likely as that at least."""
_RIDGES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
F32 = NDArray[np.float32]
I32 = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class ExpertiseModel:
    """Frozen: chance = text @ of_text + of_sector[sector] + bias, held to 0..1.

    topics: int32[t], rows of the topic table. of_text: float32[d, t]. of_sector: float32[s, t].
    """

    topics: I32
    of_text: F32
    of_sector: F32
    bias: F32

    @classmethod
    def fit(
        cls,
        texts: F32,
        sectors: I32,
        sector_count: int,
        labels: NDArray[np.bool_],
        topics: I32,
    ) -> ExpertiseModel:
        """Learns from n members who name topics.

        texts float32[n, d], sectors int32[n] (-1 unknown), labels bool[n, t]: who names which of
        `topics`, int32[t], rows of the topic table.
        """
        # Imported here: only training needs it.
        from sklearn.linear_model import RidgeCV

        known = np.concatenate([texts, _one_hot(sectors, sector_count)], axis=1)
        found = RidgeCV(alphas=_RIDGES).fit(known.astype(np.float64), labels.astype(np.float64))
        slopes = np.atleast_2d(found.coef_).T.astype(np.float32)
        width = texts.shape[1]
        bias = np.atleast_1d(found.intercept_).astype(np.float32)
        return cls(topics, slopes[:width].copy(), slopes[width:].copy(), bias)

    def refine(self, topics: I32, weights: F32, texts: F32, sectors: I32) -> None:
        """Weighs members' topics (int32[n, w], float32[n, w]) by chance, and adds likely ones.

        Topics that the model does not know keep their weights. Those named stay in front of those
        added, the heaviest of each first.
        """
        model = self.topics, self.of_text, self.of_sector, self.bias
        _refine(topics, weights, texts, sectors, *model)

    def state(self) -> Arrays:
        """The arrays by name; `from_state` is the inverse."""
        return named_arrays("expertise", self)

    @classmethod
    def from_state(cls, arrays: Mapping[str, NDArray[Any]]) -> ExpertiseModel | None:
        """The model out of `state`, None when there is none; raises KeyError when incomplete."""
        return from_named(cls, "expertise", arrays)


def profile_texts(text: TextModel, members: Sequence[Member]) -> F32:
    """float32[n, d]: the vectors of what members say of themselves, their topics included."""
    texts = [member.expertise for member in members]
    rows = text.rows(text.documents(texts, [member.topics for member in members]))
    return text.vectors(rows, texts)


def _one_hot(rows: I32, count: int) -> F32:
    out = np.zeros((len(rows), count), np.float32)
    known = np.flatnonzero(rows >= 0)
    out[known, rows[known]] = 1.0
    return out


@njit(cache=True)
def _refine(topics, weights, texts, sectors, known, of_text, of_sector, bias):  # type: ignore[no-untyped-def]
    """Row by row, so that a member alone gets what it gets among others."""
    width = topics.shape[1]
    found, worth = np.empty(width + len(known), np.int32), np.empty(width + len(known), np.float32)
    for row in range(len(topics)):
        chance = _chances(texts[row], sectors[row], of_text, of_sector, bias)
        count = 0
        for column in range(width):
            if topics[row, column] < 0:
                break
            found[count], worth[count] = topics[row, column], weights[row, column]
            count += 1
        named = count
        for k in range(len(known)):
            at = -1
            for column in range(named):
                if found[column] == known[k]:
                    at = column
            if at < 0 and chance[k] >= LEAST_CHANCE:
                at = count
                count += 1
            if at >= 0:
                found[at], worth[at] = known[k], max(chance[k], np.float32(LEAST_CHANCE))
        own = np.argsort(-worth[:named], kind="mergesort")
        added = named + np.argsort(-worth[named:count], kind="mergesort")
        order = np.concatenate((own, added))[:width]
        for column in range(len(order)):
            topics[row, column] = found[order[column]]
            weights[row, column] = worth[order[column]]


@njit(cache=True)
def _chances(text, sector, of_text, of_sector, bias):  # type: ignore[no-untyped-def]
    """float32[t]: how likely a member knows each topic; 0 where neither text nor sector is."""
    chance, silent = bias.copy(), sector < 0
    for d in range(len(text)):
        if text[d] != 0.0:
            silent = False
            for k in range(len(chance)):
                chance[k] += text[d] * of_text[d, k]
    if sector >= 0:
        chance += of_sector[sector]
    if silent:
        chance[:] = 0.0
    return np.clip(chance, np.float32(0.0), np.float32(1.0))

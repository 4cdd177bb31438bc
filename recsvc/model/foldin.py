"""A member's vector from a history that no training run has seen, worked out online.

A `FoldIn` is plain arrays on disk (`to_arrays`/`from_arrays`) and composes: a blend of models is
one FoldIn whose parts own neighbouring ranges of columns. Leads: see `recsvc.model.content_map`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from recsvc.model.arrays import F32

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Arrays = dict[str, NDArray[Any]]

_KINDS = ("linear", "gram")


class FoldPart(Protocol):
    """The rule of one model, for the columns [start, stop) of the vectors."""

    @property
    def start(self) -> int: ...
    @property
    def stop(self) -> int: ...
    def fold(self, leads: F32, weights: F32) -> F32:
        """History (leads float32[k, d] whole rows, weights float32[k] > 0) -> float32[width]."""
        ...


@dataclass(frozen=True)
class LinearPart:
    """member = offset + (sum w)^-length_exponent * gain(sum w * s * lead), with w = weight^power.

    gain is float32[width] (one factor a column) or float32[width, width] (a matrix). s is read from
    the lead's own column `scale_column` (-1: s = 1), in which members are always 0, so that it
    never counts in a score. The spectral model keeps there how much a lead says about its takers.
    """

    start: int
    stop: int
    gain: F32
    offset: F32
    scale_column: int = -1
    length_exponent: float = 0.0
    weight_power: float = 1.0

    def fold(self, leads: F32, weights: F32) -> F32:
        """History (leads float32[k, d], weights float32[k] > 0) -> float32[width]."""
        powered = weights.astype(np.float64) ** self.weight_power
        factors = powered * powered.sum() ** -self.length_exponent
        if self.scale_column >= 0:
            factors = factors * leads[:, self.scale_column]
        total = factors @ leads[:, self.start : self.stop].astype(np.float64)
        gained = total * self.gain if self.gain.ndim == 1 else total @ self.gain
        folded: F32 = (gained + self.offset).astype(np.float32)
        return folded

    def arrays(self) -> Arrays:
        """Everything as arrays; the inverse is `from_arrays`."""
        numbers = np.array([self.length_exponent, self.weight_power], np.float64)
        whole = np.array([0, self.start, self.stop, self.scale_column], np.int64)
        return {"whole": whole, "numbers": numbers, "gain": self.gain, "offset": self.offset}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> LinearPart:
        """The inverse of `arrays`."""
        _, start, stop, scale_column = (int(v) for v in arrays["whole"])
        length_exponent, power = (float(v) for v in arrays["numbers"])
        gain, offset = arrays["gain"], arrays["offset"]
        return cls(start, stop, gain, offset, scale_column, length_exponent, power)

    def moved(self, by: int, scale: float) -> LinearPart:
        """The same rule `by` columns further right, its members multiplied by `scale`."""
        return replace(
            self,
            start=self.start + by,
            stop=self.stop + by,
            scale_column=self.scale_column + by if self.scale_column >= 0 else -1,
            gain=(self.gain * scale).astype(np.float32),
            offset=(self.offset * scale).astype(np.float32),
        )


@dataclass(frozen=True)
class GramPart:
    """member = scale * argmin of the implicit-feedback loss, given all lead vectors.

    Solves (gram + sum (c - 1) y y^T) x = sum c y over the history with c = alpha * weight^power
    (Hu, Koren and Volinsky 2008). gram is float32[width, width] and holds Y^T Y + regularization.
    """

    start: int
    stop: int
    gram: F32
    alpha: float
    scale: float = 1.0
    weight_power: float = 1.0

    def fold(self, leads: F32, weights: F32) -> F32:
        """History (leads float32[k, d], weights float32[k] > 0) -> float32[width]."""
        rows = leads[:, self.start : self.stop].astype(np.float64)
        confidence = self.alpha * weights.astype(np.float64) ** self.weight_power
        normal = self.gram + (rows.T * (confidence - 1.0)) @ rows
        return (self.scale * np.linalg.solve(normal, confidence @ rows)).astype(np.float32)

    def arrays(self) -> Arrays:
        """Everything as arrays; the inverse is `from_arrays`."""
        numbers = np.array([self.alpha, self.scale, self.weight_power], np.float64)
        whole = np.array([1, self.start, self.stop], np.int64)
        return {"whole": whole, "numbers": numbers, "gram": self.gram}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> GramPart:
        """The inverse of `arrays`."""
        _, start, stop = (int(v) for v in arrays["whole"])
        alpha, scale, power = (float(v) for v in arrays["numbers"])
        return cls(start, stop, arrays["gram"], alpha, scale, power)

    def moved(self, by: int, scale: float) -> GramPart:
        """The same rule `by` columns further right, its members multiplied by `scale`."""
        return replace(self, start=self.start + by, stop=self.stop + by, scale=self.scale * scale)


@dataclass(frozen=True)
class FoldIn:
    """A member's vector from its history; `default` float32[d] for a member without one.

    The default is the mean of all trained member vectors: with it the score of a lead is the mean
    of its scores, which is its (smoothed) popularity. `lead_mean` float32[d] was taken out of all
    lead vectors; the rules of the parts are for whole ones.
    """

    parts: tuple[LinearPart | GramPart, ...]
    default: F32
    lead_mean: F32

    def vector(self, leads: F32, weights: F32) -> F32:
        """One member (float32[d]) from leads float32[k, d] and weights float32[k].

        Entries whose weight is not above zero do not count.
        """
        used = weights > 0.0
        if not used.any():
            return self.default.copy()
        rows, kept = leads[used] + self.lead_mean, weights[used]
        return np.concatenate([part.fold(rows, kept) for part in self.parts])

    def vectors(self, leads: F32, history: csr_matrix) -> F32:
        """Members (float32[m, d]) from all leads float32[n, d] and history csr float32[m, n]."""
        members = np.empty((history.shape[0], len(self.default)), np.float32)
        for row in range(len(members)):
            span = slice(history.indptr[row], history.indptr[row + 1])
            members[row] = self.vector(leads[history.indices[span]], history.data[span])
        return members

    def levels(self, members: F32) -> F32:
        """What the scores of members (float32[..., d]) have in common whatever the lead."""
        return np.asarray(members @ self.lead_mean, np.float32)

    def to_arrays(self) -> Arrays:
        """Plain arrays by name, for `.npz` or `.npy` files without pickles."""
        found: Arrays = {"default": self.default, "lead_mean": self.lead_mean}
        for place, part in enumerate(self.parts):
            found |= {f"part{place}.{name}": array for name, array in part.arrays().items()}
        return found

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> FoldIn:
        """The inverse of `to_arrays`; raises KeyError when an array is missing."""
        parts: list[LinearPart | GramPart] = []
        while f"part{len(parts)}.whole" in arrays:
            own = _with_prefix(arrays, f"part{len(parts)}.")
            is_linear = _KINDS[int(own["whole"][0])] == "linear"
            parts.append(LinearPart.from_arrays(own) if is_linear else GramPart.from_arrays(own))
        return cls(tuple(parts), arrays["default"], arrays["lead_mean"])

    @classmethod
    def joined(cls, folds: Sequence[FoldIn], scales: Sequence[float]) -> FoldIn:
        """One FoldIn for vectors laid side by side; members of fold i are scaled by scales[i]."""
        parts: list[LinearPart | GramPart] = []
        begin = 0
        for fold, scale in zip(folds, scales, strict=True):
            parts += [part.moved(begin, scale) for part in fold.parts]
            begin += len(fold.default)
        scaled = [fold.default * np.float32(s) for fold, s in zip(folds, scales, strict=True)]
        lead_mean = np.concatenate([fold.lead_mean for fold in folds])
        return cls(tuple(parts), np.concatenate(scaled), lead_mean)


def _with_prefix(arrays: Mapping[str, NDArray[Any]], prefix: str) -> Arrays:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}

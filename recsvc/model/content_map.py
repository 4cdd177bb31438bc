"""The vector of a lead (or member) that nobody has met, from its words and topics, online.

Plain arrays on disk (`to_arrays`/`from_arrays`), and composed as a `FoldIn` is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from recsvc.model.arrays import F32
from recsvc.model.foldin import Arrays

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


@dataclass(frozen=True)
class ContentMap:
    """vector = (content @ terms + lengths @ length) @ mix + bias: from words and topics to vectors.

    terms float32[t, r] and mix float32[r, d]: two thin matrices, because t x d would not fit.
    length float32[2, r] weighs `content_lengths`.
    """

    terms: F32
    mix: F32
    bias: F32
    length: F32

    def vectors(self, content: csr_matrix) -> F32:
        """Content csr float32[n, t] -> float32[n, d]; an empty row gives the bias alone."""
        starts, terms = content.indptr.astype(np.int64), content.indices.astype(np.int32)
        reduced = _product(starts, terms, content.data.astype(np.float32), self.terms)
        reduced += content_lengths(content) @ self.length
        return reduced @ self.mix + self.bias

    def to_arrays(self) -> Arrays:
        """Plain arrays by name, for `.npz` or `.npy` files without pickles."""
        return {"terms": self.terms, "mix": self.mix, "bias": self.bias, "length": self.length}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> ContentMap:
        """The inverse of `to_arrays`; raises KeyError when an array is missing."""
        return cls(arrays["terms"], arrays["mix"], arrays["bias"], arrays["length"])

    @classmethod
    def joined(cls, maps: Sequence[ContentMap]) -> ContentMap:
        """One map whose vectors are those of `maps` side by side (all over the same terms)."""
        ranks = np.cumsum([0, *(m.mix.shape[0] for m in maps)])
        widths = np.cumsum([0, *(m.mix.shape[1] for m in maps)])
        mix = np.zeros((ranks[-1], widths[-1]), np.float32)
        for place, part in enumerate(maps):
            rows, columns = ranks[place : place + 2], widths[place : place + 2]
            mix[slice(*rows), slice(*columns)] = part.mix
        terms = np.concatenate([m.terms for m in maps], axis=1)
        length = np.concatenate([m.length for m in maps], axis=1)
        return cls(terms, mix, np.concatenate([m.bias for m in maps]), length)

    @classmethod
    def zero(cls, terms_count: int, dimensions_count: int) -> ContentMap:
        """The map that knows nothing: every vector is zero."""
        return cls(
            np.zeros((terms_count, 0), np.float32),
            np.zeros((0, dimensions_count), np.float32),
            np.zeros(dimensions_count, np.float32),
            np.zeros((2, 0), np.float32),
        )

    def shifted(self, by: F32) -> ContentMap:
        """The same map with `by` (float32[d]) added to every vector."""
        return replace(self, bias=self.bias + by)

    def scaled(self, scale: float) -> ContentMap:
        """The same map with every vector multiplied by `scale`."""
        factor = np.float32(scale)
        return replace(self, mix=self.mix * factor, bias=self.bias * factor)


@njit(cache=True, nogil=True)
def _product(starts: NDArray[np.int64], indices: NDArray[np.int32], values: F32, dense: F32) -> F32:
    """float32[n, r]: csr rows times `dense`; SciPy's own loop takes four times as long."""
    width = dense.shape[1]
    out = np.zeros((len(starts) - 1, width), np.float32)
    for row in range(len(out)):
        for entry in range(starts[row], starts[row + 1]):
            value, term = values[entry], indices[entry]
            for k in range(width):
                out[row, k] += value * dense[term, k]
    return out


def content_lengths(content: csr_matrix) -> F32:
    """log(1 + terms in the row) and whether there are any, float32[n, 2]."""
    counts = np.diff(content.indptr).astype(np.float32)
    return np.stack([np.log1p(counts), np.minimum(counts, 1.0)], axis=1)

"""Vector search over a bundle's rows: faiss where it pays, an exact scan of the subset where not.

faiss is not safe to change while it is searched, so an index is built once over the base segment
and never changed; the tail is scanned beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import faiss
import numpy as np
from numpy.typing import NDArray

from recsvc.model.arrays import F32, I32, U8

_SAMPLED_A_CENTRE = 32


@dataclass(frozen=True)
class IndexConfig:
    """How to search. `kind` AUTO: flat below `ivf_from_rows` rows, inverted file from there on."""

    kind: Literal["AUTO", "FLAT", "IVF"] = "AUTO"
    ivf_from_rows: int = 200_000
    ivf_probes: int = 64
    exact_below_rows: int = 20_000
    seed: int = 20200101


class VectorIndex:
    """Inner-product search over fixed vectors (float32[n, d]), restricted to eligible rows."""

    def __init__(self, vectors: F32, config: IndexConfig) -> None:
        self._vectors = vectors
        self._config = config
        faiss.omp_set_num_threads(1)  # every calling thread would get its own OpenMP pool
        self._index: Any = self._build(vectors) if len(vectors) > config.exact_below_rows else None

    def _build(self, vectors: F32) -> Any:
        count, width = vectors.shape
        flat = faiss.IndexFlatIP(width)
        kind = self._config.kind
        if kind == "FLAT" or (kind == "AUTO" and count < self._config.ivf_from_rows):
            flat.add(np.ascontiguousarray(vectors))
            return flat
        lists = max(1, int(2 * np.sqrt(count)))
        index = faiss.IndexIVFFlat(flat, width, lists, faiss.METRIC_INNER_PRODUCT)
        index.cp.seed = self._config.seed
        index.cp.min_points_per_centroid = 1
        index.train(np.ascontiguousarray(vectors))
        index.add(np.ascontiguousarray(vectors))
        index.nprobe = self._config.ivf_probes
        return index

    def search(self, query: F32, k: int, eligible: U8) -> I32:
        """At most k eligible rows (int32[≤ k]) with the largest inner product, best first.

        `query` float32[d]; `eligible` uint8[n], 1 = may be returned. Fewer rows come back only when
        fewer are eligible.
        """
        count = int(eligible.sum())
        if self._index is None or count <= self._config.exact_below_rows:
            return exact_search(self._vectors, query, k, np.flatnonzero(eligible))
        rows = self._search_index(query, min(k, count), eligible)
        if len(rows) < min(k, count):
            # An inverted file sees only the probed lists; a caller is owed k rows.
            return exact_search(self._vectors, query, k, np.flatnonzero(eligible))
        return rows

    def _search_index(self, query: F32, k: int, eligible: U8) -> I32:
        parameters: Any = None
        if not eligible.all():
            bitmap = np.packbits(eligible, bitorder="little")
            selector = faiss.IDSelectorBitmap(len(eligible), faiss.swig_ptr(bitmap))
            inverted = isinstance(self._index, faiss.IndexIVFFlat)
            parameters = faiss.SearchParametersIVF() if inverted else faiss.SearchParameters()
            parameters.sel = selector
            if inverted:
                parameters.nprobe = self._config.ivf_probes
        _, found = self._index.search(query[None, :], k, params=parameters)
        rows: I32 = found[0].astype(np.int32)
        return rows[rows >= 0]


def directions(vectors: F32, count: int, rng: np.random.Generator) -> F32:
    """Centres (float32[<= count, d], length 1) of vectors (float32[n, d]), by spherical k-means.

    Two rounds over a sample: lists need to be of like size more than to lie exactly right.
    """
    faiss.omp_set_num_threads(1)  # the same sums whatever the machine
    chosen = rng.choice(len(vectors), min(len(vectors), _SAMPLED_A_CENTRE * count), replace=False)
    sample = np.ascontiguousarray(vectors[chosen])
    faiss.normalize_L2(sample)
    if count == 1 or not sample.any():  # nothing to tell apart; faiss divides by the width
        return sample[:1]
    if count >= len(sample):
        return sample
    found = faiss.Kmeans(
        vectors.shape[1],
        count,
        niter=2,
        spherical=True,
        seed=int(rng.integers(1 << 30)),
        min_points_per_centroid=1,
        max_points_per_centroid=_SAMPLED_A_CENTRE,
    )
    found.train(sample)
    return np.asarray(found.centroids, np.float32)


def nearest(vectors: F32, centres: F32) -> NDArray[np.int64]:
    """The centre (int64[n]) of the largest cosine: a row's own length does not matter for it."""
    flat = faiss.IndexFlatIP(centres.shape[1])
    flat.add(np.ascontiguousarray(centres))
    found: NDArray[np.int64] = flat.search(np.ascontiguousarray(vectors), 1)[1][:, 0]
    return found


def exact_search(vectors: F32, query: F32, k: int, rows: NDArray[np.int64]) -> I32:
    """The k of `rows` (int64[r]) with the largest inner product with `query`, best first."""
    scores = vectors @ query if len(rows) == len(vectors) else vectors[rows] @ query
    if k < len(rows):
        best = np.argpartition(-scores, k)[:k]
        rows, scores = rows[best], scores[best]
    return rows[np.argsort(-scores, kind="stable")].astype(np.int32)

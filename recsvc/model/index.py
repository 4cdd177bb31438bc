"""What faiss does for us: it finds centres and sorts vectors into lists, once for each bundle.

The lists themselves are searched by scans that know the masks and what else speaks for a row (see
`recsvc.matching.lead_scan`, `member_scan`): faiss would have to be told of both at every request.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recsvc.model.arrays import F32, I32

_SAMPLED_A_CENTRE = 32

LISTS_SEED = 20200101
"""Of the centres: the same bundle has the same lists in every worker."""


def directions(vectors: F32, count: int, rng: np.random.Generator) -> F32:
    """Centres (float32[<= count, d], length 1) of vectors (float32[n, d]), by spherical k-means.

    Two rounds over a sample: lists need to be of like size more than to lie exactly right.
    """
    # Imported here: a bundle brings its lists, and a worker would wait for it at its start.
    import faiss

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
    import faiss

    flat = faiss.IndexFlatIP(centres.shape[1])
    flat.add(np.ascontiguousarray(centres))
    found: NDArray[np.int64] = flat.search(np.ascontiguousarray(vectors), 1)[1][:, 0]
    return found


def exact_search(vectors: F32, query: F32, k: int, rows: NDArray[np.int64]) -> I32:
    """The k of `rows` (int64[r], each once) with the largest inner product with `query`.

    Best first, whatever the order of `rows`.
    """
    # Where all are asked for, n numbers are put in order sooner than n vectors.
    scores = (vectors @ query)[rows] if len(rows) == len(vectors) else vectors[rows] @ query
    if k < len(rows):
        best = np.argpartition(-scores, k)[:k]
        rows, scores = rows[best], scores[best]
    return rows[np.argsort(-scores, kind="stable")].astype(np.int32)

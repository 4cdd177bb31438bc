"""faiss as it comes: flat, inverted file and HNSW, with the eligible rows as a bitmap."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import faiss
import numpy as np

from benchmarks.hotpath.vector_exam import Search
from recsvc.model.arrays import F32, I32, U8

_HNSW_PARAMETERS: Any = vars(faiss)["SearchParametersHNSW"]
"""Its stubs do not know it."""

_HNSW_LINKS = 32
_HNSW_BUILD = 80
_HNSW_MOST_ROWS = 200_000
"""Above, building the graph takes longer than anybody waits for a benchmark."""


def raw_searches(vectors: F32, seed: int, probes: tuple[int, ...]) -> Iterator[tuple[str, Search]]:
    """(name, search) of each kind and knob; an index is built once for all its knobs."""
    faiss.omp_set_num_threads(1)
    flat = faiss.IndexFlatIP(vectors.shape[1])
    flat.add(vectors)
    yield "faiss_flat", _search(flat, faiss.SearchParameters, {})
    del flat
    lists = int(2 * np.sqrt(len(vectors)))
    inverted = _inverted(vectors, lists, seed)
    for count in probes:
        if count <= lists:
            knobs = {"nprobe": count}
            yield (
                f"faiss_ivf{lists}_probes{count}",
                _search(inverted, faiss.SearchParametersIVF, knobs),
            )
    del inverted
    if len(vectors) <= _HNSW_MOST_ROWS:
        graph = faiss.IndexHNSWFlat(vectors.shape[1], _HNSW_LINKS, faiss.METRIC_INNER_PRODUCT)
        graph.hnsw.efConstruction = _HNSW_BUILD
        graph.add(vectors)
        for depth in (64, 256):
            knobs = {"efSearch": depth}
            yield (
                f"faiss_hnsw{_HNSW_LINKS}_ef{depth}",
                _search(graph, _HNSW_PARAMETERS, knobs),
            )


def flat_batch(vectors: F32, queries: F32, k: int, threads: int) -> None:
    """One flat search for all queries at once, by so many threads: the raw limit of a batch."""
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    faiss.omp_set_num_threads(threads)
    try:
        index.search(queries, k)
    finally:
        faiss.omp_set_num_threads(1)


def _inverted(vectors: F32, lists: int, seed: int) -> Any:
    index = faiss.IndexIVFFlat(
        faiss.IndexFlatIP(vectors.shape[1]), vectors.shape[1], lists, faiss.METRIC_INNER_PRODUCT
    )
    index.cp.seed = seed
    index.cp.min_points_per_centroid = 1
    index.train(vectors)
    index.add(vectors)
    return index


def _search(index: Any, kind: Any, knobs: dict[str, int]) -> Search:
    def search(query: F32, k: int, eligible: U8) -> I32:
        parameters = kind()
        for name, value in knobs.items():
            setattr(parameters, name, value)
        bitmap = np.packbits(eligible, bitorder="little")
        if not eligible.all():
            parameters.sel = faiss.IDSelectorBitmap(len(eligible), faiss.swig_ptr(bitmap))
        _, found = index.search(query[None, :], k, params=parameters)
        rows: I32 = found[0].astype(np.int32)
        return rows[rows >= 0]

    return search

"""Embeddings by direction, in lists: the leads a member's own embedding points at.

An inverted file (Jégou, Douze & Schmid 2011) by cosine, built in two steps so that a million rows
take seconds: rows go to the nearest of a few centres, then to the nearest of that centre's own;
faiss finds the centres and sorts the rows.
Rows are kept as one byte a dimension, in the order of the lists: a probe reads memory forwards.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsvc.model.arrays import F32, I32
from recsvc.model.blocks import I8, one_byte_codes
from recsvc.model.index import directions, nearest

ROWS_PER_LIST = 128


class EmbeddingLists(NamedTuple):
    """n rows of width d in c lists; slot arrays are parallel to `row`."""

    list_start: I32  # [c + 1] slots
    centre: I8  # [c, d] codes of each list's mean
    centre_scale: F32  # [d]
    row: I32  # [n] row of each slot
    slot: I32  # [n] slot of each row
    code: I8  # [n, d]
    scale: F32  # [d] what a code of 1 means
    organization: I32  # [n] of each slot's row, -1 none


def build_lists(
    vectors: F32, organization: I32, seed: int, seen_as: F32 | None = None
) -> EmbeddingLists:
    """Lists of about ROWS_PER_LIST rows, fewer and longer for many rows.

    `seen_as` float32[n, *]: what rows are sorted into lists by, when not by `vectors`.
    """
    count = len(vectors)
    wanted = max(1, min(count // ROWS_PER_LIST, int(2 * np.sqrt(count)) + 1))
    label = _labels(vectors if seen_as is None else seen_as, wanted, np.random.default_rng(seed))
    # By organization within a list: what a member may see of it is read forwards, not row by row.
    row = np.lexsort((organization, label)).astype(np.int32)
    used, list_start = np.unique(label[row], return_index=True)
    start = np.append(list_start, count).astype(np.int32)
    means = np.empty((len(used), vectors.shape[1]), np.float32)
    for at in range(len(used)):
        means[at] = vectors[row[start[at] : start[at + 1]]].mean(axis=0)
    centre, centre_scale = one_byte_codes(means)
    code, scale = one_byte_codes(vectors)
    slot = np.empty(count, np.int32)
    slot[row] = np.arange(count, dtype=np.int32)
    return EmbeddingLists(
        start, centre, centre_scale, row, slot, code[row], scale, organization[row]
    )


def _labels(vectors: F32, wanted: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """A list number (int64[n], not all numbers are used) for each row."""
    if len(vectors) == 0:
        return np.zeros(0, np.int64)
    coarse_count = max(1, round(np.sqrt(wanted)))
    coarse = nearest(vectors, directions(vectors, coarse_count, rng))
    label = np.zeros(len(vectors), np.int64)
    order = np.argsort(coarse, kind="stable")
    bounds = np.searchsorted(coarse[order], np.arange(coarse_count + 1))
    for at in range(coarse_count):
        rows = order[bounds[at] : bounds[at + 1]]
        if len(rows):
            own = vectors[rows]
            fine = max(1, round(wanted * len(rows) / len(vectors)))
            label[rows] = at * (wanted + 1) + nearest(own, directions(own, fine, rng))
    return label

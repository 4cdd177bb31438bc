"""What a scan is asked: what the member may be offered, and how far each step looks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsvc.model.arrays import F32, U8


class Scope(NamedTuple):
    """What a member may be offered: `mark[row] == tick` takes a base row out for this request."""

    visible: NDArray[np.bool_]  # [organizations + 1] last: leads without an organization
    verdict: U8  # [n] by slot of the blocks, 0 = open
    worth: F32  # [n] by slot: terms of the lead alone
    block_worth: F32  # [b]
    tick: int


class Depth(NamedTuple):
    """How many rows each step passes on."""

    coarse_rows: int  # of the best blocks, by what all their leads share
    block_rows: int  # of these, by where the block lies
    probes: int  # lists of embeddings
    list_rows: int  # of these lists, by block and list
    list_kept: int  # of these, by block and own embedding
    block_kept: int  # of the rows of the blocks, by their own 64 bytes
    ranked: int  # of all these, by their embedding, too

"""What a scan is asked: what the member may be offered, and how far each step looks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsvc.model.arrays import F32, I32, U8


class Scope(NamedTuple):
    """What a member may be offered: `mark[row] == tick` takes a base row out for this request."""

    visible: NDArray[np.bool_]  # [organizations + 1] last: leads without an organization
    verdict: U8  # [n] by slot of the blocks, 0 = open
    worth: F32  # [n] by slot: terms of the lead alone
    block_worth: F32  # [b]
    mark: I32  # [n] by base row
    tick: int


class Depth(NamedTuple):
    """How many rows each step passes on."""

    block_rows: int
    kept: int
    probes: int
    by_embedding: int
    ranked: int

"""What a scan is asked: of which lead, who may be offered it, and how far each step looks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsvc.model.arrays import F32, I32, U8


class Asked(NamedTuple):
    """What the scan needs to know of the lead."""

    topics: I32  # [t] those that weigh most, below the number of topics
    place_km: F32  # [3] on a globe of kilometres, NaN unknown
    region: I32  # [4] -1 unknown
    organization: int  # -1 none
    vector: F32  # [d]
    text: F32  # [dt]


class Scope(NamedTuple):
    """Who may be offered the lead: `mark[row] == tick` takes a base row out for this request.

    A scan marks all rows that it has met.
    """

    visible: NDArray[np.bool_]  # [organizations + 1] last: members without an organization
    verdict: U8  # [n] by base row, 0 = nothing stands against it
    mark: I32  # [n]
    tick: int


class Depth(NamedTuple):
    """How many rows each step passes on."""

    looked: int
    kept: int
    probes: int
    by_vector: int
    ranked: int

"""The ranker's own kernels on base leads, called with the record instead of eighty arrays."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from recsvc.matching.reason_facts import Told, tell
from recsvc.model.additive import additive_terms
from recsvc.model.arrays import F32, I32
from recsvc.model.pair_terms import pair_features
from recsvc.model.scan_world import World


@njit(cache=True)
def score_found(world: World, m: int, rows: I32, now_us: int) -> tuple[F32, F32]:
    """Features and terms (float32[n, F]) of one member with base leads (int32[n])."""
    own, when = np.full(len(rows), m, np.int32), np.full(len(rows), now_us, np.int64)
    features = pair_features(world.members, own, world.leads, rows, when, world.context)
    return features, additive_terms(world.model, features)


@njit(cache=True)
def tell_found(
    world: World, m: int, rows: I32, features: F32, terms: F32, silent: NDArray[np.bool_]
) -> Told:
    """The reasons of one member's pairs with base leads (int32[n])."""
    own = np.full(len(rows), m, np.int32)
    return tell(world.members, own, world.leads, rows, features, terms, world.middles, silent)

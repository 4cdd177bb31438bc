"""The rows a ranker learns from: claims, and beside them closer looks while claims are few.

Who opens a lead, supports it or comments on it would rather take it than who passes it by: of a log
with 900 claims, looks taught half of what the ranker had failed to learn (simulated province of 600
members, share of the oracle's claims .703 → .737, with weights from the truth .766; with 5,700
claims .761 → .767, .788). A look's log-odds are `worth` times the score; slots have terms of their
own for either kind.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from recsvc.model.arrays import F32, I32
from recsvc.model.terms import FEATURES, Feature
from training.exposures import Pairs, shares_of, weights_of
from training.split import pair_hash

SLOT_FEATURES = (Feature("listed", "", True, 0), Feature("depth", "", True, -1))
"""Beside the pair features when a ranker is learned: on a list or pushed, and how far down."""
LOOK_FEATURES = tuple(f._replace(name=f"looked_{f.name}") for f in SLOT_FEATURES)
"""The same of a closer look; each kind of response knows its own alone."""


class Rows(NamedTuple):
    """n responses; `worth` is None where all of them are claims."""

    features: F32  # [n, F + slots]
    label: F32
    weight: F32
    unit: I32  # [n] whose rows are held back together
    worth: F32 | None
    schema: tuple[Feature, ...]


def with_slots(features: F32, pairs: Pairs) -> F32:
    """The features (float32[n, F + 2]) and where each pair was shown: see `SLOT_FEATURES`.

    What stands low on a list is seen less, and what a policy thought little of stands low: learned
    apart from it, place and expertise would be taken for it.
    """
    slot = np.zeros(len(pairs), np.int32) if pairs.slot is None else pairs.slot
    listed = (slot > 0).astype(np.float32)
    depth = np.log(np.maximum(slot, 1)).astype(np.float32)
    return np.column_stack([features, listed, depth])


def share_of_looks(pair_count: int, enough: int) -> float:
    """The share (0 to 1) of the pairs whose looks teach, so that there are `enough` rows in all."""
    return min(max(enough - pair_count, 0) / max(pair_count, 1), 1.0)


def response_rows(seen: F32, pairs: Pairs, worth: float, share: float, seed: int) -> Rows:
    """Claims of pairs with features and slots (float32[n, F + 2]), and beside them looks.

    These of a `share` of the pairs, by hash. A pair that is there several times counts once in all.
    """
    schema = (*FEATURES, *SLOT_FEATURES)
    shares = shares_of(pairs)
    claims = Rows(seen, pairs.label, weights_of(pairs) * shares, pairs.member, None, schema)
    if pairs.opened is None or share <= 0.0:
        return claims
    kept = pair_hash(pairs.member, pairs.lead, seed + 9) < share
    looks = int(kept.sum())
    width = len(FEATURES)
    schema += LOOK_FEATURES
    unknown = np.full((looks, len(SLOT_FEATURES)), np.nan, np.float32)
    of_looks = np.column_stack([seen[kept, :width], unknown, seen[kept, width:]])
    ones = np.ones(looks, np.float32)
    return Rows(
        np.concatenate([_widened(seen, len(schema)), of_looks]),
        np.concatenate([pairs.label, pairs.opened[kept]]),
        np.concatenate([claims.weight, shares[kept]]),
        np.concatenate([pairs.member, pairs.member[kept]]),
        np.concatenate([np.ones(len(pairs), np.float32), worth * ones]).astype(np.float32),
        schema,
    )


def as_claims(seen: F32, like: Rows) -> F32:
    """Features with slots (float32[n, F + 2]) as claims among such rows have them."""
    return _widened(seen, len(like.schema))


def _widened(seen: F32, width: int) -> F32:
    nothing = np.full((len(seen), width - seen.shape[1]), np.nan, np.float32)
    return np.column_stack([seen, nothing])

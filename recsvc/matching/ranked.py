"""Ranking the pairs of one list, compiled: the features, terms and scores of all at once.

What belongs to the one side of the list is worked out once; the other side's rows are read from
the records of the bundle, or these are made where rows came later.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from recsvc.model.additive import scored_terms
from recsvc.model.arrays import F32, I32, I64
from recsvc.model.pair_facts import (
    Facts,
    empty_lead_facts,
    empty_member_facts,
    fill_leads,
    fill_members,
)
from recsvc.model.pair_terms import fill_features
from recsvc.model.pair_world import PairWorld
from recsvc.model.terms import FEATURE_COUNT


@njit(cache=True, nogil=True)
def rank_leads(
    world: PairWorld, m: int, rows: I64, start: int, now_us: int
) -> tuple[F32, F32, F32]:
    """Features, terms (float32[n, F]) and scores (float32[n]) of a member (local row).

    `rows` are global (int64[n]), those of the world's leads begin at `start`.
    """
    n = len(rows)
    local = (rows - start).astype(np.int32)
    facts, at = world.lead_facts, local
    if len(facts.exact) == 0:
        facts, at = empty_lead_facts(n), np.arange(n).astype(np.int32)
        fill_leads(world.leads, local, facts)
    own, member, first = empty_member_facts(1), np.full(n, m, np.int32), np.zeros(n, np.int32)
    fill_members(world.members, member[:1], own)
    return _ranked(world, member, own, first, local, facts, at, now_us)


@njit(cache=True, nogil=True)
def rank_members(
    world: PairWorld, j: int, rows: I64, start: int, now_us: int
) -> tuple[F32, F32, F32]:
    """The same of a lead (local row) with members (global rows)."""
    n = len(rows)
    local = (rows - start).astype(np.int32)
    facts, at = world.member_facts, local
    if len(facts.exact) == 0:
        facts, at = empty_member_facts(n), np.arange(n).astype(np.int32)
        fill_members(world.members, local, facts)
    other, lead, first = empty_lead_facts(1), np.full(n, j, np.int32), np.zeros(n, np.int32)
    fill_leads(world.leads, lead[:1], other)
    return _ranked(world, local, facts, at, lead, other, first, now_us)


@njit(cache=True, forceinline=True)
def _ranked(
    world: PairWorld,
    m: I32,
    facts: Facts,
    at: I32,
    j: I32,
    lead_facts: Facts,
    lead_at: I32,
    now_us: int,
) -> tuple[F32, F32, F32]:
    features = np.empty((len(m), FEATURE_COUNT), np.float32)
    when = np.full(len(m), now_us, np.int64)
    fill_features(
        world.members,
        m,
        facts,
        at,
        world.leads,
        j,
        lead_facts,
        lead_at,
        when,
        world.context,
        features,
    )
    terms, scores = scored_terms(world.model, features)
    return features, terms, scores

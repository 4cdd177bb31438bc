"""Ranking the pairs of one list, compiled: the features, terms and scores of all at once.

What belongs to the one side of the list is worked out once; the other side's rows are read from
the records of the bundle, or these are made where rows came later.
"""

from __future__ import annotations

import numpy as np
from numba import literal_unroll, njit

from recsvc.model.additive import fill_terms
from recsvc.model.arrays import F32, I32, I64
from recsvc.model.borrowed import borrowed
from recsvc.model.pair_facts import (
    Facts,
    empty_lead_facts,
    empty_member_facts,
    fill_leads,
    fill_members,
)
from recsvc.model.pair_terms import fill_features
from recsvc.model.pair_world import PairWorld
from recsvc.model.prefetch import prefetch_rows


@njit(cache=True, nogil=True)
def rank_leads(
    world: PairWorld,
    m: int,
    rows: I64,
    start: int,
    now_us: int,
    features: F32,
    terms: F32,
    scores: F32,
) -> None:
    """Features, terms (into float32[n, F]) and scores (into float32[n]) of a member (local row).

    `rows` are global (int64[n]), those of the world's leads begin at `start`. Arrays are given,
    because a compiled function takes 0.6 µs to hand one over that it has made.
    """
    features, terms, scores = borrowed((features, terms, scores))
    n = len(rows)
    local = (rows - start).astype(np.int32)
    facts, at = world.lead_facts, local
    if len(facts.exact) == 0:
        facts, at = empty_lead_facts(n), np.arange(n).astype(np.int32)
        fill_leads(world.leads, local, facts)
    own, member, first = empty_member_facts(1), np.full(n, m, np.int32), np.zeros(n, np.int32)
    _prefetch(world, member[:1], local)
    fill_members(world.members, member[:1], own)
    _rank(world, member, own, first, local, facts, at, now_us, features, terms, scores)


@njit(cache=True, nogil=True)
def rank_members(
    world: PairWorld,
    j: int,
    rows: I64,
    start: int,
    now_us: int,
    features: F32,
    terms: F32,
    scores: F32,
) -> None:
    """The same of a lead (local row) with members (global rows)."""
    features, terms, scores = borrowed((features, terms, scores))
    n = len(rows)
    local = (rows - start).astype(np.int32)
    facts, at = world.member_facts, local
    if len(facts.exact) == 0:
        facts, at = empty_member_facts(n), np.arange(n).astype(np.int32)
        fill_members(world.members, local, facts)
    other, lead, first = empty_lead_facts(1), np.full(n, j, np.int32), np.zeros(n, np.int32)
    _prefetch(world, local, lead[:1])
    fill_leads(world.leads, lead[:1], other)
    _rank(world, local, facts, at, lead, other, first, now_us, features, terms, scores)


@njit(cache=True, nogil=True)
def _prefetch(world: PairWorld, m: I32, j: I32) -> None:
    """Asks for what ranking reads of rows (int32 each), and what is told of them afterwards."""
    members, leads = world.members, world.leads
    for column in literal_unroll(
        (
            world.lead_facts.exact,
            leads.vector,
            leads.text,
            leads.urgency,
            leads.exposures,
            leads.events,
            leads.appeal_information,
            leads.appeal_moved,
            leads.topics,
            leads.latitude_rad,
            leads.longitude_rad,
            leads.region,
        )
    ):
        prefetch_rows(column, j)
    for own in literal_unroll(
        (
            world.member_facts.exact,
            members.vector,
            members.text,
            members.interest_text,
            members.answer_text,
            members.own_text,
            members.co_taken_leads,
            members.answer_topics,
            members.answer_topic_sums,
            members.answer_topic_information,
        )
    ):
        prefetch_rows(own, m)


@njit(cache=True, forceinline=True)
def _rank(
    world: PairWorld,
    m: I32,
    facts: Facts,
    at: I32,
    j: I32,
    lead_facts: Facts,
    lead_at: I32,
    now_us: int,
    features: F32,
    terms: F32,
    scores: F32,
) -> None:
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
    fill_terms(world.model, features, terms, scores)

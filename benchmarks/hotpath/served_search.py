"""The vector search that is served, alone: lists of the leads' embeddings, and nothing else to say.

A request's scan weighs embeddings together with everything else the ranker knows. Here it runs with
a ranker that knows embeddings alone, so what it finds can be held against an exact search for the
largest inner products; the order is made exact at the end, as the ranker makes it.

Blocks have nothing to say then: all are as good as the best, so that all are looked at whatever
the knobs. Recall tells what is lost by coded vectors and by choosing among them; what is lost by
looking less deep is told by whole lists (`training.tune_index`).
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from benchmarks.hotpath.vector_exam import Exam, Search
from recsvc.matching.candidates import CandidateConfig
from recsvc.matching.lead_filter import Filtered
from recsvc.matching.retrieve import listed_leads
from recsvc.model.additive import AdditiveModel, single_feature_model
from recsvc.model.arrays import F32, I32, U8
from recsvc.model.bundle import Bundle
from recsvc.model.index import exact_search
from recsvc.model.snapshot import Snapshot
from recsvc.model.terms import FEATURE_NAMES, INDEX

_SAMPLED = 1_000


def served_search(bundle: Bundle, exam: Exam, config: CandidateConfig) -> Search:
    """The scan for one of the exam's queries, as a search.

    Leads that a member has met are as eligible as others, as they are for the exact search.
    """
    ranker = embedding_alone(exam.vectors, exam.queries)
    snapshot = Snapshot(replace(bundle, ranker=ranker))
    now_us = time.time_ns() // 1_000
    everywhere = np.ones(len(snapshot.organizations) + 1, np.bool_)
    no_tail = np.empty(0, np.uint8)
    member_of = {q.tobytes(): row for q, row in zip(exam.queries, exam.members, strict=True)}

    def search(query: F32, k: int, eligible: U8) -> I32:
        member = member_of[query.tobytes()]
        chosen = np.flatnonzero(eligible)
        # A new tick: that of a member's own filters would take out what they have met.
        state, tick = snapshot.open_leads.at(now_us), snapshot.marks.next_tick()
        filtered = Filtered(state, everywhere, tick, no_tail, len(chosen), {}, chosen)
        rows = listed_leads(snapshot, member, filtered, k, config)
        return exact_search(exam.vectors, query, k, rows)

    return search


def embedding_alone(vectors: F32, queries: F32) -> AdditiveModel:
    """A ranker whose score is the inner product, however large.

    Scans read a table up to its last knot and go on in a straight line from there: the upper half
    of the products is exact.
    """
    model = single_feature_model(INDEX["embedding"], len(FEATURE_NAMES))
    products = queries @ vectors[:: max(1, len(vectors) // _SAMPLED)].T
    low, middle = np.quantile(products, (0.0, 0.5))
    model.knots[INDEX["embedding"]] = model.values[INDEX["embedding"]] = (
        low,
        max(middle, low + 1e-6),
    )
    return model

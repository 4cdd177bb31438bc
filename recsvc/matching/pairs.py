"""Questions about given pairs: their scores, and why a member gets a lead or does not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from recsvc.matching.candidates import CandidateConfig
from recsvc.matching.explain import reasons_of, terms_of
from recsvc.matching.filters import Eligibility
from recsvc.matching.lead_filter import filter_leads
from recsvc.matching.masks import pair_verdicts
from recsvc.matching.queries import PairExplanation, PairScores
from recsvc.matching.retrieve import listed_leads
from recsvc.matching.score import score_pairs
from recsvc.matching.scored_pair import Pair, distance_km, kinds_of_member
from recsvc.matching.standing import all_verdicts
from recsvc.model.arrays import I64
from recsvc.model.snapshot import Snapshot
from recsvc.model.verdicts import Verdict

RANK_DEPTH = 100


def score_given(snapshot: Snapshot, pairs: Sequence[tuple[str, str]], when_us: int) -> PairScores:
    """Scores of (member_id, lead_id) pairs, masked ones included; NaN where an id is unknown."""
    members = np.array([snapshot.members.row(m) for m, _ in pairs], np.int64)
    leads = np.array([snapshot.leads.row(lead) for _, lead in pairs], np.int64)
    known = np.flatnonzero((members >= 0) & (leads >= 0))
    scores = np.full(len(pairs), np.nan, np.float32)
    scores[known] = score_pairs(
        snapshot.bundle, snapshot.members, members[known], snapshot.leads, leads[known], when_us
    ).scores
    verdicts = np.full(len(pairs), Verdict.DELETED, np.uint8)
    for member in np.unique(members[known]):
        at = known[members[known] == member]
        verdicts[at] = pair_verdicts(snapshot, int(member), leads[at], when_us)
    calibrated = snapshot.bundle.calibration.probability(scores)
    probabilities = None if calibrated is None else calibrated.tolist()
    return PairScores(scores.tolist(), probabilities, [Verdict(v) for v in verdicts.tolist()])


def explain_pair(
    snapshot: Snapshot,
    member_row: int,
    lead_row: int,
    wanted: Eligibility,
    when_us: int,
    config: CandidateConfig,
) -> PairExplanation:
    """Why a member is offered a lead now, or why not (global rows)."""
    verdicts = all_verdicts(snapshot, member_row, lead_row, wanted, when_us)
    one = np.array([member_row], np.int64), np.array([lead_row], np.int64)
    bundle = snapshot.bundle
    scored = score_pairs(bundle, snapshot.members, one[0], snapshot.leads, one[1], when_us)
    members, local = snapshot.members.locate(member_row)
    leads, lead_local = snapshot.leads.locate(lead_row)
    kinds = kinds_of_member(snapshot, member_row)[0]
    pair = Pair(members, local, leads, lead_local, scored.features[0], scored.terms[0], kinds)
    probability = bundle.calibration.probability(scored.scores)
    rank = None
    if not verdicts:
        rank = _rank(snapshot, one, wanted, when_us, config)
    return PairExplanation(
        verdicts=verdicts,
        rank=rank,
        score=float(scored.scores[0]),
        claim_probability=None if probability is None else float(probability[0]),
        baseline=float(bundle.ranker.intercept),
        reasons=reasons_of(pair, bundle.space),
        terms=terms_of(pair.features, pair.terms),
        distance_km=distance_km(pair),
    )


def _rank(
    snapshot: Snapshot,
    pair: tuple[I64, I64],
    wanted: Eligibility,
    when_us: int,
    config: CandidateConfig,
) -> int | None:
    """The lead's place among the ranked candidates; None when it was not retrieved."""
    member, lead = pair
    filtered = filter_leads(snapshot, int(member[0]), when_us, wanted)
    rows = listed_leads(snapshot, int(member[0]), filtered, RANK_DEPTH, config)
    at = np.flatnonzero(rows == lead[0])
    if len(at) == 0:
        return None
    members = np.full(len(rows), member[0], np.int64)
    scores = score_pairs(
        snapshot.bundle, snapshot.members, members, snapshot.leads, rows, when_us
    ).scores
    return int((scores > scores[at[0]]).sum())

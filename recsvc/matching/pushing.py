"""Why each of many planned pairs: what one look at all of them at once costs little to say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from recsvc.matching.explain import reasons_of, terms_of
from recsvc.matching.filters import Eligibility
from recsvc.matching.masks import mask_members
from recsvc.matching.modes import member_mode
from recsvc.matching.queries import Reason, ServingMode, Term
from recsvc.matching.score import score_pairs
from recsvc.matching.scored_pair import Pair, kinds_of_places
from recsvc.model.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Why:
    """Why one member gets one lead; `member_reasons` address the member."""

    score: float
    claim_probability: float | None
    baseline: float
    terms: tuple[Term, ...]
    reasons: tuple[Reason, ...]
    member_reasons: tuple[Reason, ...]
    mode: ServingMode


def why_pairs(snapshot: Snapshot, pairs: Sequence[tuple[str, str]], now_us: int) -> list[Why]:
    """Of (member_id, lead_id) pairs that the snapshot knows, in their order."""
    members = np.array([snapshot.members.row(m) for m, _ in pairs], np.int64)
    leads = np.array([snapshot.leads.row(lead) for _, lead in pairs], np.int64)
    bundle = snapshot.bundle
    scored = score_pairs(bundle, snapshot.members, members, snapshot.leads, leads, now_us)
    probabilities = bundle.calibration.probability(scored.scores)
    kinds, found = kinds_of_places(snapshot, members), []
    for at, (member_row, lead_row) in enumerate(zip(members.tolist(), leads.tolist(), strict=True)):
        columns, local = snapshot.members.locate(member_row)
        pair = Pair(
            columns,
            local,
            *snapshot.leads.locate(lead_row),
            scored.features[at],
            scored.terms[at],
            kinds[at],
        )
        found.append(
            Why(
                float(scored.scores[at]),
                None if probabilities is None else float(probabilities[at]),
                float(bundle.ranker.intercept),
                terms_of(pair.features, pair.terms),
                reasons_of(pair, bundle.space),
                reasons_of(replace(pair, you="您"), bundle.space),
                member_mode(columns, local),
            )
        )
    return found


def removed_members(snapshot: Snapshot, lead_id: str, now_us: int) -> dict[str, int]:
    """How many members each filter takes from a lead, by the filter's name."""
    leads, local = snapshot.leads.locate(snapshot.leads.row(lead_id))
    masked = mask_members(snapshot, leads, local, lead_id, Eligibility(), now_us)
    return {verdict.name: count for verdict, count in masked.removed.items()}

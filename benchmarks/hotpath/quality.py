"""How good lists are: overlap with the exhaustive ranking, and NDCG against the ground truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.hotpath.worlds import Truth
from recsvc.matching.candidates import EVERY_LEAD
from recsvc.matching.filters import Eligibility
from recsvc.matching.listed_members import MemberConfig
from recsvc.matching.masks import mask_leads
from recsvc.matching.pipeline import Pipeline, PipelineConfig, now_us
from recsvc.matching.queries import ANYTHING, ListQuery, Wanted
from recsvc.matching.resolve import resolve
from recsvc.model.arrays import F32
from recsvc.model.bundle import Bundle
from recsvc.model.snapshot import Snapshot
from recsvc.model.verdicts import Verdict

DEPTH = 10
_ALL = PipelineConfig(EVERY_LEAD, MemberConfig(all_below=1 << 62))

Lists = Mapping[str, Sequence[str]]
"""Who or what was asked about -> the ids answered, best first."""


def exhaustive(
    snapshot: Snapshot,
    members: Sequence[str] = (),
    leads: Sequence[str] = (),
    wanted: Wanted = ANYTHING,
) -> Lists:
    """What the full ranker says over *every* eligible lead of members, or member of leads."""
    pipeline = Pipeline(snapshot, _ALL)
    query = ListQuery(count=DEPTH, wanted=wanted)
    found = {m: [i.id for i in pipeline.recommend(m, query).items] for m in members}
    return found | {x: [i.id for i in pipeline.match(x, query).items] for x in leads}


def overlap(served: Lists, exact: Lists) -> float:
    """Mean share of the exact top ten that was served."""
    shares = [len(set(served[who]) & set(best)) / len(best) for who, best in exact.items() if best]
    return float(np.mean(shares)) if shares else float("nan")


class Judge:
    """NDCG@10 with the true probability of a claim as gain, over the leads a member may have.

    1 is the order of somebody who knows the truth.
    """

    def __init__(self, bundle: Bundle, snapshot: Snapshot, truth: Truth) -> None:
        self._snapshot = snapshot
        self._rows = {identifier: row for row, identifier in enumerate(bundle.lead_ids.ids)}
        ids = bundle.member_ids.ids
        self.member_ids = [ids[row] for row in truth.member_rows.tolist()]
        self._gain = dict(zip(self.member_ids, truth.probability, strict=True))

    def ndcg(self, served: Lists) -> float:
        """Mean over the members who were asked about and have anything to be offered."""
        values = [self._one(member, found) for member, found in served.items()]
        known = [v for v in values if not np.isnan(v)]
        return float(np.mean(known)) if known else float("nan")

    def _one(self, member_id: str, found: Sequence[str]) -> float:
        gain = self._gain[member_id]
        allowed = gain[self._eligible(member_id)]
        best = np.sort(allowed)[::-1][:DEPTH]
        got = gain[[self._rows[lead] for lead in found[:DEPTH]]]
        return _discounted(got) / _discounted(best) if len(best) else float("nan")

    def _eligible(self, member_id: str) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        snapshot = self._snapshot
        row = snapshot.members.row(member_id)
        masked = mask_leads(snapshot, row, _anything(snapshot), now_us())
        return np.asarray(masked.verdicts[0] == Verdict.KEPT)


def _anything(snapshot: Snapshot) -> Eligibility:
    wanted, _ = resolve(snapshot, ListQuery().wanted, snapshot.leads)
    return wanted


def _discounted(gains: F32) -> float:
    return float((gains / np.log2(np.arange(2, len(gains) + 2))).sum())

"""What each model must answer: computed beside the service, from the same bundles.

Every question is asked as of one moment, so that its answer depends on the model alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from recsvc.client import LeadList, MemberList, RankedLead, RankedMember
from recsvc.matching.pipeline import Pipeline
from recsvc.matching.queries import ListQuery, RankedList
from recsvc.model.bundle import Bundle
from recsvc.model.snapshot import Snapshot

COUNT = 10
Row: TypeAlias = tuple[str, float, float | None, tuple[str, ...]]
"""Id, score, probability, the reasons' texts."""


@dataclass(frozen=True, slots=True)
class Answer:
    """All that a ranked list says and that comes from the model."""

    baseline: float
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Expected:
    """Model -> member (or lead) -> answer."""

    leads: Mapping[str, Mapping[str, Answer]]
    members: Mapping[str, Mapping[str, Answer]]

    def differences(self, first: str, second: str) -> int:
        """Members for whom two models rank other leads, or in another order."""
        one, other = self.leads[first], self.leads[second]
        return sum(_order(one[m]) != _order(other[m]) for m in one)


def expected_answers(
    bundles: Sequence[Bundle], member_ids: Sequence[str], lead_ids: Sequence[str], as_of_us: int
) -> Expected:
    """Runs every question through every model's pipeline."""
    query = ListQuery(count=COUNT, as_of_us=as_of_us)
    leads, members = {}, {}
    for bundle in bundles:
        pipeline = Pipeline(Snapshot(bundle))
        model_id = bundle.manifest.model_id
        leads[model_id] = {m: _ranked(pipeline.recommend(m, query)) for m in member_ids}
        members[model_id] = {i: _ranked(pipeline.match(i, query)) for i in lead_ids}
    return Expected(leads, members)


def answer_of(reply: LeadList | MemberList) -> Answer:
    """What a reply of the service says."""
    return Answer(reply.info.baseline, tuple(_row(item) for item in reply))


def _row(item: RankedLead | RankedMember) -> Row:
    name = item.lead_id if isinstance(item, RankedLead) else item.member_id
    return name, item.score, item.claim_probability, tuple(r.text for r in item.reasons)


def _ranked(ranked: RankedList) -> Answer:
    rows = (
        (i.id, i.score, i.claim_probability, tuple(r.text for r in i.reasons)) for i in ranked.items
    )
    return Answer(ranked.baseline, tuple(rows))


def _order(answer: Answer) -> list[str]:
    return [name for name, *_ in answer.rows]

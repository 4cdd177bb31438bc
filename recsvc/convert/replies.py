"""Ranked lists, scores and explanations as messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from features.entities import Lead, Member
from recsvc.convert import names
from recsvc.convert.leads import lead_to_proto
from recsvc.convert.members import member_to_proto
from recsvc.matching.queries import PairScores, RankedList, Reason, ServingMode, Term
from recsvc.model.verdicts import Verdict
from recsvc.v1 import recommendation_pb2 as pb

NOT_RETRIEVED_TEXT = "条件均符合，但其他线索更合适，未进入推荐"

MODES = {
    ServingMode.PERSONALIZED: pb.SERVING_MODE_PERSONALIZED,
    ServingMode.COLD_START: pb.SERVING_MODE_COLD_START,
    ServingMode.POPULARITY: pb.SERVING_MODE_POPULARITY,
}
_CODES = dict(pb.ReasonCode.items())


def reason_code(group: str) -> pb.ReasonCode.ValueType:
    """The code of a group of terms; groups are named as the codes are."""
    return _CODES[f"REASON_CODE_{group}"]


def filter_reason(verdict: Verdict) -> pb.FilterReason.ValueType:
    """The filter's number: the same in both enums."""
    return pb.FilterReason.ValueType(int(verdict))


def reasons_to_proto(reasons: Iterable[Reason]) -> list[pb.Reason]:
    """Reasons in their order."""
    return [pb.Reason(code=reason_code(r.group), weight=r.weight, text=r.text) for r in reasons]


def terms_to_proto(terms: Iterable[Term]) -> list[pb.ScoreTerm]:
    """Terms in their order."""
    return [
        pb.ScoreTerm(code=reason_code(t.group), feature=t.feature, value=t.value, weight=t.weight)
        for t in terms
    ]


def removed_to_proto(ranked: RankedList) -> list[pb.RemovedCount]:
    """What each filter took, candidates that do not exist first."""
    counts = dict(ranked.removed)
    if ranked.unknown_candidates:
        counts[Verdict.DELETED] = counts.get(Verdict.DELETED, 0) + ranked.unknown_candidates
    return [
        pb.RemovedCount(reason=filter_reason(verdict), count=count)
        for verdict, count in sorted(counts.items())
        if count
    ]


def leads_to_proto(
    ranked: RankedList,
    tenant: str,
    offset: int,
    lead: Callable[[str], Lead | None] | None,
    holders: Mapping[str, int],
) -> list[pb.RecommendedLead]:
    """The items of a page that begins at `offset`; `lead` looks up the resource (FULL view).

    `holders` says how many members hold a lead, none where it does not name it.
    """
    found = []
    for place, item in enumerate(ranked.items, offset):
        message = pb.RecommendedLead(
            lead=names.format_name(tenant, "leads", item.id),
            position=place,
            score=item.score,
            claim_probability=item.claim_probability,
            reasons=reasons_to_proto(item.reasons),
            distance_km=item.distance_km,
            diversity_adjustment=item.diversity_adjustment,
            terms=terms_to_proto(item.terms),
        )
        if lead is not None and (resource := lead(item.id)) is not None:
            message.resource.CopyFrom(lead_to_proto(resource, tenant, holders.get(item.id, 0)))
        found.append(message)
    return found


def members_to_proto(
    ranked: RankedList, tenant: str, offset: int, member: Callable[[str], Member | None] | None
) -> list[pb.MatchedMember]:
    """The items of a page that begins at `offset`; `member` looks up the resource (FULL view)."""
    found = []
    for place, item in enumerate(ranked.items, offset):
        message = pb.MatchedMember(
            member=names.format_name(tenant, "members", item.id),
            position=place,
            score=item.score,
            claim_probability=item.claim_probability,
            reasons=reasons_to_proto(item.reasons),
            distance_km=item.distance_km,
            diversity_adjustment=item.diversity_adjustment,
            terms=terms_to_proto(item.terms),
        )
        if member is not None and (resource := member(item.id)) is not None:
            message.resource.CopyFrom(member_to_proto(resource, tenant))
        found.append(message)
    return found


def scores_to_proto(found: PairScores, model_version: str, revision: str) -> pb.ScorePairsResponse:
    """Scores, probabilities and verdicts, in the order of the pairs."""
    return pb.ScorePairsResponse(
        scores=found.scores,
        claim_probabilities=found.probabilities or (),
        filter_reasons=[filter_reason(v) for v in found.verdicts],
        model_version=model_version,
        revision=revision,
    )

"""Ranked lists, scores and explanations as messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from features.entities import Lead, Member
from recsvc.convert import names
from recsvc.convert.leads import lead_to_proto
from recsvc.convert.list_bytes import item_bytes
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
_CODES = {
    name.removeprefix("REASON_CODE_"): pb.ReasonCode.ValueType(code)
    for name, code in pb.ReasonCode.items()
}

ListReply = pb.RecommendLeadsResponse | pb.MatchMembersResponse


def reason_code(group: str) -> pb.ReasonCode.ValueType:
    """The code of a group of terms; groups are named as the codes are."""
    return _CODES[group]


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


def fill_leads(
    reply: pb.RecommendLeadsResponse,
    ranked: RankedList,
    tenant: str,
    offset: int,
    lead: Callable[[str], Lead | None] | None,
    holders: Mapping[str, int],
) -> bytes:
    """What is said of the list, and as bytes the items of a page that begins at `offset`.

    In the FULL view (`lead` looks up the resource, `holders` says how many members hold a lead,
    none where it does not name it) the items are in the reply, and there are no bytes.
    """
    _fill_counts(reply, ranked)
    items = item_bytes(ranked.items, names.name_prefix(tenant, "leads"), offset)
    if lead is None:
        return items
    reply.MergeFromString(items)
    for message, item in zip(reply.leads, ranked.items, strict=True):
        message.terms.extend(terms_to_proto(item.terms))
        if (resource := lead(item.id)) is not None:
            message.resource.CopyFrom(lead_to_proto(resource, tenant, holders.get(item.id, 0)))
    return b""


def fill_members(
    reply: pb.MatchMembersResponse,
    ranked: RankedList,
    tenant: str,
    offset: int,
    member: Callable[[str], Member | None] | None,
) -> bytes:
    """The same of members; `member` looks up the resource (FULL view)."""
    _fill_counts(reply, ranked)
    items = item_bytes(ranked.items, names.name_prefix(tenant, "members"), offset)
    if member is None:
        return items
    reply.MergeFromString(items)
    for message, item in zip(reply.members, ranked.items, strict=True):
        message.terms.extend(terms_to_proto(item.terms))
        if (resource := member(item.id)) is not None:
            message.resource.CopyFrom(member_to_proto(resource, tenant))
    return b""


def _fill_counts(reply: ListReply, ranked: RankedList) -> None:
    """What is said of the list as a whole; what each filter took, ascending by its number."""
    reply.serving_mode = MODES[ranked.mode]
    reply.baseline = ranked.baseline
    reply.eligible_count = ranked.eligible_count
    counts = ranked.removed
    if ranked.unknown_candidates:  # they do not exist, as if they were deleted
        deleted = counts.get(Verdict.DELETED, 0) + ranked.unknown_candidates
        counts = {**counts, Verdict.DELETED: deleted}
    add = reply.removed.add
    for verdict, count in sorted(counts.items()):
        if count:
            took = add()
            took.reason = pb.FilterReason.ValueType(verdict)
            took.count = count


def scores_to_proto(found: PairScores, model_version: str, revision: str) -> pb.ScorePairsResponse:
    """Scores, probabilities and verdicts, in the order of the pairs."""
    return pb.ScorePairsResponse(
        scores=found.scores,
        claim_probabilities=found.probabilities or (),
        filter_reasons=[filter_reason(v) for v in found.verdicts],
        model_version=model_version,
        revision=revision,
    )

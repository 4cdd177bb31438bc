"""Why, in one Chinese line: the score terms put into words.

A reason's weight is the sum of its group's terms, so the weights of all groups and the baseline sum
to the score. A reason's text only states facts that the pair's features show.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from features.entities import Member
from features.extract import FeatureSpace
from features.location import member_places
from recsvc.matching.queries import Reason, Term
from recsvc.model.arrays import F32, I32, LeadColumns, MemberColumns
from recsvc.model.pair_terms import nearest_place
from recsvc.model.snapshot import Snapshot
from recsvc.model.terms import FEATURES, INDEX
from recsvc.model.verdicts import Verdict
from recsvc.store.codec import decode_entity

_PLACE_NAMES = {"HOME": "住所", "WORK": "单位", "STUDIO": "工作室"}
_URGENCY = ("一般", "较急", "紧急", "特急")
_LEVELS = ("同省", "同市", "同县（区）", "同乡镇（街道）")
_GROUPS = tuple(dict.fromkeys(feature.group for feature in FEATURES))
_GROUP_OF = tuple(_GROUPS.index(feature.group) for feature in FEATURES)
MOST_REASONS = 3
ALIKE = 0.1
"""Texts with a lower cosine are not called alike."""
SAME_FOR_MEMBER = frozenset({"WILLINGNESS"})
"""Groups whose terms are the same for all leads of one member's list: no reason for this lead."""
SAME_FOR_LEAD = frozenset({"FRESHNESS", "URGENCY", "APPEAL"})
"""Groups whose terms are the same for all members of one lead's list."""

VERDICT_TEXTS: dict[Verdict, str] = {
    Verdict.KEPT: "",
    Verdict.DELETED: "委员或线索不存在，或已删除",
    Verdict.CLOSED: "线索已办结或已撤回",
    Verdict.CAPACITY: "线索已有人领办，名额已满",
    Verdict.AUTHOR: "线索由该委员本人提出",
    Verdict.CONFLICT: "按回避规定不予推荐",
    Verdict.JURISDICTION: "线索不在该委员所属组织的管辖范围内",
    Verdict.INACTIVE: "该委员目前不在履职状态",
    Verdict.DISMISSED: "该委员已表示不处理此线索",
    Verdict.ALREADY_TAKEN: "该委员已领办或曾领办此线索",
    Verdict.SEE_LESS: "该委员要求少看此类线索",
    Verdict.NOT_ELIGIBLE: "不符合本次请求限定的条件",
    Verdict.NOT_YET_CREATED: "在所问的时间，线索尚未提出",
}


Middles = dict[int, tuple[float, float] | None]
"""Region code -> its middle as columns hold it (radians); filled as regions are met."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One scored pair and where its two sides live (`member_row`, `lead_row` are local rows)."""

    members: MemberColumns
    member_row: int
    leads: LeadColumns
    lead_row: int
    features: F32 | list[float]  # [F]
    terms: F32 | list[float]  # [F]
    member: Member | None  # the record: it names the kinds of the places
    you: str = "该委员"  # how the text calls the member
    middles: Middles = field(default_factory=dict)
    place_kinds: tuple[str, ...] | None = None  # those of the member's places, when known already


def member_record(snapshot: Snapshot, row: int) -> Member | None:
    """The record behind a member's global row."""
    member = decode_entity(Member, snapshot.members.record(row))
    return member if isinstance(member, Member) else None


def terms_of(pair: Pair) -> tuple[Term, ...]:
    """Every term that moved the score, strongest first."""
    terms = np.asarray(pair.terms, np.float32)
    used = np.flatnonzero(terms)
    order = used[np.argsort(-np.abs(terms[used]), kind="stable")]
    return tuple(
        Term(FEATURES[i].group, FEATURES[i].name, float(pair.features[i]), float(terms[i]))
        for i in order
    )


def reasons_of(
    pair: Pair,
    space: FeatureSpace,
    but: frozenset[str] = frozenset(),
) -> tuple[Reason, ...]:
    """At least one and at most three reasons, strongest first, out of all groups `but` some.

    Those that raised the score come first; when nothing did, the one that lowered it least (of the
    urgency there is always something to say).
    """
    weights = group_weights(pair.terms)
    found: list[Reason] = []
    others = sorted([(-w, at, g) for at, (g, w) in enumerate(weights.items()) if g not in but])
    for weight, _, group in others:
        if found and (weight >= 0.0 or len(found) == MOST_REASONS):
            return tuple(found)
        text = _text(group, pair, space)
        if text:
            found.append(Reason(group, -weight, text))
    if not found:
        for group in sorted(but, key=lambda g: (-weights[g], _GROUPS.index(g))):
            text = _text(group, pair, space)
            if text:
                return (Reason(group, weights[group], text),)
    return tuple(found)


def group_weights(terms: F32 | list[float]) -> dict[str, float]:
    """The sum of the terms of each group."""
    sums = [0.0] * len(_GROUPS)
    for group, term in zip(
        _GROUP_OF, terms if isinstance(terms, list) else terms.tolist(), strict=True
    ):
        sums[group] += term
    return dict(zip(_GROUPS, sums, strict=True))


def distance_km(pair: Pair) -> float | None:
    """Kilometres from the nearest of the member's places, None when unknown."""
    value = float(pair.features[INDEX["distance_log_km"]])
    return None if math.isnan(value) else math.expm1(value)


def _text(group: str, pair: Pair, space: FeatureSpace) -> str:
    match group:
        case "EXPERTISE":
            return _expertise(pair, space)
        case "INTEREST":
            return _interest(pair, space)
        case "PLACE":
            return _place(pair, space)
        case "FRESHNESS":
            return _freshness(_value(pair, "age_log_hours"))
        case "URGENCY":
            return f"紧急程度：{_URGENCY[min(3, int(_value(pair, 'urgency')))]}"
        case "WILLINGNESS":
            return _willingness(pair)
        case "APPEAL":
            return _appeal(pair)
        case _:
            return ""


def _value(pair: Pair, feature: str) -> float:
    return float(pair.features[INDEX[feature]])


def _strongest(pair: Pair, *features: str) -> str:
    """Which of the features moved the score most."""
    return max(features, key=lambda name: float(pair.terms[INDEX[name]]))


def _expertise(pair: Pair, space: FeatureSpace) -> str:
    strongest = _strongest(pair, "expertise_topics", "expertise_text", "sector_topics")
    own = pair.members.topics[pair.member_row]
    shared = _shared_topics(own, pair.leads.topics[pair.lead_row], space)
    if shared:
        return f"与{pair.you}的专业特长“{shared}”相符"
    if strongest == "sector_topics" and _value(pair, "sector_topics") > 0.0:
        sector = space.sectors.ids[pair.members.sector[pair.member_row]]
        return f"{pair.you}所在的{sector}常参与此类线索"
    if _value(pair, "expertise_text") > ALIKE:
        return f"内容与{pair.you}填写的专长相近"
    return ""


def _interest(pair: Pair, space: FeatureSpace) -> str:
    own = pair.members.interest_topics[pair.member_row]
    shared = _shared_topics(own, pair.leads.topics[pair.lead_row], space)
    strongest = _strongest(
        pair, "interest_topics", "interest_text", "embedding", "answer_topics", "answer_text"
    )
    if strongest in ("answer_topics", "answer_text"):
        answered = _answered_topics(pair, space)
        if answered:
            return f"{pair.you}较常查看、领办收到的“{answered}”类线索"
        if pair.members.events[pair.member_row] > 0.0 and _value(pair, "answer_text") > 0.0:
            return f"与{pair.you}常查看、领办的线索内容相近"
    if shared and _strongest(pair, "interest_topics", "embedding") == "interest_topics":
        return f"{pair.you}参与过“{shared}”类线索"
    if _strongest(pair, "interest_text", "embedding") == "interest_text":
        return f"与{pair.you}参与过的线索内容相近" if _value(pair, "interest_text") > ALIKE else ""
    if pair.members.events[pair.member_row] > 0.0:
        return f"与{pair.you}参与过的线索相似"
    return "其他委员较多参与此类线索"


def _answered_topics(pair: Pair, space: FeatureSpace) -> str:
    """The first two topics of the lead that the member looks into or takes on more than others."""
    topics = pair.members.answer_topics[pair.member_row]
    sums = pair.members.answer_topic_sums[pair.member_row]
    return _shared_topics(topics[sums > 0.0], pair.leads.topics[pair.lead_row], space)


def _appeal(pair: Pair) -> str:
    count = round(math.expm1(_value(pair, "lead_popularity")))
    if count > 0:
        return f"已有{count}人次参与此线索"
    raised = float(pair.terms[INDEX["content_appeal"]]) > 0.0
    return "此类内容的线索较多有人领办" if raised else ""


def _shared_topics(own: I32, other: I32, space: FeatureSpace) -> str:
    """The first two topics both sides have, in words."""
    theirs = set(other.tolist()) - {-1}
    shared = [t for t in own.tolist() if t in theirs]
    return "、".join(space.topics.names.ids[t] for t in shared[:2])


def _place(pair: Pair, space: FeatureSpace) -> str:
    levels = _value(pair, "shared_region_levels")
    vague = _is_middle(pair.leads, (pair.lead_row,), space, pair.middles)
    at = _nearest_place(pair)
    own = (pair.member_row, at)
    if at >= 0 and not vague and not _is_middle(pair.members, own, space, pair.middles):
        km = math.expm1(_value(pair, "distance_log_km"))
        if km <= 30.0 or not levels >= 1.0:
            return f"距{pair.you}的{_place_name(pair, at)}约{_kilometres(km)}"
    if levels >= 1.0:
        return f"与{pair.you}{_LEVELS[int(levels) - 1]}"
    active_km = math.expm1(_value(pair, "activity_log_km"))
    if active_km <= 30.0 and not vague:
        return f"距{pair.you}常参与线索的地点约{_kilometres(active_km)}"
    if _value(pair, "same_organization") == 1.0:
        return f"线索属于{pair.you}所在的组织"
    return ""


def _is_middle(
    columns: MemberColumns | LeadColumns, at: tuple[int, ...], space: FeatureSpace, middles: Middles
) -> bool:
    """Whether a place is but the middle of its region: no distance from it is true in words."""
    code = next((level for level in reversed(columns.region[at].tolist()) if level >= 0), -1)
    if code not in middles:
        middle = space.regions.centroid(str(code)) if code >= 0 else None
        middles[code] = middle and (_stored_rad(middle[0]), _stored_rad(middle[1]))
    return middles[code] == (float(columns.latitude_rad[at]), float(columns.longitude_rad[at]))


def _stored_rad(degrees: float) -> float:
    """What a float32 column keeps of an angle."""
    return float(np.float32(math.radians(degrees)))


def _nearest_place(pair: Pair) -> int:
    """Which of the member's places is nearest, -1 when no distance is known."""
    return nearest_place(
        pair.members.latitude_rad[pair.member_row],
        pair.members.longitude_rad[pair.member_row],
        pair.leads.latitude_rad[pair.lead_row],
        pair.leads.longitude_rad[pair.lead_row],
    )


def place_kinds(member: Member | None) -> tuple[str, ...]:
    """HOME, WORK, …, in the order of the places in the columns."""
    return tuple(place.kind for place in member_places(member)) if member is not None else ()


def _place_name(pair: Pair, at: int) -> str:
    kinds = place_kinds(pair.member) if pair.place_kinds is None else pair.place_kinds
    return _PLACE_NAMES.get(kinds[at], "常用地点") if at < len(kinds) else "常用地点"


def _kilometres(km: float) -> str:
    if km < 1.0:
        return f"{max(100, round(km * 10) * 100)}米"
    return f"{km:.1f}公里" if km < 10.0 else f"{km:.0f}公里"


def _freshness(age_log_hours: float) -> str:
    if math.isnan(age_log_hours):
        return ""
    hours = math.expm1(age_log_hours)
    if hours < 24.0:
        return "24小时内新提交"
    days = int(hours // 24)
    return f"{days}天前提交" if days < 365 else f"{days // 365}年前提交"


def _willingness(pair: Pair) -> str:
    shown = round(float(pair.members.exposures[pair.member_row]))
    claimed = round(float(pair.members.claims[pair.member_row]))
    if shown == 0:
        return ""
    return f"{pair.you}此前收到{shown}次推荐，领办{claimed}次"

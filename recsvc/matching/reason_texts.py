"""What each group of terms says about a pair, in Chinese: only facts that the features show."""

from __future__ import annotations

import math

import numpy as np

from features.extract import FeatureSpace
from recsvc.matching.scored_pair import Middles, Pair, place_kinds, strongest_of, value_of
from recsvc.model.arrays import I32, LeadColumns, MemberColumns
from recsvc.model.pair_terms import nearest_place
from recsvc.model.terms import INDEX

_PLACE_NAMES = {"HOME": "住所", "WORK": "单位", "STUDIO": "工作室"}
_URGENCY = ("一般", "较急", "紧急", "特急")
_LEVELS = ("同省", "同市", "同县（区）", "同乡镇（街道）")
ALIKE = 0.1
"""Texts with a lower cosine are not called alike."""


def text_of(group: str, pair: Pair, space: FeatureSpace) -> str:
    """What a group of terms says about a pair, "" when there is nothing to say."""
    match group:
        case "EXPERTISE":
            return _expertise(pair, space)
        case "INTEREST":
            return _interest(pair, space)
        case "PLACE":
            return _place(pair, space)
        case "FRESHNESS":
            return _freshness(value_of(pair, "age_log_hours"))
        case "URGENCY":
            return f"紧急程度：{_URGENCY[min(3, int(value_of(pair, 'urgency')))]}"
        case "WILLINGNESS":
            return _willingness(pair)
        case "APPEAL":
            return _appeal(pair)
        case _:
            return ""


def _expertise(pair: Pair, space: FeatureSpace) -> str:
    strongest = strongest_of(pair, "expertise_topics", "expertise_text", "sector_topics")
    own = pair.members.topics[pair.member_row]
    shared = _shared_topics(own, pair.leads.topics[pair.lead_row], space)
    if shared:
        return f"与{pair.you}的专业特长“{shared}”相符"
    if strongest == "sector_topics" and value_of(pair, "sector_topics") > 0.0:
        sector = space.sectors.ids[pair.members.sector[pair.member_row]]
        return f"{pair.you}所在的{sector}常参与此类线索"
    if value_of(pair, "expertise_text") > ALIKE:
        return f"内容与{pair.you}填写的专长相近"
    return ""


def _interest(pair: Pair, space: FeatureSpace) -> str:
    own = pair.members.interest_topics[pair.member_row]
    shared = _shared_topics(own, pair.leads.topics[pair.lead_row], space)
    strongest = strongest_of(
        pair, "interest_topics", "interest_text", "embedding", "answer_topics", "answer_text"
    )
    if strongest in ("answer_topics", "answer_text"):
        answered = _answered_topics(pair, space)
        if answered:
            return f"{pair.you}较常查看、领办收到的“{answered}”类线索"
        if pair.members.events[pair.member_row] > 0.0 and value_of(pair, "answer_text") > 0.0:
            return f"与{pair.you}常查看、领办的线索内容相近"
    if shared and strongest_of(pair, "interest_topics", "embedding") == "interest_topics":
        return f"{pair.you}参与过“{shared}”类线索"
    if strongest_of(pair, "interest_text", "embedding") == "interest_text":
        return (
            f"与{pair.you}参与过的线索内容相近" if value_of(pair, "interest_text") > ALIKE else ""
        )
    if pair.members.events[pair.member_row] > 0.0:
        return f"与{pair.you}参与过的线索相似"
    return "其他委员较多参与此类线索"


def _answered_topics(pair: Pair, space: FeatureSpace) -> str:
    """The first two topics of the lead that the member looks into or takes on more than others."""
    topics = pair.members.answer_topics[pair.member_row]
    sums = pair.members.answer_topic_sums[pair.member_row]
    return _shared_topics(topics[sums > 0.0], pair.leads.topics[pair.lead_row], space)


def _appeal(pair: Pair) -> str:
    count = round(math.expm1(value_of(pair, "lead_popularity")))
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
    levels = value_of(pair, "shared_region_levels")
    vague = _is_middle(pair.leads, (pair.lead_row,), space, pair.middles)
    at = _nearest_place(pair)
    own = (pair.member_row, at)
    if at >= 0 and not vague and not _is_middle(pair.members, own, space, pair.middles):
        km = math.expm1(value_of(pair, "distance_log_km"))
        if km <= 30.0 or not levels >= 1.0:
            return f"距{pair.you}的{_place_name(pair, at)}约{_kilometres(km)}"
    if levels >= 1.0:
        return f"与{pair.you}{_LEVELS[int(levels) - 1]}"
    active_km = math.expm1(value_of(pair, "activity_log_km"))
    if active_km <= 30.0 and not vague:
        return f"距{pair.you}常参与线索的地点约{_kilometres(active_km)}"
    if value_of(pair, "same_organization") == 1.0:
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

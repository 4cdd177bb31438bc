"""Reasons: their weights are the score, and what they say in words is so."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from support.asking import NOBODY
from support.changes import apply_steps
from support.worlds import DAY_US, NOW_US, make_event, tiny_dataset

from features.entities import EventKind, Lead, Member, Place
from features.location import distances_km, member_places
from recsvc.matching.explain import (
    SAME_FOR_LEAD,
    SAME_FOR_MEMBER,
    VERDICT_TEXTS,
    group_weights,
    reasons_of,
    terms_of,
)
from recsvc.matching.reason_record import MOST_REASONS
from recsvc.matching.score import score_pairs
from recsvc.matching.scored_pair import Pair, distance_km, kinds_of_places
from recsvc.model.snapshot import Snapshot
from recsvc.model.terms import FEATURE_COUNT, INDEX
from recsvc.model.verdicts import Verdict

GROUPS = {"EXPERTISE", "PLACE", "INTEREST", "FRESHNESS", "URGENCY", "WILLINGNESS", "APPEAL"}


def pair_of(snapshot: Snapshot, member_id: str, lead_id: str) -> tuple[Pair, float]:
    """A pair as the pipeline makes it, and its score."""
    member, lead = snapshot.members.row(member_id), snapshot.leads.row(lead_id)
    scored = score_pairs(
        snapshot.bundle,
        snapshot.members,
        np.array([member]),
        snapshot.leads,
        np.array([lead]),
        NOW_US,
    )
    members, local = snapshot.members.locate(member)
    leads, lead_local = snapshot.leads.locate(lead)
    seen = scored.features[0], scored.terms[0]
    kinds = kinds_of_places(snapshot, np.array([member]))[0]
    pair = Pair(members, local, leads, lead_local, *seen, kinds, "您")
    return pair, float(scored.scores[0])


def moved_by(pair: Pair, *features: str) -> Pair:
    """The same pair, its score moved by these features alone."""
    terms = np.zeros(FEATURE_COUNT, np.float32)
    terms[[INDEX[name] for name in features]] = 1.0
    return replace(pair, terms=terms)


def text_of(snapshot: Snapshot, pair: Pair, *features: str) -> str:
    """The first reason's text when only these features count; "" when there is nothing to say."""
    groups = group_weights(moved_by(pair, *features).terms)
    first = reasons_of(moved_by(pair, *features), snapshot.bundle.space)[0]
    return first.text if groups[first.group] > 0 else ""


def test_groups_and_baseline_sum_to_the_score(snapshot: Snapshot) -> None:
    for m in range(0, 40, 3):
        for j in range(0, 80, 7):
            pair, score = pair_of(snapshot, f"m{m}", f"l{j}")
            weights = group_weights(pair.terms)
            assert set(weights) == GROUPS
            baseline = snapshot.bundle.ranker.intercept
            assert sum(weights.values()) + baseline == pytest.approx(score, abs=1e-4)
            terms = terms_of(pair.features, pair.terms)
            assert sum(t.weight for t in terms) + baseline == pytest.approx(score, abs=1e-4)
            sizes = [abs(t.weight) for t in terms]
            assert sizes == sorted(sizes, reverse=True)
            assert min(sizes) > 0
            for group in GROUPS:
                total = sum(t.weight for t in terms if t.group == group)
                assert total == pytest.approx(weights[group], abs=1e-4)


@pytest.mark.parametrize("but", [frozenset(), SAME_FOR_MEMBER, SAME_FOR_LEAD])
def test_reasons_are_one_to_three_and_the_strongest_first(
    snapshot: Snapshot, but: frozenset[str]
) -> None:
    for m in range(40):
        for j in range(0, 80, 9):
            pair, _ = pair_of(snapshot, f"m{m}", f"l{j}")
            weights = group_weights(pair.terms)
            found = reasons_of(pair, snapshot.bundle.space, but)
            assert 1 <= len(found) <= MOST_REASONS
            assert len({r.group for r in found}) == len(found)
            assert [r.weight for r in found] == sorted((r.weight for r in found), reverse=True)
            for reason in found:
                assert reason.weight == pytest.approx(weights[reason.group])
                assert reason.text
            if len(found) > 1:
                assert all(r.weight > 0 and r.group not in but for r in found)


def test_somebody_nobody_knows_gets_a_reason_for_a_lead_nobody_knows(snapshot: Snapshot) -> None:
    pair, _ = pair_of(snapshot, "m12", "l16")
    for but in (frozenset(), SAME_FOR_LEAD | SAME_FOR_MEMBER, frozenset(GROUPS)):
        assert len(reasons_of(pair, snapshot.bundle.space, but)) >= 1


# --- what is said is so, for every pair of the small world


def pairs(snapshot: Snapshot) -> list[tuple[Member, Lead, Pair]]:
    data = tiny_dataset()
    return [
        (m, lead, pair_of(snapshot, m.member_id, lead.lead_id)[0])
        for m in data.members
        for lead in data.leads[::3]
    ]


def test_shared_topics_are_those_of_both(snapshot: Snapshot) -> None:
    texts = set()
    names = snapshot.bundle.space.topics.names
    for member, _, pair in pairs(snapshot):
        text = text_of(snapshot, pair, "expertise_topics")
        likely = text.startswith("从您填写的专长和界别看，您可能熟悉")
        for topic in "、".join(re.findall("“(.+)”", text)).split("、"):
            if topic:
                assert (topic in member.topics) is not likely
                assert names.row(topic) in pair.members.topics[pair.member_row].tolist()
                assert names.row(topic) in pair.leads.topics[pair.lead_row].tolist()
        texts.add(text[:4])
        text = text_of(snapshot, pair, "interest_topics")
        for topic in "、".join(re.findall("参与过“(.+)”类", text)).split("、"):
            if topic:
                assert names.row(topic) in pair.leads.topics[pair.lead_row].tolist()
                assert names.row(topic) in pair.members.interest_topics[pair.member_row].tolist()
                texts.add("interest")
    assert texts >= {"与您的专", "从您填写", "内容与您", "", "interest"}


def test_what_is_said_of_place_is_measured_between_real_places(snapshot: Snapshot) -> None:
    kinds = set()
    for member, lead, pair in pairs(snapshot):
        text = text_of(snapshot, pair, "distance_log_km")
        found = re.fullmatch("距您的(.+)约([0-9.]+)(米|公里)", text)
        if found:
            assert lead.latitude is not None
            assert lead.longitude is not None
            km = float(found[2]) / (1000.0 if found[3] == "米" else 1.0)
            place = nearest(member, lead.latitude, lead.longitude)
            names = {"HOME": "住所", "WORK": "单位", "STUDIO": "工作室"}
            assert found[1] == names[place[1].kind]
            assert km == pytest.approx(place[0], abs=max(0.1, 0.06 * place[0]))
        elif text.startswith("与您同"):
            levels = ("省", "市", "县（区）", "乡镇（街道）").index(text.removeprefix("与您同"))
            digits = (2, 4, 6, 9)[levels]
            prefix = lead.region_code[:digits]
            assert any(p.region_code.startswith(prefix) for p in member_places(member))
        elif text == "线索属于您所在的组织":
            assert member.organization_id == lead.organization_id != ""
        else:
            assert text == "" or text.startswith("距您常参与线索的地点约")
        kinds.add(text[:3])
    assert kinds >= {"距您的", "与您同", "距您常", "线索属", ""}


def nearest(member: Member, latitude: float, longitude: float) -> tuple[float, Place]:
    """The nearest of the member's places with coordinates, and how far it is."""
    found = [
        (distance(p.latitude, p.longitude, latitude, longitude), p)
        for p in member_places(member)
        if p.latitude is not None and p.longitude is not None
    ]
    return min(found, key=lambda each: each[0])


def distance(*degrees: float) -> float:
    return float(distances_km(*map(math.radians, degrees)))


@pytest.mark.parametrize("vague", ["member", "lead"])
def test_the_middle_of_a_region_is_no_place_to_measure_from(snapshot: Snapshot, vague: str) -> None:
    """Both are somewhere in one district: that is all that is known, and it is said."""
    exact = {"latitude": 28.21, "longitude": 112.95}
    member = Member("a", region_code="430104")
    lead = Lead("b", region_code="430104")
    if vague == "lead":
        member = replace(member, **exact)  # type: ignore[arg-type]
    else:
        lead = replace(lead, **exact)  # type: ignore[arg-type]
    apply_steps(snapshot, member, lead)
    pair, _ = pair_of(snapshot, "a", "b")
    assert distance_km(pair) is not None
    assert text_of(snapshot, pair, "distance_log_km") == "与您同县（区）"
    apply_steps(snapshot, replace(member, **exact), replace(lead, **exact))  # type: ignore[arg-type]
    pair, _ = pair_of(snapshot, "a", "b")
    assert text_of(snapshot, pair, "distance_log_km") == "距您的住所约100米"


@pytest.mark.parametrize(
    ("km", "text"), [(0.0, "100米"), (0.42, "400米"), (3.21, "3.2公里"), (27.8, "28公里")]
)
def test_kilometres_are_said_as_people_say_them(snapshot: Snapshot, km: float, text: str) -> None:
    north = 28.2 + math.degrees(km / 6371.0088)
    apply_steps(
        snapshot,
        Member("a", latitude=28.2, longitude=113.0),
        Lead("b", latitude=north, longitude=113.0),
    )
    pair, _ = pair_of(snapshot, "a", "b")
    assert text_of(snapshot, pair, "distance_log_km") == f"距您的住所约{text}"
    assert distance_km(pair) == pytest.approx(km, abs=0.01)


@pytest.mark.parametrize(
    ("hours", "text"),
    [
        (2, "24小时内新提交"),
        (25, "1天前提交"),
        (24 * 30, "30天前提交"),
        (24 * 800, "2年前提交"),
    ],
)
def test_freshness_is_told_in_days_and_years(snapshot: Snapshot, hours: int, text: str) -> None:
    apply_steps(snapshot, Lead("b", NOW_US - hours * DAY_US // 24))
    pair, _ = pair_of(snapshot, "m1", "b")
    assert text_of(snapshot, pair, "age_log_hours") == text
    apply_steps(snapshot, Lead("b"))
    pair, _ = pair_of(snapshot, "m1", "b")
    assert text_of(snapshot, pair, "age_log_hours") == ""


def test_counts_are_counted(snapshot: Snapshot) -> None:
    for _, _, pair in pairs(snapshot):
        members, leads = pair.members, pair.leads
        text = text_of(snapshot, pair, "willingness")
        numbers = [int(n) for n in re.findall(r"\d+", text)]
        if numbers:
            shown, claimed = members.exposures[pair.member_row], members.claims[pair.member_row]
            assert numbers == [shown, claimed]
            assert claimed <= shown
        else:
            assert members.exposures[pair.member_row] == 0
        text = text_of(snapshot, pair, "lead_popularity")
        numbers = [int(n) for n in re.findall(r"\d+", text)]
        assert numbers == [n for n in [int(leads.events[pair.lead_row])] if n > 0]


def test_urgency_is_in_words(snapshot: Snapshot) -> None:
    for urgency, word in enumerate(("一般", "较急", "紧急", "特急")):
        apply_steps(snapshot, Lead("b", urgency=urgency))
        pair, _ = pair_of(snapshot, "m1", "b")
        assert text_of(snapshot, pair, "urgency") == f"紧急程度：{word}"


def test_a_sector_is_named_only_where_it_acts_more_than_others(snapshot: Snapshot) -> None:
    said = 0
    for member, _, pair in pairs(snapshot):
        text = text_of(snapshot, replace(pair, features=pair.features.copy()), "sector_topics")
        if "常参与此类线索" in text:
            assert member.sector in text
            assert pair.features[INDEX["sector_topics"]] > 0
            said += 1
    assert said > 0


def test_interest_by_likeness_is_said_of_members_with_a_history_only(snapshot: Snapshot) -> None:
    pair, _ = pair_of(snapshot, "m1", "l30")
    assert text_of(snapshot, pair, "embedding") == "与您参与过的线索相似"
    pair, _ = pair_of(snapshot, NOBODY, "l30")
    assert text_of(snapshot, pair, "embedding") == "其他委员较多参与此类线索"
    assert text_of(snapshot, pair, "interest_text") == ""
    apply_steps(snapshot, make_event(EventKind.CLAIMED, NOW_US, 38, 30))
    pair, _ = pair_of(snapshot, NOBODY, "l30")
    assert "您参与过" in text_of(snapshot, pair, "interest_text")


def test_every_verdict_has_its_words() -> None:
    assert set(VERDICT_TEXTS) == set(Verdict)
    assert [v for v, text in VERDICT_TEXTS.items() if not text] == [Verdict.KEPT]


def test_what_a_member_answers_to_is_said_of_answers_only(snapshot: Snapshot) -> None:
    said = set()
    for _, _, pair in pairs(snapshot):
        text = text_of(snapshot, pair, "answer_topics")
        for topic in re.findall("较常查看、领办收到的“(.+)”类", text):
            assert pair.members.events[pair.member_row] > 0
            own = pair.members.answer_topics[pair.member_row].tolist()
            at = own.index(snapshot.bundle.space.topics.names.row(topic.split("、")[0]))
            assert pair.members.answer_topic_sums[pair.member_row, at] > 0
        said.add(text[:4])
        text = text_of(snapshot, pair, "content_appeal")
        assert text.startswith("已有") == (pair.leads.events[pair.lead_row] > 0)
    assert "您较常查" in said

"""Pair features: the kernel against a slow reading of every feature's meaning, by name."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from support.worlds import NOW_US, random_pairs, tiny_dataset, tiny_state

from features.entities import Lead, Member
from features.willingness import SLOTS
from recsvc.model.arrays import F32, LeadColumns, MemberColumns, Widths, empty_leads, empty_members
from recsvc.model.one_sided_terms import lead_features, member_features
from recsvc.model.pair_places import nearest_place_km
from recsvc.model.pair_terms import pair_features
from recsvc.model.terms import (
    FEATURE_COUNT,
    FEATURE_NAMES,
    FEATURES,
    INDEX,
    OF_LEAD,
    OF_MEMBER,
    TermContext,
)
from recsvc.model.topic_terms import MEAN_LOG_KM
from training.examples import features_of
from training.state import State

GROUPS = {"EXPERTISE", "PLACE", "INTEREST", "FRESHNESS", "URGENCY", "WILLINGNESS", "APPEAL"}
Array = NDArray[Any]
NOTHING = TermContext(
    np.zeros((0, 0), np.float32),
    base_logit=-2.0,
    slots=np.zeros(SLOTS, np.float32),
    member_precision=0.1,
    lead_precision=0.25,
    audience_mean=1.5,
    appeal_weights=np.zeros(3, np.float32),
    appeal_bias=0.0,
    topic_moments=np.zeros((0, 0), np.float32),
    topic_effects=np.zeros((0, 3), np.float32),
    moments_from_us=0,
    counted_until_us=0,
)


def overlap(own: Array, own_weights: Array, topics: Array, weights: Array) -> float:
    a = {t: w for t, w in zip(np.ravel(own), np.ravel(own_weights), strict=True) if t >= 0}
    b = {t: w for t, w in zip(np.ravel(topics), np.ravel(weights), strict=True) if t >= 0}
    return float(sum(a[t] * b[t] for t in a.keys() & b.keys())) if a and b else math.nan


def haversine(lat_a: float, lon_a: float, lat_b: float, lon_b: float) -> float:
    """By the law of cosines on the sphere: another formula than the kernel's."""
    cosine = math.sin(lat_a) * math.sin(lat_b)
    cosine += math.cos(lat_a) * math.cos(lat_b) * math.cos(lon_a - lon_b)
    return 6371.0088 * math.acos(max(-1.0, min(1.0, cosine)))


def nearest(latitude: Array, longitude: Array, lat: float, lon: float) -> float:
    places = zip(np.ravel(latitude), np.ravel(longitude), strict=True)
    km = [haversine(a, b, lat, lon) for a, b in places if not math.isnan(a)]
    return min(km) if km and not math.isnan(lat) else math.nan


def shared_levels(places: Array, region: Array) -> float:
    own, found = np.ravel(region).tolist(), []
    if own[0] < 0:
        return math.nan
    for place in np.reshape(places, (-1, 4)).tolist():
        if place[0] >= 0:
            same = [a == b and a >= 0 for a, b in zip(place, own, strict=True)]
            found.append([*same, False].index(False))
    return float(max(found)) if found else math.nan


def moved(value: float, total: float, curvature: float) -> float:
    return value + max(-2.0, min(2.0, total / curvature))


def answered(mem: MemberColumns, m: int, topics: Array, weights: Array) -> float:
    """Newton steps of the effects of the topics, from nothing, with a standard normal prior."""
    own = {
        int(t): float(s) / (1.0 + float(k))
        for t, s, k in zip(
            mem.answer_topics[m],
            mem.answer_topic_sums[m],
            mem.answer_topic_information[m],
            strict=True,
        )
        if t >= 0
    }
    named = [(int(t), float(w)) for t, w in zip(topics, weights, strict=True) if t >= 0]
    return sum(w * own.get(t, 0.0) for t, w in named) if own and named else math.nan


def own_text(mem: MemberColumns, m: int, text: F32) -> float:
    """The greatest cosine with one of the member's own texts."""
    own = mem.own_text[m][mem.own_text_scale[m] > 0].astype(np.float32)
    own *= mem.own_text_scale[m][: len(own), None]
    return float((own @ text).max()) if len(own) else math.nan


def co_taken(mem: MemberColumns, m: int, row: int) -> float:
    """What stands beside the lead in the member's list."""
    listed = dict(
        zip(mem.co_taken_leads[m].tolist(), mem.co_taken_weights[m].tolist(), strict=True)
    )
    return listed.get(row, 0.0) if row >= 0 and any(listed.values()) else math.nan


def density(mem: MemberColumns, m: int, lat: float, lon: float) -> float:
    """Log of the shares of the member's places, each the less the farther it is."""
    places = zip(
        mem.activity_latitude_rad[m],
        mem.activity_longitude_rad[m],
        mem.activity_share[m],
        strict=True,
    )
    shares = [
        float(share) / (1.0 + haversine(float(a), float(b), lat, lon) ** 2)
        for a, b, share in places
        if not np.isnan(a)
    ]
    return math.log(sum(shares) + 1e-6) if shares and not math.isnan(lat) else math.nan


def slow(state: State, m: int, j: int, now_us: int) -> dict[str, float]:
    """Every feature of one pair, by its name and meaning."""
    mem, lead, context = state.members, state.leads, state.context
    topics, weights = lead.topics[j], lead.topic_weights[j]
    named = [t for t in topics.tolist() if t >= 0]
    sector = int(mem.sector[m])
    lat, lon = float(lead.latitude_rad[j]), float(lead.longitude_rad[j])
    orgs = int(mem.organization[m]), int(lead.organization[j])
    created = int(lead.create_time_us[j])
    month = int((now_us - context.moments_from_us) / (365.25 / 12 * 86_400e6))
    month = min(max(month, 0), context.topic_moments.shape[1] - 1)

    away = math.log1p(nearest(mem.latitude_rad[m], mem.longitude_rad[m], lat, lon)) - MEAN_LOG_KM
    extra = 0.0 if math.isnan(away) else away
    stated = np.isin(np.arange(len(context.topic_effects)), mem.topics[m])

    def mean_over(values: Array) -> float:
        own = [(float(values[t]), float(w)) for t, w in zip(topics, weights, strict=True) if t >= 0]
        return sum(x * w for x, w in own) / sum(w for _, w in own) if own else math.nan

    return {
        "embedding": float(mem.vector[m] @ lead.vector[j]),
        "expertise_text": float(mem.text[m] @ lead.text[j]),
        "interest_text": float(mem.interest_text[m] @ lead.text[j]),
        "expertise_topics": overlap(mem.topics[m], mem.topic_weights[m], topics, weights),
        "interest_topics": overlap(
            mem.interest_topics[m], mem.interest_topic_weights[m], topics, weights
        ),
        "sector_topics": max(float(context.sector_topics[sector, t]) for t in named)
        if sector >= 0 and named
        else math.nan,
        "distance_log_km": math.log1p(nearest(mem.latitude_rad[m], mem.longitude_rad[m], lat, lon)),
        "activity_log_km": math.log1p(
            nearest(mem.activity_latitude_rad[m], mem.activity_longitude_rad[m], lat, lon)
        ),
        "shared_region_levels": shared_levels(mem.region[m], lead.region[j]),
        "same_organization": float(orgs[0] == orgs[1]) if min(orgs) >= 0 else math.nan,
        "age_log_hours": math.log1p(max(0.0, (now_us - created) / 3.6e9)) if created else math.nan,
        "urgency": float(lead.urgency[j]),
        "willingness": moved(
            float(mem.willingness[m]),
            float(mem.willingness_moved[m]),
            float(mem.willingness_information[m]) + context.member_precision,
        )
        if mem.answers[m]
        else math.nan,
        "exposures_log": math.log1p(float(mem.exposures[m])),
        "audience_met": (float(mem.audience_met[m]) + 3.0 * context.audience_mean)
        / (float(mem.answers[m]) + 3.0)
        if mem.answers[m]
        else math.nan,
        "appeal_met": float(mem.appeal_met[m]) / (float(mem.answers[m]) + 1.0)
        if mem.answers[m]
        else math.nan,
        "answer_topics": answered(mem, m, topics, weights),
        "answer_text": float(mem.answer_text[m] @ lead.text[j]),
        "lead_appeal": moved(
            float(lead.appeal[j]),
            float(lead.appeal_moved[j]),
            float(lead.appeal_information[j]) + context.lead_precision,
        )
        if lead.appeal_information[j] > 0
        else math.nan,
        "content_appeal": float(lead.text[j] @ context.appeal_weights) + context.appeal_bias,
        "lead_exposures_log": math.log1p(float(lead.exposures[j])),
        "lead_popularity": math.log1p(float(lead.events[j])),
        "topic_moment": mean_over(context.topic_moments[:, month]),
        "place_by_topic": mean_over(context.topic_effects[:, 0]) * away,
        "stated_by_topic": mean_over(
            stated * (context.topic_effects[:, 1] + context.topic_effects[:, 2] * extra)
        )
        if np.any(mem.topics[m] >= 0)
        else math.nan,
        "own_text": own_text(mem, m, lead.text[j]),
        "co_taken": co_taken(mem, m, int(lead.neighbour_row[j])),
        "activity_density": density(mem, m, lat, lon),
        "embedding_level": float(mem.embedding_level[m]),
    }


def test_the_list_of_features_and_the_kernel_s_columns_agree() -> None:
    assert len(set(FEATURE_NAMES)) == FEATURE_COUNT == len(FEATURES)
    assert {f.group for f in FEATURES} == GROUPS
    assert all(f.monotone in (-1, 0, 1) for f in FEATURES)
    assert features_of_nobody().shape == (1, FEATURE_COUNT)


def features_of_nobody() -> F32:
    members, leads = empty_members(1, Widths(2, 3)), empty_leads(1, Widths(2, 3))
    row = np.zeros(1, np.int32)
    return pair_features(members, row, leads, row, np.array([NOW_US]), NOTHING)


def test_features_mean_what_their_names_say() -> None:
    state = tiny_state()
    pairs = random_pairs(state, 400, seed=11)
    found = features_of(state, pairs)
    for at, (m, j) in enumerate(zip(pairs.member.tolist(), pairs.lead.tolist(), strict=True)):
        expected = slow(state, m, j, NOW_US)
        assert list(expected) == list(FEATURE_NAMES)
        np.testing.assert_allclose(
            found[at],
            list(expected.values()),
            rtol=2e-3,
            atol=2e-4,
            err_msg=f"{tiny_dataset().member_ids.ids[m]} and {tiny_dataset().lead_ids.ids[j]}",
        )
    unknown = np.isnan(found)
    for name in ("expertise_topics", "distance_log_km", "shared_region_levels", "age_log_hours"):
        assert 0 < unknown[:, INDEX[name]].sum() < len(pairs), name


def test_of_nobody_and_nothing_only_the_counters_are_known() -> None:
    features = features_of_nobody()[0]
    known = {name for name, x in zip(FEATURE_NAMES, features, strict=True) if not np.isnan(x)}
    always = {"embedding", "expertise_text", "interest_text", "urgency", "answer_text"}
    always |= {"embedding_level"}
    counted = {"exposures_log", "lead_exposures_log", "lead_popularity", "content_appeal"}
    assert known == always | counted
    assert features[INDEX["exposures_log"]] == features[INDEX["lead_popularity"]] == 0.0


def test_no_pairs_give_no_rows() -> None:
    state, none = tiny_state(), np.zeros(0, np.int32)
    found = pair_features(state.members, none, state.leads, none, np.zeros(0, np.int64), NOTHING)
    assert found.shape == (0, FEATURE_COUNT)


def test_a_lead_of_the_future_has_age_zero() -> None:
    state = tiny_state()
    row = np.zeros(1, np.int32)
    lead = np.array([int(np.argmax(state.leads.create_time_us > 0))], np.int32)
    found = pair_features(state.members, row, state.leads, lead, np.array([1]), state.context)
    assert found[0, INDEX["age_log_hours"]] == 0.0


def test_features_of_one_side_are_those_of_the_pair() -> None:
    """What the candidate sources order by is what the ranker reads."""
    state = tiny_state()
    pairs = random_pairs(state, 200, seed=8)
    whole = features_of(state, pairs)
    of_lead = lead_features(state.leads, NOW_US, state.context)[pairs.lead]
    of_member = member_features(state.members, state.context)[pairs.member]
    np.testing.assert_array_equal(of_lead[:, OF_LEAD], whole[:, OF_LEAD])
    np.testing.assert_array_equal(of_member[:, OF_MEMBER], whole[:, OF_MEMBER])
    for part, columns in ((of_lead, OF_LEAD), (of_member, OF_MEMBER)):
        assert np.isnan(np.delete(part, columns, axis=1)).all()


def test_the_nearest_of_no_places_is_unknown() -> None:
    nowhere = np.full(4, np.nan, np.float32)
    assert math.isnan(nearest_place_km(nowhere, nowhere, 0.5, 1.9))


def test_sectors_and_topics_beyond_the_table_are_unknown() -> None:
    """A worker may know more sectors than the bundle's table, never fewer: it must not crash."""
    members: MemberColumns = empty_members(1, Widths(1, 1))
    leads: LeadColumns = empty_leads(1, Widths(1, 1))
    members.sector[0], leads.topics[0, :2] = 7, (9, 1)
    context = NOTHING._replace(sector_topics=np.array([[0.1, 0.2]], np.float32))
    row, now = np.zeros(1, np.int32), np.array([NOW_US])
    at = INDEX["sector_topics"]
    assert math.isnan(pair_features(members, row, leads, row, now, context)[0, at])
    members.sector[0] = 0
    assert pair_features(members, row, leads, row, now, context)[0, at] == np.float32(0.2)
    leads.topics[0, 1] = -1
    assert math.isnan(pair_features(members, row, leads, row, now, context)[0, at])


def test_the_world_has_what_these_tests_are_about() -> None:
    data = tiny_dataset()
    assert Member("m12") in data.members
    assert Lead("l16") in data.leads

"""What training learns from a log, counted again in plain Python, and from next to nothing."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs
from support.asking import ALL
from support.changes import apply_steps
from support.worlds import (
    CONFIG,
    NOW_US,
    bundle_of,
    dataset_of,
    log_of,
    make_event,
    spectral_fit,
    tiny_catalog,
    tiny_dataset,
    tiny_events,
    tiny_state,
)

from features.entities import ACTIONS, EXPOSURES, INTERESTS, EventKind, Lead, Member, Organization
from features.events import EventLog
from recsvc.matching.pipeline import Pipeline
from recsvc.matching.queries import ListQuery, ServingMode
from recsvc.model.arrays import UNLIMITED, stable_key
from recsvc.model.bundle import Bundle, read_bundle, write_bundle
from recsvc.model.snapshot import Snapshot
from recsvc.model.verdicts import Verdict
from training.assemble_bundle import as_all_open
from training.defaults import default_ranker
from training.examples import features_of
from training.exposures import Pairs
from training.logs import DataSet
from training.state import (
    State,
    build_catalog,
    interactions,
    interest_rule,
    last_time_us,
    learn_state,
    sample_rows,
)


def test_counters_count_pairs_once_and_answers_each_time() -> None:
    events = [e for e in tiny_events() if e.lead_id]
    shown = {(e.member_id, e.lead_id) for e in events if e.kind in EXPOSURES}
    claimed = {(e.member_id, e.lead_id) for e in events if e.kind is EventKind.CLAIMED}
    answers = [e for e in events if e.kind in INTERESTS | ACTIONS]
    state, data = tiny_state(), tiny_dataset()
    for side, columns, ids in (
        (0, state.members, data.member_ids),
        (1, state.leads, data.lead_ids),
    ):
        exposures = Counter(pair[side] for pair in shown)
        claims = Counter(pair[side] for pair in shown & claimed)
        activity = Counter((e.member_id, e.lead_id)[side] for e in answers)
        assert columns.exposures.tolist() == [exposures[i] for i in ids]
        assert columns.claims.tolist() == [claims[i] for i in ids]
        assert columns.events.tolist() == [activity[i] for i in ids]


def test_static_columns_are_what_the_records_say() -> None:
    state, data = tiny_state(), tiny_dataset()
    organizations = ("", *tiny_catalog().organizations.ids)
    for row, member in enumerate(data.members):
        assert state.members.key[row] == stable_key(member.member_id)
        assert state.members.active[row] == member.active
        assert organizations[state.members.organization[row] + 1] == member.organization_id
    for row, lead in enumerate(data.leads):
        assert state.leads.author_key[row] == stable_key(lead.author_id)
        assert state.leads.state[row] == lead.state
        assert state.leads.create_time_us[row] == lead.create_time_us
        assert state.leads.urgency[row] == lead.urgency
        limit = UNLIMITED if lead.claim_capacity is None else lead.claim_capacity
        assert state.leads.capacity_left[row] == limit
        assert organizations[state.leads.organization[row] + 1] == lead.organization_id
    assert "unlisted" in organizations


def test_a_sector_s_lift_is_above_zero_where_it_acts_more_than_others() -> None:
    table = tiny_state().context.sector_topics
    space = tiny_catalog().space
    assert table.shape == (len(space.sectors), len(space.topics.names))
    counts = np.zeros(table.shape)
    state = tiny_state()
    for member, lead, weight in zip(*counted(), strict=True):
        sector = state.members.sector[member]
        for topic in state.leads.topics[lead]:
            if sector >= 0 and topic >= 0 and weight > 0:
                counts[sector, topic] += 1
    share = counts.sum(axis=0) / counts.sum()
    own = counts / counts.sum(axis=1, keepdims=True)
    clear = np.abs(own - share) > 0.03
    assert clear.any()
    assert (np.sign(table[clear]) == np.sign((own - share)[clear])).all()


def counted() -> tuple[list[int], list[int], list[float]]:
    """Member, lead and interest weight of each event that has a lead."""
    positive = {EventKind.CLAIMED, EventKind.RESOLVED, *INTERESTS}
    data = tiny_dataset()
    rows = [
        (data.member_ids.row(e.member_id), data.lead_ids.row(e.lead_id), float(e.kind in positive))
        for e in tiny_events()
        if e.lead_id
    ]
    members, leads, weights = zip(*rows, strict=True)
    return list(members), list(leads), list(weights)


def test_interactions_are_one_positive_weight_a_pair() -> None:
    events = tiny_dataset().events
    weights = np.ones(len(events), np.float32)
    weights[events.lead < 0] = 0.0
    matrix = interactions(events, weights, 40, 80)
    pairs = Counter((m, j) for m, j in zip(events.member, events.lead, strict=True) if j >= 0)
    assert matrix.nnz == len(pairs)
    for (m, j), count in list(pairs.items())[:50]:
        assert matrix[m, j] == pytest.approx(math.log2(1 + count))
    refused = interactions(events, -weights, 40, 80)
    assert refused.nnz == 0


def test_a_rule_knows_whether_there_are_times() -> None:
    data = tiny_dataset()
    assert interest_rule(data.events, CONFIG).has_times
    assert interest_rule(data.events, CONFIG).reference_time_us == last_time_us(data.events)
    same = [make_event(EventKind.CLAIMED, 5, m, 1) for m in range(3)]
    assert not interest_rule(log_of(same, data.member_ids, data.lead_ids), CONFIG).has_times
    assert interest_rule(EventLog.empty(), CONFIG).has_times
    assert last_time_us(EventLog.empty()) == 0


def test_a_sample_of_rows_is_the_same_every_time() -> None:
    assert sample_rows(5, 10, 1).tolist() == [0, 1, 2, 3, 4]
    few = sample_rows(1_000, 50, 1)
    assert len(few) == 50
    assert few.tolist() == sorted(set(few.tolist()))
    assert few.tolist() == sample_rows(1_000, 50, 1).tolist()
    assert few.tolist() != sample_rows(1_000, 50, 2).tolist()
    assert sample_rows(0, 5, 1).tolist() == []


def test_in_evaluation_every_lead_is_open() -> None:
    bundle = bundle_of(tiny_catalog(), tiny_state(), default_ranker(features_of_all(tiny_state())))
    when = NOW_US
    over = {Verdict.CLOSED, Verdict.CAPACITY}
    for given, expected in ((bundle, over), (as_all_open(bundle), set())):
        answer = Pipeline(Snapshot(given)).recommend("m12", structs.replace(ALL, as_of_us=when))
        assert answer.removed.keys() & over == expected
    assert (bundle.leads.state > 1).any(), "the bundle itself stays as it is"


def features_of_all(state: State) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    member = np.arange(len(state.members.alive), dtype=np.int32)
    n = min(len(member), len(state.leads.alive))
    lead = np.arange(n, dtype=np.int32)
    times, labels = np.full(n, NOW_US, np.int64), np.zeros(n, np.float32)
    return features_of(state, Pairs(member[:n], lead, times, labels))


# --- next to nothing


def trained(data: DataSet) -> Bundle:
    """A data set trained with the default ranker."""
    catalog = build_catalog(data, CONFIG)
    state = learn_state(catalog, data.events, spectral_fit(catalog), CONFIG)
    return bundle_of(catalog, state, default_ranker(features_of_all(state)))


def serve(bundle: Bundle) -> Pipeline:
    return Pipeline(Snapshot(bundle), clock=lambda: NOW_US)


MEMBER = Member("m0", expertise="道路交通", latitude=28.2, longitude=113.0)
LEAD = Lead("l0", NOW_US - 5, title="道路停车", latitude=28.21, longitude=113.0)


def test_one_member_and_one_lead_without_events() -> None:
    pipeline = serve(trained(dataset_of([MEMBER], [LEAD], [])))
    answer = pipeline.recommend("m0", ListQuery())
    assert [i.id for i in answer.items] == ["l0"]
    assert answer.mode is ServingMode.COLD_START
    assert answer.items[0].distance_km == pytest.approx(1.11, abs=0.01)
    assert [i.id for i in pipeline.match("l0", ListQuery(diversity=1.0)).items] == ["m0"]


def test_one_event() -> None:
    event = make_event(EventKind.CLAIMED, NOW_US - 9, 0, 0)
    other = replace(LEAD, lead_id="l1")
    pipeline = serve(trained(dataset_of([MEMBER], [LEAD, other], [event])))
    answer = pipeline.recommend("m0", ListQuery())
    assert [i.id for i in answer.items] == ["l1"]
    assert answer.mode is ServingMode.PERSONALIZED


@pytest.mark.parametrize(
    ("members", "leads"), [([], []), ([MEMBER], []), ([], [LEAD]), ([Member("x")], [Lead("y")])]
)
def test_empty_tables_can_be_trained_written_served_and_filled(
    members: list[Member], leads: list[Lead], tmp_path: Path
) -> None:
    write_bundle(trained(dataset_of(members, leads, [])), tmp_path / "empty")
    pipeline = serve(read_bundle(tmp_path / "empty"))
    snapshot = pipeline.snapshot
    for member in members:
        assert len(pipeline.recommend(member.member_id, ListQuery(diversity=0.5)).items) == len(
            leads
        )
    assert len(pipeline.match(Lead("", title="道路"), ListQuery()).items) == len(members)
    apply_steps(
        snapshot,
        Member("late", "o", expertise="道路"),
        Lead("later", NOW_US, "o", title="道路停车"),
        Organization("o", jurisdiction="OWN"),
        make_event(EventKind.OPENED, NOW_US, 5, 5),
        replace(make_event(EventKind.OPENED, NOW_US, 0, 0), member_id="late", lead_id="later"),
    )
    answer = pipeline.recommend("late", ListQuery(diversity=0.5))
    assert "later" in {i.id for i in answer.items}
    assert "late" in {i.id for i in pipeline.match("later", ListQuery()).items}


def test_a_log_without_times_does_not_fade() -> None:
    events = [make_event(EventKind.CLAIMED, 77, m, j) for m in range(3) for j in range(4) if m != j]
    members = [replace(MEMBER, member_id=f"m{i}") for i in range(3)]
    leads = [replace(LEAD, lead_id=f"l{i}", title=f"道路{'停车公交'[i % 4]}") for i in range(4)]
    pipeline = serve(trained(dataset_of(members, leads, events)))
    assert not pipeline.snapshot.bundle.manifest.interest.has_times
    assert [i.id for i in pipeline.recommend("m0", ListQuery()).items] == ["l0"]

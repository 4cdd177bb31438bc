"""The plan of a tenant: what it may never do, whom it serves, and the reasons it gives."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_bundle import LEAD_COUNT, MEMBER_COUNT, ago_us, lead, member, tiny_bundle

from features.entities import (
    Conflict,
    DismissReason,
    Event,
    EventKind,
    Lead,
    LeadState,
    Member,
    Organization,
)
from recsvc.errors import ConfigError
from recsvc.matching.pipeline import Pipeline
from recsvc.matching.updates import load_records
from recsvc.model.arrays import LeadColumns, MemberColumns
from recsvc.model.snapshot import Snapshot
from recsvc.model.verdicts import Verdict
from recsvc.push.arrival import plan_arrival
from recsvc.push.config import Caps, Holdout, PushConfig, Waves, read_push_config
from recsvc.push.plan import plan_pushes
from recsvc.push.reasons import why_not
from recsvc.push.texts import UNSERVED_TEXTS
from recsvc.push.types import PastPush, Plan, PushHistory, Source, Unserved
from recsvc.store.codec import Entity, RecordKind, encode_entity
from recsvc.store.types import StoredRecord

NOW_US = ago_us(0.0)
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
OPEN = PushConfig(explore=0.0, busiest_share=1.0)
"""Nothing by chance, no bound on the spread."""


@pytest.fixture
def snapshot() -> Snapshot:
    return fresh_snapshot()


def fresh_snapshot() -> Snapshot:
    """A snapshot whose columns may be changed."""
    bundle = tiny_bundle()
    members = MemberColumns._make(column.copy() for column in bundle.members)
    leads = LeadColumns._make(column.copy() for column in bundle.leads)
    return Snapshot(replace(bundle, members=members, leads=leads))


def put(snapshot: Snapshot, *entities: Entity) -> None:
    """As an import would."""
    for entity in entities:
        record = encode_entity(entity)
        stored = StoredRecord(record.kind, record.id, record.fingerprint, record.data)
        load_records(snapshot, RecordKind(record.kind), [stored])


def plan_of(
    snapshot: Snapshot,
    config: PushConfig = OPEN,
    history: PushHistory | None = None,
    now_us: int = NOW_US,
) -> Plan:
    pipeline = Pipeline(snapshot, clock=lambda: now_us)
    return plan_pushes(pipeline, config, now_us, history or PushHistory())


def assert_keeps_everything(
    snapshot: Snapshot, plan: Plan, config: PushConfig, history: PushHistory
) -> None:
    """Masks by the pipeline, pair by pair; caps, bounds and repeats counted by hand."""
    pairs = [(push.member_id, push.lead_id) for push in plan.pushes]
    verdicts = Pipeline(snapshot).score_pairs(pairs, plan.now_us).verdicts
    assert set(verdicts) <= {Verdict.KEPT}
    assert len(set(pairs)) == len(pairs)
    before = {(past.member_id, past.lead_id) for past in history.pushes}
    assert before.isdisjoint(pairs)
    had = Counter(p.member_id for p in history.pushes if p.time_us > plan.now_us - 7 * DAY_US)
    today = Counter(p.member_id for p in history.pushes if p.time_us > plan.now_us - DAY_US)
    for member_id, count in Counter(push.member_id for push in plan.pushes).items():
        assert count <= config.caps.plan
        assert count + today[member_id] <= config.caps.day
        assert count + had[member_id] <= config.caps.week
    for lead_id, count in Counter(push.lead_id for push in plan.pushes).items():
        wave = next(push.wave for push in plan.pushes if push.lead_id == lead_id)
        assert count <= config.waves.most[min(wave, len(config.waves.most) - 1)]
        assert lead_id not in history.claimed
        assert lead_id not in plan.unserved
    assert plan.figures.proved


@st.composite
def situations(draw: st.DrawFn) -> tuple[int, PushConfig]:
    """A seed for what happened, and a configuration with small caps and waves."""
    most = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    config = PushConfig(
        seed=draw(st.integers(0, 99)),
        candidates=draw(st.sampled_from([1, 2, 5, 100])),
        caps=Caps(
            plan=draw(st.integers(0, 3)),
            day=draw(st.integers(0, 3)),
            week=draw(st.integers(0, 5)),
            gap_hours=draw(st.sampled_from([0.0, 5.0])),
        ),
        waves=Waves(least=tuple(min(1, m) for m in most), most=tuple(most)),
        holdout=Holdout(
            members=draw(st.sampled_from([0.0, 0.3])),
            leads=draw(st.sampled_from([0.0, 0.3])),
            chance_leads=draw(st.sampled_from([0.0, 0.5])),
        ),
        explore=draw(st.sampled_from([0.0, 0.5])),
        busiest_share=draw(st.sampled_from([0.05, 1.0])),
    )
    return draw(st.integers(0, 2**32)), config


def happened(snapshot: Snapshot, seed: int) -> PushHistory:
    """Recusals, rules, refusals, closed leads, absent members, and pushes of the past."""
    rng = np.random.default_rng(seed)
    people = [f"m{i}" for i in range(MEMBER_COUNT)]
    leads = [f"l{i}" for i in range(LEAD_COUNT)]
    for _ in range(rng.integers(0, 8)):
        put(snapshot, Conflict(str(rng.choice(people)), lead_id=str(rng.choice(leads))))
    if rng.random() < 0.5:
        put(snapshot, Organization("city", "市政协", jurisdiction="OWN"))
    for number in rng.integers(0, MEMBER_COUNT, 3).tolist():
        put(snapshot, replace(member(number), active=bool(rng.random() < 0.5)))
    for number in rng.integers(0, LEAD_COUNT, 4).tolist():
        state = LeadState(int(rng.choice([LeadState.CLOSED, LeadState.OPEN])))
        put(snapshot, replace(lead(number), state=state))
    for _ in range(rng.integers(0, 10)):
        pair = str(rng.choice(people)), str(rng.choice(leads))
        reason = DismissReason(int(rng.integers(1, 5)))
        snapshot.history.add(Event(EventKind.DISMISSED, NOW_US - DAY_US, *pair, reason=reason))
    pairs = {(str(rng.choice(people)), str(rng.choice(leads))) for _ in range(rng.integers(0, 40))}
    pushes = tuple(
        PastPush(*pair, NOW_US - int(rng.integers(0, 240)) * HOUR_US) for pair in sorted(pairs)
    )
    return PushHistory(pushes, claimed=frozenset(rng.choice(leads, 2).tolist()))


@given(situations(), st.booleans())
@settings(max_examples=40, deadline=None)
def test_no_mask_cap_or_bound_is_ever_broken(
    situation: tuple[int, PushConfig], worthless: bool
) -> None:
    seed, config = situation
    snapshot = fresh_snapshot()
    if worthless:  # nobody would take anything: a masked pair is no better than that
        calibration = snapshot.bundle.calibration._replace(probabilities=np.zeros(3, np.float32))
        snapshot.bundle = replace(snapshot.bundle, calibration=calibration)
    history = happened(snapshot, seed)
    plan = plan_of(snapshot, config, history)
    assert_keeps_everything(snapshot, plan, config, history)
    if worthless:
        assert all(push.probability == 0.0 for push in plan.pushes)
    assert all(0.0 < push.propensity <= 1.0 for push in plan.pushes)


@given(situations())
@settings(max_examples=20, deadline=None)
def test_an_open_lead_is_pushed_or_told_why_not(situation: tuple[int, PushConfig]) -> None:
    seed, config = situation
    snapshot = fresh_snapshot()
    history = happened(snapshot, seed)
    plan = plan_of(snapshot, config, history)
    served = {push.lead_id for push in plan.pushes}
    rows = range(len(snapshot.leads))
    names = {snapshot.leads.identifier(row) for row in rows}
    for lead_id in names:
        row = snapshot.leads.row(lead_id)
        columns, local = snapshot.leads.locate(row)
        is_open = columns.state[local] == LeadState.OPEN and columns.alive[local]
        assert (lead_id in served) != (lead_id in plan.unserved) or not is_open
    assert all(lead.text for lead in plan.unserved.values())


def test_the_same_seed_gives_the_same_plan(snapshot: Snapshot) -> None:
    config = msgspec.structs.replace(OPEN, explore=0.5, seed=3)
    first, second = plan_of(snapshot, config), plan_of(fresh_snapshot(), config)
    assert first.pushes == second.pushes
    other = msgspec.structs.replace(config, seed=4)
    assert plan_of(snapshot, other).pushes != first.pushes


def test_coverage_comes_before_chance_of_success(snapshot: Snapshot) -> None:
    """Twelve leads without a push so far, twelve members with one place each: a perfect match."""
    config = msgspec.structs.replace(
        OPEN, waves=Waves(least=(1,), most=(3,), escalate=False), caps=Caps(plan=1), candidates=1
    )
    plan = plan_of(snapshot, config)
    assert plan.figures.servable_count == LEAD_COUNT // 2
    assert plan.figures.coverage == 1.0
    assert plan.figures.repaired_count > 0
    assert {push.facts.source for push in plan.pushes} == {Source.OPTIMUM, Source.REPAIR}


def test_every_limit_is_named_when_caps_are_used_up(snapshot: Snapshot) -> None:
    put(snapshot, replace(member(0), weekly_push_limit=0))
    snapshot.history.add(
        Event(EventKind.DISMISSED, NOW_US - DAY_US, "m1", "l5", reason=DismissReason.BUSY)
    )
    history = PushHistory(
        pushes=tuple(PastPush(f"m{i}", "l0", NOW_US - HOUR_US) for i in range(2, MEMBER_COUNT))
    )
    plan = plan_of(snapshot, OPEN, history)
    assert plan.pushes == ()
    found = plan.unserved["l13"]
    assert found.reason is Unserved.CAPS_USED
    assert found.removed["OWN_LIMIT"] == 1
    assert found.removed["BUSY"] == 1
    assert found.removed["GAP"] == MEMBER_COUNT - 2
    assert "委员自设的每周上限：1人" in found.text


def test_waves_widen_when_the_deadline_passes(snapshot: Snapshot) -> None:
    """l12 has urgency 0: four days a wave, and shorter for urgent ones."""
    caps = Caps(plan=24, day=24, week=24, gap_hours=0.0)
    config = msgspec.structs.replace(OPEN, caps=caps)
    first = plan_of(snapshot, config)
    wave = tuple(
        PastPush(p.member_id, p.lead_id, NOW_US, p.wave)
        for p in first.pushes
        if p.lead_id in ("l12", "l15")
    )
    assert {p.wave for p in wave} == {0}
    assert 1 <= sum(p.lead_id == "l12" for p in wave) <= 3
    soon = plan_of(snapshot, config, PushHistory(wave), NOW_US + 20 * HOUR_US)
    assert soon.unserved["l12"].reason is Unserved.WAITING
    assert {p.wave for p in soon.pushes if p.lead_id == "l15"} == {1}, "urgent: 18 hours"
    later = plan_of(snapshot, config, PushHistory(wave), NOW_US + 97 * HOUR_US)
    second = [p for p in later.pushes if p.lead_id == "l12"]
    assert {p.wave for p in second} == {1}
    assert {p.member_id for p in second}.isdisjoint(p.member_id for p in wave if p.lead_id == "l12")


def test_a_lead_nobody_took_goes_to_the_level_above_and_then_to_people(
    snapshot: Snapshot,
) -> None:
    put(
        snapshot,
        Organization("county", "区政协", "city", 3),
        replace(lead(4), organization_id="county"),
    )
    waves = Waves(least=(1,), most=(1,))
    config = msgspec.structs.replace(OPEN, waves=waves)
    old = NOW_US - 10 * DAY_US
    history = PushHistory((PastPush("m1", "l4", old, 0),))
    plan = plan_of(snapshot, config, history)
    escalated = [p for p in plan.pushes if p.lead_id == "l4"]
    assert [e.to_organization_id for e in plan.escalations] == ["city"]
    assert all(int(p.member_id[1:]) % 2 == 1 for p in escalated), "members of the city's"
    done = PushHistory((*history.pushes, PastPush("m3", "l4", old, 1)))
    assert "l4" in plan_of(snapshot, config, done).nobody_took


def test_a_claimed_lead_and_a_paused_organization_get_nothing(snapshot: Snapshot) -> None:
    history = PushHistory(claimed=frozenset({"l7"}))
    plan = plan_of(snapshot, OPEN, history)
    assert plan.unserved["l7"].reason is Unserved.IN_HAND
    paused = PushHistory(paused_organizations=frozenset({"city"}))
    plan = plan_of(snapshot, OPEN, paused)
    assert plan.pushes == ()
    assert {found.reason for found in plan.unserved.values()} == {Unserved.PAUSED}


def test_see_less_and_ignored_pushes_lower_the_cap(snapshot: Snapshot) -> None:
    roomy = msgspec.structs.replace(OPEN, caps=Caps(plan=6, day=6, week=6, ignored_after=2))
    usual = Counter(p.member_id for p in plan_of(snapshot, roomy).pushes)
    name = usual.most_common(1)[0][0]
    assert usual[name] > 2
    snapshot.history.add(Event(EventKind.SEE_LESS, NOW_US - HOUR_US, name))
    assert Counter(p.member_id for p in plan_of(snapshot, roomy).pushes)[name] <= 1
    snapshot.history.asked_less_us.clear()
    for number in range(2):  # ten days ago, unanswered
        put(snapshot, Lead(f"old{number}", ago_us(12.0), state=LeadState.CLOSED))
    ignored = PushHistory(tuple(PastPush(name, f"old{i}", ago_us(10.0)) for i in range(2)))
    fewer = plan_of(snapshot, roomy, ignored)
    assert Counter(p.member_id for p in fewer.pushes)[name] <= 3


def test_holdout_members_and_leads_are_left_out(snapshot: Snapshot) -> None:
    nobody = msgspec.structs.replace(OPEN, holdout=Holdout(members=1.0))
    assert plan_of(snapshot, nobody).pushes == ()
    nothing = msgspec.structs.replace(OPEN, holdout=Holdout(leads=1.0))
    plan = plan_of(snapshot, nothing)
    assert {found.reason for found in plan.unserved.values()} == {Unserved.HOLDOUT}
    chance = msgspec.structs.replace(OPEN, holdout=Holdout(chance_leads=1.0))
    drawn = plan_of(snapshot, chance).pushes
    assert drawn
    assert {push.facts.source for push in drawn} == {Source.EXPLORED}
    assert min(push.propensity for push in drawn) < 1.0


def test_only_urgent_leads_are_pushed_on_arrival(snapshot: Snapshot) -> None:
    put(snapshot, replace(lead(0), lead_id="new", urgency=3, create_time_us=NOW_US))
    put(snapshot, replace(lead(0), lead_id="calm", urgency=1, create_time_us=NOW_US))
    pipeline = Pipeline(snapshot, clock=lambda: NOW_US)
    plan = plan_arrival(pipeline, OPEN, NOW_US, PushHistory(), ["new", "calm", "unknown"])
    assert {push.lead_id for push in plan.pushes} == {"new"}
    assert {push.facts.source for push in plan.pushes} == {Source.ARRIVAL}


def test_a_spread_bound_evens_the_load_out(snapshot: Snapshot) -> None:
    """One member more willing than all others is not asked everything."""
    caps = Caps(plan=9, day=9, week=9)
    waves = Waves(least=(1,), most=(1,))
    free = msgspec.structs.replace(OPEN, caps=caps, waves=waves)
    even = msgspec.structs.replace(free, busiest_share=0.15)
    before, after = plan_of(snapshot, free).figures, plan_of(snapshot, even).figures
    assert after.busiest_share <= 0.15
    assert before.busiest_share > after.busiest_share
    assert after.coverage == before.coverage == 1.0


def test_configuration_is_read_and_refused_in_words(tmp_path: Path) -> None:

    file = tmp_path / "push.toml"
    file.write_text("[push]\nexplore = 0.1\n[push.caps]\nweek = 3\n", "utf-8")
    assert read_push_config(file).caps.week == 3
    file.write_text("[push.caps]\nweekly = 3\n", "utf-8")
    with pytest.raises(ConfigError, match="weekly"):
        read_push_config(file)
    with pytest.raises(ConfigError, match="least <= most"):
        PushConfig(waves=Waves(least=(4, 1, 1, 1, 1)))


def test_a_member_without_a_record_of_limits_is_no_member(snapshot: Snapshot) -> None:
    """Deleted members and leads take no part."""
    snapshot.members.delete("m0")
    snapshot.leads.delete("l0")
    plan = plan_of(snapshot)
    assert "l0" not in plan.unserved
    assert all(push.member_id != "m0" and push.lead_id != "l0" for push in plan.pushes)
    put(snapshot, Member("m99", organization_id="city"))
    assert plan_of(snapshot).figures.due_count == LEAD_COUNT - 1


def test_who_is_left_out_is_told_why_without_names(snapshot: Snapshot) -> None:
    plan = plan_of(snapshot, msgspec.structs.replace(OPEN, caps=Caps(plan=1)))
    first = plan.pushes[0]
    assert why_not(plan, first.member_id, first.lead_id) == ""
    assert "不在本次" in why_not(plan, first.member_id, "unknown")
    told = [
        why_not(plan, push.member_id, other.lead_id)
        for push in plan.pushes
        for other in plan.pushes
        if other.lead_id != push.lead_id
    ]
    assert any(text.startswith("您本次的推送名额已用于") for text in told)
    people = [f"m{i}" for i in range(MEMBER_COUNT)]
    assert not any(name in text for text in told for name in people)
    waiting = next(iter(plan.unserved))
    assert (
        why_not(plan, first.member_id, waiting)
        == f"{UNSERVED_TEXTS[plan.unserved[waiting].reason]}。"
    )

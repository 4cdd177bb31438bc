"""The simulated province: reproducible, consistent with itself, and true to its stated truth."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from benchmarks.__main__ import main
from benchmarks.province.arrays import haversine_km
from benchmarks.province.config import DAY_US, LOCAL_OFFSET_US
from benchmarks.province.noise import pair_normal
from benchmarks.province.policy import make_push_policy
from benchmarks.province.race import Outcome
from benchmarks.province.tables import province_tables
from benchmarks.workload import (
    WORLD_VERSION,
    Province,
    ProvinceConfig,
    generate,
    write_dataset,
)
from features.entities import DismissReason, EventKind
from features.errors import DataError

LAYOUT = {
    "members": "member_id organization_id name sector expertise topics region_code latitude "
    "longitude places weekly_push_limit active join_time",
    "leads": "lead_id create_time organization_id source author_id title body topics region_code "
    "latitude longitude urgency support_count state close_time claim_capacity",
    "events": "event_id kind time member_id lead_id position attribution_token push_id wave "
    "propensity model_version rating reason",
    "organizations": "organization_id name parent_id level region_code jurisdiction push_schedule "
    "time_zone quiet_hours",
    "conflicts": "member_id lead_id author_id organization_id reason",
}
TIME = "%Y-%m-%dT%H:%M:%S%.f%:z"


@pytest.fixture(scope="module")
def small() -> Province:
    return generate(ProvinceConfig(), seed=3)


@pytest.fixture(scope="module")
def large() -> Province:
    return generate(ProvinceConfig(members=4_000, leads=9_000, events=180_000), seed=5)


@pytest.fixture(scope="module")
def tables(small: Province) -> dict[str, pl.DataFrame]:
    return province_tables(small)


def micros(column: pl.Series) -> NDArray[np.int64]:
    """RFC 3339 text as microseconds since the epoch."""
    parsed = column.str.to_datetime(TIME, time_unit="us", time_zone="UTC")
    return parsed.to_physical().to_numpy()


# --- the data set -------------------------------------------------------------------------------


@pytest.mark.parametrize("format_", ["csv.gz", "parquet"])
def test_same_seed_same_bytes_and_another_seed_other_bytes(tmp_path: Path, format_: str) -> None:
    config = ProvinceConfig(members=120, leads=200, events=2_000)
    contents = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        files = write_dataset(
            generate(config, seed),
            tmp_path / name,
            "parquet" if format_ == "parquet" else "csv.gz",
            with_truth=True,
        )
        contents.append({f.relative_to(tmp_path / name): f.read_bytes() for f in files})
    assert contents[0] == contents[1]
    assert all(contents[0][f] != contents[2][f] for f in contents[0] if "organ" not in f.name)


def test_tables_have_the_layout_and_nothing_of_the_truth(
    small: Province, tables: dict[str, pl.DataFrame], tmp_path: Path
) -> None:
    assert {name: " ".join(table.columns) for name, table in tables.items()} == LAYOUT
    write_dataset(small, tmp_path / "plain")
    assert sorted(f.name for f in (tmp_path / "plain").iterdir()) == sorted(
        f"{name}.csv.gz" for name in LAYOUT
    )
    write_dataset(small, tmp_path / "full", with_truth=True)
    exposures = pl.read_csv(tmp_path / "full" / "truth" / "exposures.csv.gz")
    assert len(exposures) == len(small.log.settled.exposures)
    assert {"CLAIMED", "LOST_RACE"} < set(exposures["outcome"])


def test_sizes_are_met(small: Province, large: Province) -> None:
    for p in (small, large):
        assert (len(p.members), len(p.leads)) == (p.config.members, p.config.leads)
        assert len(p.log.events) == pytest.approx(p.config.events, rel=0.03)
        assert len(p.open_rows) == p.config.open_target
        assert 0.1 < len(p.new_rows) / len(p.open_rows) < 0.5
    assert len(small.lexicon.sectors) == 31
    assert len(small.lexicon.topics) >= 25
    assert set(large.members.sector.tolist()) == set(range(31))


def test_organizations_are_a_tree_of_three_levels(tables: dict[str, pl.DataFrame]) -> None:
    rows = {row["organization_id"]: row for row in tables["organizations"].to_dicts()}
    assert {row["level"] for row in rows.values()} == {1, 2, 3}
    for row in rows.values():
        if row["level"] == 1:
            assert row["parent_id"] is None
        else:
            parent = rows[row["parent_id"]]
            assert parent["level"] == row["level"] - 1
            assert row["region_code"].startswith(parent["region_code"])


def test_every_id_is_known(tables: dict[str, pl.DataFrame]) -> None:
    members, leads = set(tables["members"]["member_id"]), set(tables["leads"]["lead_id"])
    organizations = set(tables["organizations"]["organization_id"])
    events, conflicts = tables["events"], tables["conflicts"]
    assert events["event_id"].is_unique().all()
    assert set(events["member_id"]) <= members
    assert set(events["lead_id"].drop_nulls()) <= leads
    assert set(events.filter(pl.col("lead_id").is_null())["kind"]) <= {"SEE_LESS"}
    assert set(tables["members"]["organization_id"]) <= organizations
    assert set(tables["leads"]["organization_id"]) <= organizations
    assert {a for a in tables["leads"]["author_id"] if a.startswith("m")} <= members
    assert set(conflicts["member_id"]) <= members
    assert set(conflicts["lead_id"].drop_nulls()) <= leads
    assert set(conflicts["organization_id"].drop_nulls()) <= organizations
    named = conflicts.select("lead_id", "author_id", "organization_id")
    assert (named.select(pl.sum_horizontal(pl.all().is_not_null())).to_series() == 1).all()


def test_regions_and_coordinates_agree(tables: dict[str, pl.DataFrame]) -> None:
    for name in ("members", "leads"):
        codes = tables[name]["region_code"].drop_nulls()
        assert codes.str.contains(r"^43(\d\d){1,2}(\d{3})?$").all()
        assert 0 < tables[name]["latitude"].null_count() < len(tables[name])
        known = tables[name].filter(pl.col("latitude").is_not_null())
        assert known["latitude"].is_between(24, 31).all()
        assert known["longitude"].is_between(108, 115).all()


def test_events_fall_after_creation_mostly_within_two_weeks(
    small: Province, large: Province, tables: dict[str, pl.DataFrame]
) -> None:
    joined = tables["events"].join(tables["leads"], on="lead_id", maintain_order="left")
    assert (micros(joined["time"]) >= micros(joined["create_time"])).all()
    assert micros(tables["events"]["time"]).max() < small.config.end_time_us
    assert (np.diff(micros(tables["events"]["time"])) >= 0).all()
    closed = joined.filter(pl.col("close_time").is_not_null())
    assert (micros(closed["close_time"]) > micros(closed["time"])).all()
    events = large.log.events
    age_us = events.time_us - large.leads.create_us[events.lead]
    assert (age_us[events.lead >= 0] < 14 * DAY_US).mean() > 0.85


def test_states_fit_what_happened(tables: dict[str, pl.DataFrame]) -> None:
    leads, events = tables["leads"], tables["events"]
    states = dict(leads["state"].value_counts().iter_rows())
    assert states["CLOSED"] > 0.6 * len(leads)
    assert set(states) == {"OPEN", "CLAIMED", "CLOSED", "WITHDRAWN"}
    claims = events.filter(pl.col("kind") == "CLAIMED").group_by("lead_id").len()
    limited = leads.filter(pl.col("claim_capacity").is_not_null()).join(claims, on="lead_id")
    assert (limited["len"] <= limited["claim_capacity"]).all()
    taken = limited.filter(pl.col("state") == "CLAIMED")
    assert (taken["len"] == taken["claim_capacity"]).all()
    still_open = limited.filter(pl.col("state") == "OPEN")
    assert (still_open["len"] < still_open["claim_capacity"]).all()


def test_every_kind_happens_and_follows_what_it_must(tables: dict[str, pl.DataFrame]) -> None:
    events = tables["events"].with_row_index("row")
    assert set(events["kind"]) == {kind.name for kind in EventKind}
    first = events.group_by("member_id", "lead_id", "kind").agg(pl.col("row").min())
    wide = first.pivot("kind", index=["member_id", "lead_id"], values="row")
    exposed = pl.min_horizontal("PUSHED", "SHOWN")
    before = {"CLAIMED": pl.col("OPENED"), "RESOLVED": pl.col("CLAIMED"), "OPENED": exposed}
    before |= {"DISMISSED": exposed, "RATED": pl.col("RESOLVED"), "RELEASED": pl.col("CLAIMED")}
    for kind, earlier in before.items():
        rows = wide.filter(pl.col(kind).is_not_null())
        assert rows.select((earlier < pl.col(kind)).fill_null(False).all()).item(), kind
    assert events.filter(pl.col("kind") == "DISMISSED")["reason"].is_not_null().all()
    assert events.filter(pl.col("kind") == "RATED")["rating"].is_between(1, 5).all()


# --- the log ------------------------------------------------------------------------------------


def test_exposures_respect_masks_tenure_and_new_leads() -> None:
    config = ProvinceConfig(members=400, leads=900, events=12_000, jurisdictions="tiered")
    p = generate(config, seed=8)
    x = p.log.settled.exposures
    assert not p.organizations.allowed.all()
    assert p.masks.allowed(x.member, x.lead).all()
    assert (p.leads.author[x.lead] != x.member).all()
    assert p.members.here(x.member, x.time_us).all()
    assert not p.leads.untouched[x.lead].any()
    assert len(np.unique(x.member * (1 << 32) + x.lead)) == len(x)
    hour = (x.time_us[x.position < 0] + LOCAL_OFFSET_US) % DAY_US / (DAY_US / 24)
    assert hour.min() >= 8
    assert hour.max() <= 20


def test_a_conflict_of_each_kind_masks_its_pairs(large: Province) -> None:
    conflicts, masks = large.conflicts, large.masks
    for member, kind, target in zip(
        conflicts.member, conflicts.kind, conflicts.target, strict=True
    ):
        column = (np.arange(len(large.leads)), large.leads.author, large.leads.organization)[kind]
        rows = np.flatnonzero(column == target)
        assert not masks.allowed(np.full(len(rows), member), rows).any()
    everyone = np.arange(len(large.members))
    assert masks.allowed(everyone, np.zeros_like(everyone)).mean() > 0.99


def test_push_propensity_is_the_law_of_the_draws(small: Province) -> None:
    policy = make_push_policy(
        small.geography, small.members, small.leads, len(small.lexicon.topics)
    )
    members = np.arange(len(small.members))
    listed = np.flatnonzero(small.leads.listed[:, 0] >= 0)[0]
    unlisted = np.flatnonzero(small.leads.listed[:, 0] < 0)[0]
    draws = 200_000
    for lead in (listed, unlisted):
        drawn = policy.draw(np.random.default_rng(0), np.full(draws, lead))
        seen = np.bincount(drawn[drawn >= 0], minlength=len(members)) / draws
        q = policy.propensity(members, np.full(len(members), lead))
        assert q.sum() == pytest.approx((drawn >= 0).mean(), abs=0.005)
        assert np.abs(seen - q).max() < 6 * math.sqrt(q.max() / draws)


def test_the_logging_policy_is_neither_random_nor_certain(large: Province) -> None:
    x, rng = large.log.settled.exposures, np.random.default_rng(1)
    assert ((x.propensity > 0) & (x.propensity <= 1)).all()
    someone = rng.permutation(x.member)
    near = np.median(large.truth.distance_km(x.member, x.lead))
    assert near < 0.6 * np.median(large.truth.distance_km(someone, x.lead))
    assert large.truth.expertise(x.member, x.lead).mean() > 1.5 * (
        large.truth.expertise(someone, x.lead).mean()
    )


def test_lost_races_are_in_the_truth_and_not_in_the_log(large: Province) -> None:
    settled, events = large.log.settled, large.log.events
    x, capacity = settled.exposures, large.leads.capacity
    lost = np.flatnonzero(settled.outcome == Outcome.LOST_RACE)
    assert (x.position[lost] < 0).sum() > 20
    claimed = events.exposure[events.kind == EventKind.CLAIMED]
    assert not np.isin(lost, claimed).any()
    assert np.isin(lost, events.exposure[events.kind == EventKind.OPENED]).mean() > 0.99
    assert not np.isin(lost, events.exposure[events.kind == EventKind.DISMISSED]).any()
    won = settled.outcome == Outcome.CLAIMED
    for row in lost[:50]:
        rivals = won & (x.lead == x.lead[row]) & (x.claim_us <= x.claim_us[row])
        assert rivals.sum() == capacity[x.lead[row]] > 0
    late = settled.outcome == Outcome.TOO_RECENT
    assert late.any()
    assert (x.claim_us[late] >= large.config.end_time_us).all()


# --- the oracle ---------------------------------------------------------------------------------


def test_claims_come_as_often_as_the_oracle_says(large: Province) -> None:
    x = large.log.settled.exposures
    would = large.log.settled.outcome != Outcome.NOTHING
    oracle = large.claim_probability(x.member, x.lead, x.time_us, x.position)
    np.testing.assert_array_equal(oracle, x.probability)
    for part in np.array_split(np.argsort(oracle), 10):
        error = math.sqrt((oracle[part] * (1 - oracle[part])).sum()) / len(part)
        assert would[part].mean() == pytest.approx(oracle[part].mean(), abs=4 * error)


def test_near_expert_willing_and_first_slots_claim_more(large: Province) -> None:
    x = large.log.settled.exposures
    would = large.log.settled.outcome != Outcome.NOTHING
    push = x.position < 0
    distance = large.truth.distance_km(x.member, x.lead)
    expert = large.truth.expertise(x.member, x.lead)
    will = large.members.willingness[x.member]
    for better, worse in (
        (push & (distance < 10), push & (distance > 60)),
        (push & (expert > 0.4), push & (expert == 0)),
        (push & (will > 1), push & (will < -1)),
        (x.position == 0, x.position == 6),
    ):
        assert would[better].mean() > 1.5 * would[worse].mean()


def test_oracle_is_the_formula_written_down(small: Province) -> None:
    rng = np.random.default_rng(2)
    m, ell = rng.integers(0, 600, 40), rng.integers(0, 1500, 40)
    t = small.leads.create_us[ell] + rng.integers(0, 60 * DAY_US, 40)
    position = rng.integers(-1, 10, 40)
    expected = [formula(small, *row) for row in zip(m, ell, t, position, strict=True)]
    np.testing.assert_allclose(small.claim_probability(m, ell, t, position), expected, rtol=1e-6)


def formula(p: Province, m: int, ell: int, t: int, position: int) -> float:
    """The docstring of the oracle, once more, for one pair and without arrays."""
    who, lead, topics = p.members, p.leads, p.lexicon.topics
    k, second = int(lead.topic[ell]), int(lead.second_topic[ell])
    weight = float(lead.second_weight[ell]) if second >= 0 else 0.0
    mix = {k: 1 - weight, **({second: weight} if weight else {})}
    x = sum(w * who.expertise[m, j] for j, w in mix.items())
    places = [
        haversine_km(
            who.latitude[m, i], who.longitude[m, i], lead.latitude[ell], lead.longitude[ell]
        )
        for i in range(3)
        if not np.isnan(who.latitude[m, i])
    ]
    d, u, days = float(min(places)), int(lead.urgency[ell]), t / DAY_US
    turned = 1 / (1 + math.exp(-(t - who.turn_us[m]) / DAY_US / who.turn_days[m]))
    early, late = who.early_interest[m], who.late_interest[m]
    interest = sum(w * (early[j] + turned * (late[j] - early[j])) for j, w in mix.items())
    known = int(lead.facet[ell]) in who.facets[m].tolist()
    month = int((t - p.config.start_time_us) / (365.25 / 12 * DAY_US))
    peak = topics[k].season
    season = 0.35 * math.cos(2 * math.pi * (days / 365.25 % 1 - (peak - 0.5) / 12)) if peak else 0
    hour = (t + LOCAL_OFFSET_US) % DAY_US // (DAY_US // 24)
    spare = 12 <= hour < 14 or 19 <= hour < 22
    hours = 0.40 * (9 <= hour < 17) if who.retired[m] else 0.25 * spare
    z = (
        -2.7
        + who.willingness[m]
        + 0.3 * math.sin(2 * math.pi * days / 620 + who.willingness_phase[m])
        + topics[k].expertise * (x + 0.6 * known)
        - topics[k].distance * (1 - 0.5 * x) * math.log(1 + d / 4)
        + 0.35 * (who.county[m] == lead.county[ell])
        + 0.8 * interest
        + who.taste[m, lead.style[ell]]
        + u * (0.10 + 0.25 * math.exp(-d / 15))
        + lead.appeal[ell]
        + season
        + p.truth.trend[k, month]
        - 0.22 * math.log(1 + (t - lead.create_us[ell]) / DAY_US / 2)
        + hours
        + 0.25 * pair_normal(p.seed, np.array([m]), np.array([ell]))[0]
    )
    return float((1 if position < 0 else (1 + position) ** -0.6) / (1 + math.exp(-z)))


def test_noise_belongs_to_the_pair_and_can_be_left_out(small: Province) -> None:
    m, ell = np.divmod(np.arange(600 * 200), 200)
    noise = pair_normal(3, m, ell)
    assert abs(noise.mean()) < 0.02
    assert noise.std() == pytest.approx(1, abs=0.02)
    grid = noise.reshape(600, 200)
    assert abs(np.corrcoef(grid[:-1].ravel(), grid[1:].ravel())[0, 1]) < 0.02
    order = np.random.default_rng(0).permutation(len(m))
    np.testing.assert_array_equal(pair_normal(3, m[order], ell[order]), noise[order])
    assert abs(np.corrcoef(noise, pair_normal(4, m, ell))[0, 1]) < 0.02
    now = small.config.end_time_us
    with_noise = small.truth.logit(m, ell, now) - small.truth.logit(m, ell, now, noise=False)
    np.testing.assert_allclose(with_noise, 0.25 * noise, atol=1e-9)
    assert (small.claim_probability(m, ell, now, noise=False) > 0).all()


def test_refusals_have_reasons_that_fit(large: Province) -> None:
    e = large.log.events
    rows = (e.kind == EventKind.DISMISSED) & (e.lead >= 0)
    member, lead, reason = e.member[rows], e.lead[rows], e.reason[rows]
    distance, expert = large.truth.distance_km(member, lead), large.truth.expertise(member, lead)
    will = large.members.willingness[member]
    far, field, busy = (
        reason == r for r in (DismissReason.TOO_FAR, DismissReason.NOT_MY_FIELD, DismissReason.BUSY)
    )
    assert np.median(distance[far]) > 1.5 * np.median(distance[field])
    assert expert[field].mean() < 0.5 * expert[busy].mean()
    assert will[busy].mean() < will[far].mean() - 0.2


def test_the_world_is_heavy_tailed_rural_and_urban(large: Province) -> None:
    x = large.log.settled
    claims = np.bincount(x.exposures.member[x.outcome == Outcome.CLAIMED], minlength=4_000)
    top = np.sort(claims)[::-1]
    assert top[:40].sum() > 0.05 * claims.sum()
    assert (claims == 0).mean() > 0.2
    assert 0.03 < 1 - len(np.unique(large.log.events.member)) / 4_000 < 0.15
    assert 0.2 < large.member_rural.mean() < 0.6
    assert large.lead_rural.mean() < 0.8 * large.member_rural.mean()
    names = np.array([topic.name for topic in large.lexicon.topics])[large.leads.topic]
    village = names == "乡村道路"
    assert large.lead_rural[village].mean() > 2 * large.lead_rural[names == "停车管理"].mean()


# --- the words ----------------------------------------------------------------------------------


def test_texts_are_chinese_and_about_their_topic(
    small: Province, tables: dict[str, pl.DataFrame]
) -> None:
    leads, members = tables["leads"], tables["members"]
    for column in (
        leads["title"],
        leads["body"],
        members["expertise"].filter(members["expertise"] != ""),
        members["name"],
    ):
        text = "".join(column)
        chinese = sum("\u4e00" <= c <= "\u9fff" or c in "，。：；、？！" for c in text)
        assert chinese > 0.95 * len(text)
        assert "{" not in text
    assert leads["title"].n_unique() > 0.95 * len(leads)
    assert np.median(leads["body"].str.len_chars().to_numpy()) > 80
    texts = leads["title"] + leads["body"]
    told = small.leads.told_topic == small.leads.topic
    assert told.mean() > 0.94
    facets = [small.lexicon.facets[row] for row in small.leads.facet]
    fits = [
        any(word in text for word in (*facet.objects, *facet.requests))
        for text, facet in zip(texts, facets, strict=True)
    ]
    assert np.array(fits)[told].all()
    assert np.array(fits)[~told].mean() < 0.5


def test_some_leads_and_members_state_no_topic(tables: dict[str, pl.DataFrame]) -> None:
    for name, least, most in (("leads", 0.2, 0.3), ("members", 0.05, 0.3)):
        share = tables[name]["topics"].null_count() / len(tables[name])
        assert least < share < most


def test_topics_have_dozens_of_words(small: Province) -> None:
    for topic, facets in zip(small.lexicon.topics, small.lexicon.facets_of, strict=True):
        rows = [small.lexicon.facets[f] for f in facets]
        assert len({word for row in rows for word in row.objects}) >= 18, topic.name
        assert len({word for row in rows for word in row.problems}) >= 18, topic.name
        assert len({word for row in rows for word in row.requests}) >= 12, topic.name


# --- the way in ---------------------------------------------------------------------------------


def test_command_writes_a_province_and_sums_it_up(tmp_path: Path) -> None:
    sizes = ["--members", "100", "--leads", "150", "--events", "1500"]
    result = CliRunner().invoke(main, ["workload", *sizes, "--out", str(tmp_path / "p")])
    assert result.exit_code == 0, result.output
    assert "lost races" in result.output
    assert len(pl.read_csv(tmp_path / "p" / "members.csv.gz")) == 100


def test_command_refuses_more_leads_than_events(tmp_path: Path) -> None:
    arguments = ["workload", "--leads", "500", "--events", "100", "--out", str(tmp_path / "p")]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert not (tmp_path / "p").exists()


def test_impossible_provinces_are_refused() -> None:
    with pytest.raises(DataError, match="at least 50 members"):
        ProvinceConfig(members=3)
    with pytest.raises(DataError, match="years"):
        ProvinceConfig(years=0.01)
    with pytest.raises(DataError, match="no cities"):
        generate(replace(ProvinceConfig(), province_code="99"))


def test_the_world_is_frozen(small: Province) -> None:
    """If this fails on purpose, count WORLD_VERSION up: older figures no longer compare."""
    assert WORLD_VERSION == 1
    rows = np.arange(5)
    chances = small.claim_probability(rows, rows + 700, small.config.end_time_us)
    assert chances == pytest.approx([0.005925, 0.003862, 0.001029, 0.041749, 0.068209], rel=1e-3)
    assert small.titles[700] == "关于三江镇校园欺凌的几点建议"
    assert len(small.log.events) == 24905

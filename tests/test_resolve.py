"""What a request restricts itself to: from ids and codes to the rows that fit, both ways."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import pytest
from support.changes import apply_steps
from support.worlds import NOW_US, tiny_dataset

from features.entities import Lead, Member
from features.location import member_places
from recsvc.errors import InvalidRegionCodeError
from recsvc.matching.candidates import CandidateConfig
from recsvc.matching.lead_filter import filter_leads
from recsvc.matching.listed_members import MemberConfig, listed_members
from recsvc.matching.masks import Masked, mask_leads, mask_members
from recsvc.matching.member_filter import filter_members
from recsvc.matching.queries import Wanted
from recsvc.matching.resolve import resolve
from recsvc.matching.retrieve import listed_leads
from recsvc.model.arrays import stable_key
from recsvc.model.snapshot import Snapshot
from recsvc.model.verdicts import Verdict


def leads_for(snapshot: Snapshot, member_id: str, wanted: Wanted) -> set[str]:
    """Leads that the member may have and the request wants."""
    eligibility, _ = resolve(snapshot, wanted, snapshot.leads)
    row = snapshot.members.row(member_id)
    masked = mask_leads(snapshot, row, eligibility, NOW_US)
    filtered = filter_leads(snapshot, row, NOW_US, eligibility)
    found = kept(snapshot.leads.identifiers(), snapshot.leads.row, masked)
    # The filter that does not look at every lead says the same as the one that does.
    assert (filtered.eligible_count, filtered.removed) == (len(found), masked.removed)
    for config in (CandidateConfig(), CandidateConfig(all_below=0, close_below=0)):
        filtered = filter_leads(snapshot, row, NOW_US, eligibility)
        rows = listed_leads(snapshot, row, filtered, 40, config)
        assert {snapshot.leads.identifier(r) for r in rows.tolist()} == found
    return found


def members_for(snapshot: Snapshot, lead_id: str, wanted: Wanted) -> set[str]:
    eligibility, _ = resolve(snapshot, wanted, snapshot.members)
    columns, local = snapshot.leads.locate(snapshot.leads.row(lead_id))
    masked = mask_members(snapshot, columns, local, lead_id, eligibility, NOW_US)
    filtered = filter_members(snapshot, columns, local, lead_id, NOW_US, eligibility)
    found = kept(snapshot.members.identifiers(), snapshot.members.row, masked)
    assert (filtered.eligible_count, filtered.removed) == (len(found), masked.removed)
    for config in (MemberConfig(), MemberConfig(all_below=0)):
        filtered = filter_members(snapshot, columns, local, lead_id, NOW_US, eligibility)
        rows = listed_members(snapshot, columns, local, filtered, 40, config)
        assert {snapshot.members.identifier(r) for r in rows.tolist()} == found
    return found


def kept(ids: Iterable[str], row: Callable[[str], int], masked: Masked) -> set[str]:
    return {i for i in ids if masked.at(row(i)) is Verdict.KEPT}


@pytest.fixture
def mixed(snapshot: Snapshot) -> Snapshot:
    """A world with rows in both segments."""
    for i in (2, 5, 9, 30):
        apply_steps(
            snapshot,
            replace(tiny_dataset().members[i], name="改名"),
            replace(tiny_dataset().leads[i], source="改"),
        )
    return snapshot


def member_of(member_id: str) -> Member:
    return next(m for m in tiny_dataset().members if m.member_id == member_id)


def lead_of(lead_id: str) -> Lead:
    return next(lead for lead in tiny_dataset().leads if lead.lead_id == lead_id)


def likely_topics(snapshot: Snapshot, member_id: str) -> list[str]:
    """Those that the profile leaves out."""
    columns, local = snapshot.members.locate(snapshot.members.row(member_id))
    inferred = columns.topics[local, columns.topics_named[local] :]
    return [snapshot.bundle.space.topics.names.ids[t] for t in inferred if t >= 0]


ASKING = ("m0", "m2", "m12", "m30")
WANTED_LEADS = ("l9", "l34", "l57", "l67")
"""Open leads; of the last nothing is known."""


@pytest.mark.parametrize("topic", ["交通", "养老"])
def test_topics(mixed: Snapshot, topic: str) -> None:
    wanted = Wanted(topics=(topic, "没有这个"))
    for member_id in ASKING:
        found = leads_for(mixed, member_id, wanted)
        every = leads_for(mixed, member_id, Wanted())
        stated = {i for i in every if topic in lead_of(i).topics}
        assert stated <= found <= every
        other = {i for i in every if lead_of(i).topics and topic not in lead_of(i).topics}
        assert not found & other
    for lead_id in WANTED_LEADS:
        every = members_for(mixed, lead_id, Wanted())
        stated = {i for i in every if topic in member_of(i).topics}
        likely = {i for i in every if topic in likely_topics(mixed, i)}
        assert members_for(mixed, lead_id, wanted) == stated | likely


def test_organizations(mixed: Snapshot) -> None:
    wanted = Wanted(organization_ids=("yl", "unlisted", "nobody"))
    for member_id in ASKING:
        every = leads_for(mixed, member_id, Wanted())
        assert leads_for(mixed, member_id, wanted) == {
            i for i in every if lead_of(i).organization_id in ("yl", "unlisted")
        }
    for lead_id in WANTED_LEADS:
        every = members_for(mixed, lead_id, Wanted())
        assert members_for(mixed, lead_id, wanted) == {
            i for i in every if member_of(i).organization_id in ("yl", "unlisted")
        }


@pytest.mark.parametrize("code", ["43", "4301", "430104", "430302000000", "11"])
def test_a_region_and_everything_below_it(mixed: Snapshot, code: str) -> None:
    prefix = code.rstrip("0")
    for member_id in ASKING:
        every = leads_for(mixed, member_id, Wanted())
        assert leads_for(mixed, member_id, Wanted(region_code=code)) == {
            i for i in every if lead_of(i).region_code.startswith(prefix)
        }
    for lead_id in WANTED_LEADS:
        every = members_for(mixed, lead_id, Wanted())
        assert members_for(mixed, lead_id, Wanted(region_code=code)) == {
            i
            for i in every
            if any(p.region_code.startswith(prefix) for p in member_places(member_of(i)))
        }


@pytest.mark.parametrize("km", [0.0, 3.0, 20.0, 20_100.0])
def test_distance_goes_by_the_nearest_place_and_unknown_does_not_fit(
    mixed: Snapshot, km: float
) -> None:
    for lead_id in WANTED_LEADS:
        every = members_for(mixed, lead_id, Wanted())
        assert len(every) > 20
        expected = set()
        for i in every:
            members, local = mixed.members.locate(mixed.members.row(i))
            leads, lead_local = mixed.leads.locate(mixed.leads.row(lead_id))
            own = zip(members.latitude_rad[local], members.longitude_rad[local], strict=True)
            target = leads.latitude_rad[lead_local], leads.longitude_rad[lead_local]
            far = [distance(float(a), float(b), *map(float, target)) for a, b in own]
            if any(d <= km for d in far):
                expected.add(i)
        assert members_for(mixed, lead_id, Wanted(max_distance_km=km)) == expected
        for i in every:
            wanted = Wanted(max_distance_km=km, candidate_ids=(lead_id,))
            assert bool(leads_for(mixed, i, wanted)) == (i in expected)


def distance(lat_a: float, lon_a: float, lat_b: float, lon_b: float) -> float:
    """Kilometres through the Earth's middle angle; NaN when anything is unknown."""
    a, b = (
        np.array([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
        for lat, lon in ((lat_a, lon_a), (lat_b, lon_b))
    )
    return float(6371.0088 * 2.0 * np.arcsin(np.linalg.norm(a - b) / 2.0))


def test_candidates_and_how_many_of_them_are_unknown(mixed: Snapshot) -> None:
    every = leads_for(mixed, "m12", Wanted())
    some = sorted(every)[:3]
    asked = Wanted(candidate_ids=(*some, "l16x", "没有"))
    eligibility, unknown = resolve(mixed, asked, mixed.leads)
    assert unknown == 2
    assert leads_for(mixed, "m12", asked) == set(some)
    assert leads_for(mixed, "m12", Wanted(candidate_ids=())) == set()
    assert eligibility.restricts
    assert not resolve(mixed, Wanted(), mixed.leads)[0].restricts


def test_a_set_of_candidates_may_come_again_and_many_may_come(mixed: Snapshot) -> None:
    for number in range(70):
        asked = Wanted(candidate_ids=("l3", f"new{number}"))
        first = resolve(mixed, asked, mixed.leads)
        assert resolve(mixed, asked, mixed.leads) == first
        assert first[0].candidate_keys == frozenset(map(stable_key, asked.candidate_ids or ()))
        assert first[1] == 1
    assert len(mixed.candidate_keys) <= 64
    mixed.leads.delete("l3")
    assert resolve(mixed, asked, mixed.leads)[1] == 2


def test_all_conditions_hold_at_once(mixed: Snapshot) -> None:
    parts = (
        Wanted(topics=("教育", "环保")),
        Wanted(region_code="4301"),
        Wanted(max_distance_km=12.0),
    )
    both = Wanted(topics=("教育", "环保"), region_code="4301", max_distance_km=12.0)
    for member_id in ASKING:
        each = [leads_for(mixed, member_id, part) for part in parts]
        assert leads_for(mixed, member_id, both) == set.intersection(*each)


@pytest.mark.parametrize("wanted", [Wanted(topics=("没有",)), Wanted(organization_ids=("没有",))])
def test_what_nobody_has_fits_nothing(mixed: Snapshot, wanted: Wanted) -> None:
    assert leads_for(mixed, "m0", wanted) == set()
    assert members_for(mixed, "l67", wanted) == set()


@pytest.mark.parametrize("code", ["ab", "4", "4301040000000", "043"])
def test_a_code_that_is_none_is_the_caller_s_error(snapshot: Snapshot, code: str) -> None:
    with pytest.raises(InvalidRegionCodeError) as caught:
        resolve(snapshot, Wanted(region_code=code), snapshot.leads)
    assert caught.value.field == "eligibility.region_code"
    assert repr(code) in str(caught.value)

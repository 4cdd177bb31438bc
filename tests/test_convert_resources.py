"""Catalog resources: what goes out comes back the same, and what cannot be used is named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from hypothesis import given
from hypothesis import strategies as st

from features.entities import Conflict, Lead, LeadState, Member, Organization, Place
from recsvc.convert import conflicts, leads, masks, members, organizations
from recsvc.convert.masks import masked_attributes
from recsvc.errors import (
    InvalidEnumError,
    InvalidMaskError,
    InvalidNameError,
    InvalidNumberError,
    InvalidScheduleError,
    MissingFieldError,
    ServiceError,
    TextTooLongError,
    TooManyItemsError,
)
from recsvc.v1 import resources_pb2 as pb

NOW_US = 1_800_000_000_000_000
TENANT = "hn"
LETTERS = "abcXYZ019长沙-_.~:@"
IDS = st.text(LETTERS, min_size=1, max_size=20).filter(lambda text: text != "-")
MAYBE_IDS = st.just("") | IDS
TEXTS = st.text(max_size=50)
WORDS = TEXTS.map(str.strip)
TOPICS = st.lists(WORDS.filter(bool), max_size=5, unique=True).map(tuple)
REGIONS = st.sampled_from(["", "43", "4301", "430104", "430104001000"])
TIMES = st.just(0) | st.integers(1, NOW_US)
PLACES = st.none() | st.tuples(st.floats(-90, 90), st.floats(-180, 180))


@st.composite
def some_members(draw: st.DrawFn) -> Member:
    at = draw(PLACES)
    return Member(
        member_id=draw(IDS),
        organization_id=draw(MAYBE_IDS),
        name=draw(TEXTS),
        sector=draw(WORDS),
        expertise=draw(TEXTS),
        topics=draw(TOPICS),
        region_code=draw(REGIONS),
        latitude=at[0] if at else None,
        longitude=at[1] if at else None,
        places=draw(st.lists(some_places(), max_size=3).map(tuple)),
        weekly_push_limit=draw(st.none() | st.integers(0, 1000)),
        active=draw(st.booleans()),
        join_time_us=draw(TIMES),
    )


@st.composite
def some_places(draw: st.DrawFn) -> Place:
    at = draw(PLACES)
    kind = draw(st.sampled_from(["HOME", "WORK", "STUDIO"]))
    return Place(kind, at[0] if at else None, at[1] if at else None, draw(REGIONS))


@st.composite
def some_leads(draw: st.DrawFn) -> Lead:
    at = draw(PLACES)
    return Lead(
        lead_id=draw(IDS),
        create_time_us=draw(TIMES),
        organization_id=draw(MAYBE_IDS),
        source=draw(TEXTS),
        author_id=draw(TEXTS),
        title=draw(TEXTS),
        body=draw(TEXTS),
        topics=draw(TOPICS),
        region_code=draw(REGIONS),
        latitude=at[0] if at else None,
        longitude=at[1] if at else None,
        urgency=draw(st.integers(0, 3)),
        support_count=draw(st.integers(0, 2**31 - 1)),
        state=draw(st.sampled_from(LeadState)),
        close_time_us=draw(TIMES),
        claim_capacity=draw(st.none() | st.integers(0, 2**31 - 1)),
    )


SOME_ORGANIZATIONS = st.builds(
    Organization,
    organization_id=IDS,
    name=TEXTS,
    parent_id=MAYBE_IDS,
    level=st.integers(0, 3),
    region_code=REGIONS,
    jurisdiction=st.lists(
        st.sampled_from(["OWN", "PARENTS", "CHILDREN", "NEIGHBOURS", "ANY"]), unique=True
    ).map(";".join),
    push_schedule=st.sampled_from(["", "0 8 * * 1-5", "*/5 0-6,20 1,15 * 7"]),
    time_zone=st.sampled_from(["Asia/Shanghai", "Asia/Urumqi"]),
    quiet_hours=st.sampled_from(["", "22:00-07:00"]),
)


@given(some_members())
def test_members_come_back(member: Member) -> None:
    sent = members.member_to_proto(member, TENANT)
    assert (
        members.member_from_proto(pb.Member.FromString(sent.SerializeToString()), TENANT, NOW_US)
        == member
    )


@given(some_leads())
def test_leads_come_back(lead: Lead) -> None:
    sent = leads.lead_to_proto(lead, TENANT)
    assert (
        leads.lead_from_proto(pb.Lead.FromString(sent.SerializeToString()), TENANT, NOW_US) == lead
    )


@given(SOME_ORGANIZATIONS)
def test_organizations_come_back(organization: Organization) -> None:
    sent = organizations.organization_to_proto(organization, TENANT)
    found = organizations.organization_from_proto(sent, TENANT, NOW_US)
    assert found == organization


@given(IDS, st.sampled_from(["lead_id", "author_id", "organization_id"]), IDS, TEXTS)
def test_conflicts_come_back(member_id: str, target: str, named: str, reason: str) -> None:
    conflict = replace(Conflict(member_id, reason=reason), **{target: named})
    sent = conflicts.conflict_to_proto(conflict, TENANT)
    assert conflicts.conflict_from_proto(sent, TENANT, NOW_US) == conflict
    sent.name = f"tenants/{TENANT}/members/{member_id}/conflicts/-"
    assert conflicts.conflict_from_proto(sent, TENANT, NOW_US) == conflict


def test_a_conflict_of_several_targets_shows_the_narrowest() -> None:
    conflict = Conflict("m", lead_id="l", author_id="a", organization_id="o")
    assert conflicts.conflict_to_proto(conflict, TENANT).WhichOneof("target") == "lead"


def test_a_conflicts_id_is_not_chosen() -> None:
    name = f"tenants/{TENANT}/members/m/conflicts/mine"
    with pytest.raises(InvalidNameError, match="follows from the target"):
        conflicts.conflict_from_proto(pb.Conflict(name=name, author_id="a"), TENANT, NOW_US)
    with pytest.raises(MissingFieldError):
        conflicts.conflict_from_proto(pb.Conflict(name=name), TENANT, NOW_US)
    long = pb.Conflict(name=name, author_id="a" * 129)
    with pytest.raises(InvalidNameError, match="author_id"):
        conflicts.conflict_from_proto(long, TENANT, NOW_US)


def test_topics_are_trimmed_and_named_once() -> None:
    message = pb.Member(name="tenants/hn/members/m", topics=[" 交通 ", "交通", "", "环保"])
    assert members.member_from_proto(message, TENANT, NOW_US).topics == ("交通", "环保")


BAD_MEMBERS: list[tuple[dict[str, Any], type[ServiceError], str]] = [
    ({"display_name": "x" * 201}, TextTooLongError, "display_name"),
    ({"sector": "x" * 101}, TextTooLongError, "sector"),
    ({"expertise": "长" * 20_001}, TextTooLongError, "expertise"),
    ({"topics": ["长" * 101]}, TextTooLongError, "topics[0]"),
    ({"places": [pb.Place()] * 9}, TooManyItemsError, "places"),
    ({"places": [pb.Place(kind=9)]}, InvalidEnumError, "places[0].kind"),  # type: ignore[arg-type]
    ({"weekly_push_limit": 1_001}, InvalidNumberError, "weekly_push_limit"),
    ({"weekly_push_limit": -1}, InvalidNumberError, "weekly_push_limit"),
]


@pytest.mark.parametrize(("fields", "error", "field"), BAD_MEMBERS)
def test_every_bad_field_of_a_member_is_named(
    fields: dict[str, Any], error: type[ServiceError], field: str
) -> None:
    message = pb.Member(name="tenants/hn/members/m", **fields)
    with pytest.raises(error) as raised:
        members.member_from_proto(message, TENANT, NOW_US)
    assert raised.value.field == field


BAD_ORGANIZATIONS: list[tuple[dict[str, Any], type[ServiceError], str]] = [
    ({"level": 4}, InvalidNumberError, "level"),
    ({"jurisdiction": [1, 0]}, InvalidEnumError, "jurisdiction[1]"),
    ({"push_schedule": "0 8 * *"}, InvalidScheduleError, "push_schedule"),
    ({"push_schedule": "60 8 * * *"}, InvalidScheduleError, "push_schedule"),
    ({"push_schedule": "*/0 8 * * *"}, InvalidScheduleError, "push_schedule"),
    ({"push_schedule": "5-1 8 * * *"}, InvalidScheduleError, "push_schedule"),
    ({"push_schedule": "a 8 * * *"}, InvalidScheduleError, "push_schedule"),
    ({"time_zone": "Asia/Nowhere"}, InvalidScheduleError, "time_zone"),
    ({"time_zone": "../etc/passwd"}, InvalidScheduleError, "time_zone"),
    ({"quiet_hours": "22-7"}, InvalidScheduleError, "quiet_hours"),
    ({"quiet_hours": "24:00-07:00"}, InvalidScheduleError, "quiet_hours"),
]


@pytest.mark.parametrize(("fields", "error", "field"), BAD_ORGANIZATIONS)
def test_every_bad_field_of_an_organization_is_named(
    fields: dict[str, Any], error: type[ServiceError], field: str
) -> None:
    message = pb.Organization(name="tenants/hn/organizations/o", **fields)
    with pytest.raises(error) as raised:
        organizations.organization_from_proto(message, TENANT, NOW_US)
    assert raised.value.field == field


def test_masks() -> None:
    message = pb.Lead(name="tenants/hn/leads/l", title="甲", urgency=1, claim_count=3)

    def attributes(*paths: str) -> frozenset[str]:
        return masked_attributes(message, FieldMask(paths=paths), leads.ATTRIBUTES)

    assert attributes() == {"title", "urgency"}
    assert attributes("location", "name") == {"latitude", "longitude"}
    assert attributes(masks.ALL) == {a for names in leads.ATTRIBUTES.values() for a in names}
    for wrong in (("claim_count",), ("titel",), ("title", masks.ALL), ("location.latitude",)):
        with pytest.raises(InvalidMaskError):
            attributes(*wrong)


def test_every_field_that_callers_set_has_its_attributes() -> None:
    kinds: list[tuple[Any, Any]] = [
        (pb.Member, members),
        (pb.Lead, leads),
        (pb.Organization, organizations),
        (pb.Conflict, conflicts),
    ]
    for message, module in kinds:
        fields = {f.name for f in message.DESCRIPTOR.fields} - {"name", "claim_count"}
        assert fields == set(module.ATTRIBUTES)

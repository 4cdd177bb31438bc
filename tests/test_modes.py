"""How personal an answer is, by the least thing that is known."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.changes import apply_steps
from support.worlds import NOW_US, make_event

from features.entities import EventKind, Lead, Member
from recsvc.matching.modes import lead_mode, member_mode
from recsvc.matching.queries import ServingMode
from recsvc.model.snapshot import Snapshot

COLD, POPULARITY = ServingMode.COLD_START, ServingMode.POPULARITY


def mode_of_member(snapshot: Snapshot, member_id: str) -> ServingMode:
    return member_mode(*snapshot.members.locate(snapshot.members.row(member_id)))


def mode_of_lead(snapshot: Snapshot, lead_id: str) -> ServingMode:
    return lead_mode(*snapshot.leads.locate(snapshot.leads.row(lead_id)))


@pytest.mark.parametrize(
    ("known", "mode"),
    [
        ({}, POPULARITY),
        ({"name": "张三", "organization_id": "cs"}, POPULARITY),
        ({"expertise": "道路"}, COLD),
        ({"expertise": "zzz"}, POPULARITY),
        ({"topics": ("交通",)}, COLD),
        ({"sector": "教育界"}, COLD),
        ({"sector": "没有这个界"}, POPULARITY),
        ({"latitude": 28.0, "longitude": 113.0}, COLD),
        ({"region_code": "430104"}, COLD),
    ],
)
def test_members(snapshot: Snapshot, known: dict[str, object], mode: ServingMode) -> None:
    apply_steps(snapshot, replace(Member("x"), **known))  # type: ignore[arg-type]
    assert mode_of_member(snapshot, "x") is mode


@pytest.mark.parametrize(
    ("known", "mode"),
    [
        ({}, POPULARITY),
        ({"urgency": 3, "author_id": "m1"}, POPULARITY),
        ({"title": "道路"}, COLD),
        ({"topics": ("交通",)}, COLD),
        ({"latitude": 28.0, "longitude": 113.0}, COLD),
    ],
)
def test_leads(snapshot: Snapshot, known: dict[str, object], mode: ServingMode) -> None:
    apply_steps(snapshot, replace(Lead("x"), **known))  # type: ignore[arg-type]
    assert mode_of_lead(snapshot, "x") is mode


@pytest.mark.parametrize("kind", [EventKind.PUSHED, EventKind.OPENED, EventKind.CLAIMED])
def test_any_history_is_personal(snapshot: Snapshot, kind: EventKind) -> None:
    assert mode_of_member(snapshot, "m38") is POPULARITY
    apply_steps(snapshot, Lead("l99"), make_event(kind, NOW_US, 38, 99))
    assert mode_of_member(snapshot, "m38") is ServingMode.PERSONALIZED
    assert mode_of_lead(snapshot, "l99") is ServingMode.PERSONALIZED

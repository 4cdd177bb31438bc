"""The demo: what it picks from a data set, and (slow) that it runs from end to end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.demo_data import Sample, draft_in_words, new_lead, short
from benchmarks.demo_run import check_list
from benchmarks.demo_service import DemoError
from features.entities import Event, EventKind, Lead, LeadState, Member
from features.errors import DataError
from recsvc.client import RankedLead, Reason
from training.logs import write_dataset

CHINESE = Lead("l1", 1_000_000, title="关于加装电梯的建议", region_code="430102")
PLACE = Lead("l2", 1_000_000, latitude=28.0, longitude=112.0)
BARE = Lead("l3", 1_000_000)
MESSAGE_BODY = "路灯已经坏了两个月，晚上出行很不方便，希望尽快修复。" * 3


def claimed(member_id: str, lead_id: str, kind: EventKind = EventKind.CLAIMED) -> Event:
    return Event(kind, 2_000_000, member_id, lead_id, event_id=f"{member_id}-{lead_id}-{kind}")


def sample(folder: Path, leads: list[Lead], events: list[Event] | None = None) -> Sample:
    members = [
        Member("m1", expertise="老旧小区改造"),
        Member("m2"),
        Member("m3", active=False),
    ]
    write_dataset(
        folder, members=members, leads=leads, events=events or [claimed("m2", leads[0].lead_id)]
    )
    return Sample(folder)


def test_it_asks_about_the_active_member_who_did_most(tmp_path: Path) -> None:
    events = [
        claimed("m1", "l1", EventKind.PUSHED),
        claimed("m1", "l2", EventKind.PUSHED),
        claimed("m2", "l1"),
        claimed("m3", "l1"),
        claimed("m3", "l2"),
    ]
    found = sample(tmp_path, [CHINESE, PLACE], events)
    assert found.member().member_id == "m2"


def test_nobody_active_is_an_error(tmp_path: Path) -> None:
    write_dataset(
        tmp_path,
        members=[Member("m1", active=False)],
        leads=[CHINESE],
        events=[claimed("m1", "l1")],
    )
    with pytest.raises(DataError, match="no active member"):
        Sample(tmp_path).member()


def test_members_are_told_by_profile_or_by_what_they_did(tmp_path: Path) -> None:
    events = [claimed("m2", "l1"), claimed("m2", "l1", EventKind.AUTHORED), claimed("m2", "l3")]
    found = sample(tmp_path, [CHINESE, BARE], events)
    assert found.about_member("m1") == "老旧小区改造"
    assert found.about_member("m2") == "关于加装电梯的建议"
    assert found.about_member("m3") == ""


def test_of_what_a_member_did_the_most_alike_comes_first(tmp_path: Path) -> None:
    lamps = Lead("l2", 1_000_000, title="关于修复路灯的建议")
    found = sample(tmp_path, [CHINESE, lamps, BARE], [claimed("m2", f"l{i}") for i in (1, 2, 3)])
    assert found.works_of("m2", "门口路灯坏了") == f"{lamps.title} / {CHINESE.title}"
    assert found.works_of("m2", "加装一部电梯", most=1) == CHINESE.title


@pytest.mark.parametrize(
    ("like", "chinese", "expected"),
    [
        (CHINESE, True, ("430102", None)),
        (PLACE, False, ("", 28.0)),
        (Lead("l4", 1, body="w1 w2", topics=("t1",)), False, ("", None)),
    ],
)
def test_a_draft_says_what_the_set_knows(
    tmp_path: Path, like: Lead, chinese: bool, expected: tuple[str, float | None]
) -> None:
    found = sample(tmp_path, [like])
    draft = found.draft(like)
    assert draft is not None
    assert found.has_chinese is chinese
    assert (draft.region_code, draft.latitude) == expected
    assert (draft.lead_id, draft.create_time_us) == ("", 0)
    assert draft.body == like.body or chinese
    assert ("小区" in draft.title) is chinese


def test_a_set_that_knows_nothing_has_no_draft(tmp_path: Path) -> None:
    assert sample(tmp_path, [BARE]).draft(BARE) is None


def test_messages_come_from_beside_the_set_and_differ_in_subject(tmp_path: Path) -> None:
    messages = [
        Lead("v1", 1, title="没有主题", body=MESSAGE_BODY),
        Lead("v2", 1, title="路灯", body=MESSAGE_BODY, topics=("城乡建设",)),
        Lead("v3", 1, title="又是路灯", body=MESSAGE_BODY, topics=("城乡建设",)),
        Lead("v4", 1, title="太短", body="短", topics=("交通运输",)),
        Lead("v5", 1, title="公交", body=MESSAGE_BODY, topics=("交通运输",)),
        Lead("v6", 1, title="噪声", body=MESSAGE_BODY, topics=("环境保护",)),
        Lead("v7", 1, title="学校", body=MESSAGE_BODY, topics=("教育文体",)),
    ]
    write_dataset(tmp_path / "citizen_messages", leads=messages)
    chinese = sample(tmp_path / "set", [CHINESE])
    found = chinese.citizen_messages(None, tmp_path / "set")
    assert [draft.title for draft in found] == ["路灯", "公交", "噪声"]
    assert {(draft.lead_id, draft.topics) for draft in found} == {("", ())}
    other = sample(tmp_path / "other", [PLACE])
    assert other.citizen_messages(None, tmp_path / "other") == []
    assert len(other.citizen_messages(tmp_path / "citizen_messages", tmp_path / "other")) == 3
    assert chinese.citizen_messages(None, tmp_path) == []
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no table of leads"):
        chinese.citizen_messages(tmp_path / "empty", tmp_path / "set")


def test_a_new_lead_is_open_and_nobodys() -> None:
    old = Lead("l1", 1, author_id="a", state=LeadState.CLOSED, close_time_us=5, claim_capacity=1)
    assert new_lead(old, "n1", 9) == Lead("n1", 9)


def test_a_list_that_is_short_or_without_reasons_fails() -> None:
    good = RankedLead("l1", 0, 1.0, None, (Reason("PLACE", 0.5, "近"),), None)
    bare = RankedLead("l1", 0, 1.0, None, (), None)
    check_list([good], 1)
    check_list([good] * 10, 1_000)
    with pytest.raises(DemoError, match="without a reason"):
        check_list([bare], 1)
    with pytest.raises(DemoError, match="1 came back, but 1,000"):
        check_list([good], 1_000)
    with pytest.raises(DemoError, match="0 came back"):
        check_list([], 0)


def test_a_draft_is_shown_by_what_it_has() -> None:
    assert draft_in_words(Lead("", title="路灯", body="坏了")) == "「路灯」坏了"
    assert draft_in_words(Lead("", topics=("a", "b"))) == "a;b"
    assert draft_in_words(Lead("", latitude=28.0, longitude=112.0)).endswith("28.0, 112.0")


def test_short_texts_stay_on_one_line() -> None:
    assert short("a\n b  c") == "a b c"
    assert short("字" * 50, 5) == "字字字字…"


def run_demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "recsvc.cli", "demo", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def test_a_demo_without_data_to_use_fails_in_a_line(tmp_path: Path) -> None:
    ended = run_demo("--data", str(tmp_path / "none"))
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: ")
    assert "Traceback" not in ended.stderr


@pytest.mark.slow
def test_the_demo_runs_from_end_to_end() -> None:
    ended = run_demo()
    assert ended.returncode == 0, ended.stdout + ended.stderr
    for text in ("published", "leads for ", "members for ", "in 8 of 8 replies", "What to do next"):
        assert text in ended.stdout
    assert "is in none of 8 replies; why not: " in ended.stdout

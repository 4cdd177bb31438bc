"""The crash test of pushes: that it would notice what it looks for, and a short real run."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tiny_bundle import tiny_bundle

from benchmarks.push_consumer import Handed, read_ledgers
from benchmarks.push_crash import PushCrashTest
from benchmarks.push_crash_report import PushCrashReport

PUSH_ID = "0" * 28


def good() -> PushCrashReport:
    return PushCrashReport(
        day_cap=2,
        week_cap=3,
        kills=Counter({"worker": 2}),
        planned={PUSH_ID: "m1"},
        handed=Handed({PUSH_ID: 2}, {PUSH_ID: "m1"}, {PUSH_ID}),
        asked={"r1": ("crash-0-0", "m1"), "r2": ("crash-0-0", "m2")},
        answers={"r1": True, "r2": False},
        holders=Counter({"crash-0-0": 1}),
    )


def test_good_books_have_no_failures() -> None:
    report = good()
    assert report.failures == []
    found = report.as_json()
    assert (found["kills"], found["handed_out_more_than_once"], found["claims_granted"]) == (
        2,
        1,
        1,
    )
    assert report.render().row_count == len(found) - 1


def test_what_must_not_be_is_told() -> None:
    changes: tuple[dict[str, Any], ...] = (
        {"faults": ["r1: was told True, now False"]},
        {"unfetched": {PUSH_ID: "WAITING"}},
        {"unfetched": {PUSH_ID: "UNKNOWN_PUSH"}},
        {"handed": Handed({}, {"a": "m1", "b": "m1", "c": "m1"})},
        {"holders": Counter()},
        {"exposures": Counter({PUSH_ID: 2})},
        {"holders": Counter({"crash-0-0": 2})},
    )
    for change in changes:
        report = good()
        for name, value in change.items():
            setattr(report, name, value)
        assert report.failures, change
    dropped = good()
    dropped.unfetched = {PUSH_ID: "DROPPED"}
    assert dropped.failures == []


def test_ledgers_are_read_also_with_a_torn_line(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text(f"handed {PUSH_ID} m1\nacked {PUSH_ID}\nhanded 11")
    two.write_text(f"handed {PUSH_ID} m1\nacked 00")
    found = read_ledgers([one, two, tmp_path / "none"])
    assert (found.times, found.members) == ({PUSH_ID: 2}, {PUSH_ID: "m1"})
    assert found.acknowledged == {PUSH_ID}


@pytest.mark.slow
async def test_a_short_real_run(tmp_path: Path) -> None:
    killed: list[int] = []
    report = await PushCrashTest(tmp_path, tiny_bundle(), seed=1).run(3, killed.append)
    assert report.failures == []
    assert killed == [1, 2, 3]
    assert report.planned
    assert set(report.exposures) >= report.handed.acknowledged

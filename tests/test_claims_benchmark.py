"""The claims benchmark: a small real run, and that it would notice what it looks for."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tiny_bundle import tiny_bundle

from benchmarks.claims import ClaimsReport, measure_claims


def good() -> ClaimsReport:
    return ClaimsReport(2, {"a": 2}, Counter({"a": 2}), 10, 10, counted={"a": 2}, seconds=0.5)


def test_a_good_report_has_no_failures() -> None:
    report = good()
    assert report.failures == []
    assert (report.as_json()["granted"], report.as_json()["claims_a_second"]) == (2, 20)
    assert report.render().row_count == len(report.as_json()) - 1


def test_what_must_not_be_is_told() -> None:
    changes: tuple[dict[str, Any], ...] = (
        {"granted": Counter({"a": 3})},
        {"granted": Counter({"a": 1}), "counted": {"a": 1}},
        {"counted": {}},
        {"counted": {"a": 1}},
        {"different": 1},
        {"leaks": 1},
    )
    for change in changes:
        report = good()
        for name, value in change.items():
            setattr(report, name, value)
        assert report.failures, change
        assert report.render().row_count == len(report.as_json()) - 1 + len(report.failures)


@pytest.mark.slow
async def test_a_small_real_run(tmp_path: Path) -> None:
    report = await measure_claims(tmp_path, tiny_bundle(), leads=6, members=12, workers=2)
    assert report.failures == []
    assert (report.requests, report.repeated) == (72, 72)
    assert report.granted.total() == sum(report.capacity.values()) > 0

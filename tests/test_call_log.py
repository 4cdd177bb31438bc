"""Lines of calls: as the logger writes them, together, and none lost."""

from __future__ import annotations

import asyncio
import io
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from recsvc.model.verdicts import Verdict
from recsvc.serving.call_log import JsonCalls, NoCalls, ShownCalls, build_call_log
from recsvc.serving.deferred import Deferred
from recsvc.serving.log import build_logger
from recsvc.serving.metrics import Metrics
from recsvc.serving.metrics_gathered import BatchHistogram

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

FIELDS = {"method": "/recsvc.v1.X/Y", "seconds": 0.25, "member": "委员1", "odd": {1, 2}.__class__}


def test_a_line_is_the_loggers() -> None:
    ours, theirs = io.StringIO(), io.StringIO()
    calls = build_call_log(stream=ours, worker=3)
    calls.write([])
    assert ours.getvalue() == ""
    calls.write([(datetime.now(UTC), FIELDS)])
    build_logger(stream=theirs, worker=3).info("call", **FIELDS)
    found, expected = json.loads(ours.getvalue()), json.loads(theirs.getvalue())
    times = [datetime.fromisoformat(line.pop("time")) for line in (found, expected)]
    assert found == expected
    assert list(found) == list(expected)
    assert times[0].tzinfo == UTC
    assert timedelta(0) <= times[1] - times[0] < timedelta(minutes=1)


class Pieces(io.BytesIO):
    """Remembers each write."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []

    def write(self, piece: Buffer) -> int:
        self.written.append(bytes(piece))
        return len(self.written[-1])


def test_lines_are_written_whole_in_pieces_that_a_pipe_keeps_together() -> None:
    target = Pieces()
    stream = io.TextIOWrapper(target)
    calls = JsonCalls(stream, {})
    sizes = [5_000 if number == 77 else number for number in range(200)]
    now = datetime.now(UTC)
    calls.write([(now, {"n": n, "text": "x" * size}) for n, size in enumerate(sizes)])
    pieces = target.written
    assert all(piece.endswith(b"\n") for piece in pieces)
    assert all(len(piece) <= 4_096 or piece.count(b"\n") == 1 for piece in pieces)
    assert len(pieces) < 20
    lines = [json.loads(line) for piece in pieces for line in piece.splitlines()]
    assert [line["n"] for line in lines] == list(range(200))


def test_the_level_and_the_style_are_the_loggers() -> None:
    out = io.StringIO()
    assert isinstance(build_call_log("warning", stream=out), NoCalls)
    shown = build_call_log("info", "console", out)
    assert isinstance(shown, ShownCalls)
    shown.write([(datetime.now(UTC), {"method": "/recsvc.v1.X/Y"})])
    assert "/recsvc.v1.X/Y" in out.getvalue()


async def test_deferred_work_is_done_once_for_all_who_ask() -> None:
    runs: list[int] = []
    deferred = Deferred(lambda: runs.append(1), 0.02)
    for _ in range(5):
        deferred.ask()
    assert runs == []
    await asyncio.sleep(0.05)
    assert runs == [1]
    deferred.ask()
    await asyncio.sleep(0.05)
    assert runs == [1, 1]


def test_many_observations_at_once_count_as_one_by_one() -> None:
    bounds = (0.1, 0.2, 0.5)
    single, batch = CollectorRegistry(), CollectorRegistry()
    expected = Histogram("h", "", ("k",), buckets=bounds, registry=single).labels("a")
    found = BatchHistogram("h", "", ("k",), buckets=bounds, registry=batch).labels("a")
    for value in (0.1, 0.15, 0.2, 0.3, 7.0):
        expected.observe(value)
    found.add([1, 2, 1, 1], 7.75)
    told = [
        [line for line in generate_latest(r).decode().splitlines() if "_created" not in line]
        for r in (single, batch)
    ]
    assert told[0] == told[1]


def test_what_calls_add_is_shown_when_it_is_flushed() -> None:
    metrics = Metrics()
    for seconds in (0.0005, 0.003, 20.0):
        metrics.call("/m", "OK", "", seconds)
    metrics.call("/m", "NOT_FOUND", "UNKNOWN_MEMBER", 0.003)
    metrics.ran(("filter", "rank"), (7.0, 7.25, 7.2501), {Verdict.AUTHOR: 2})
    metrics.ran(("rank",), (8.0, 8.5), {Verdict.AUTHOR: 3, Verdict.CONFLICT: 1})
    metrics.in_flight(4)
    for _ in range(2):  # flushing twice adds nothing twice
        text = metrics.text()
        for line in (
            'recsvc_calls_total{method="/m",reason="",status="OK"} 3.0',
            'recsvc_calls_total{method="/m",reason="UNKNOWN_MEMBER",status="NOT_FOUND"} 1.0',
            'recsvc_call_seconds_bucket{le="0.001",method="/m"} 1.0',
            'recsvc_call_seconds_bucket{le="0.005",method="/m"} 3.0',
            'recsvc_call_seconds_bucket{le="10.0",method="/m"} 3.0',
            'recsvc_call_seconds_bucket{le="+Inf",method="/m"} 4.0',
            'recsvc_stage_seconds_bucket{le="0.5",stage="filter"} 1.0',
            'recsvc_stage_seconds_bucket{le="0.00025",stage="rank"} 1.0',
            'recsvc_stage_seconds_bucket{le="0.5",stage="rank"} 2.0',
            'recsvc_removed_total{filter="conflict"} 1.0',
            'recsvc_removed_total{filter="author"} 5.0',
            "recsvc_calls_in_flight 4.0",
        ):
            assert line in text.splitlines()
    assert metrics.text().count('recsvc_call_seconds_sum{method="/m"}') == 1
    total = float(text.split('recsvc_call_seconds_sum{method="/m"} ')[1].split()[0])
    assert total == pytest.approx(20.0065)

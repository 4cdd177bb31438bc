"""How the benchmark of overload counts: when callers are answered as before, what a storm tells."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from service import serving

from benchmarks.hotpath.open_loop import Fate, Outcome
from benchmarks.hotpath.rounds import Round
from benchmarks.hotpath.serve_overload import Beside, recovery_seconds
from benchmarks.hotpath.storm import READY, Storm

END = 100.0
FAST, SLOW = 0.001, 0.1


def calls(until: float, slow_until: float, fate: Fate = Fate.GOOD) -> list[Outcome]:
    """One every 5 ms, from two seconds before the end; slow (or not good) until some time after."""
    found = []
    for begin in np.arange(END - 2.0, END + until, 0.005).tolist():
        slow = begin < END + slow_until
        found.append(Outcome(begin, SLOW if slow else FAST, fate if slow else Fate.GOOD))
    return found


@pytest.mark.parametrize("fate", [Fate.GOOD, Fate.SHED])
def test_recovery_is_when_the_calls_of_a_second_are_fast_again(fate: Fate) -> None:
    assert recovery_seconds(calls(4.0, 0.7, fate), END, 2 * FAST) == pytest.approx(0.7, abs=0.015)
    assert recovery_seconds(calls(4.0, -1.0, fate), END, 2 * FAST) == 0.0
    assert recovery_seconds(calls(4.0, 3.5, fate), END, 2 * FAST) == float("inf")
    assert recovery_seconds([], END, FAST) == float("inf")


def test_a_refused_call_is_not_an_answer_however_fast_it_came() -> None:
    refused = [o if o.begin < END else Outcome(o.begin, FAST, Fate.SHED) for o in calls(4.0, 0.0)]
    assert recovery_seconds(refused, END, 2 * FAST) == float("inf")


def test_one_slow_call_in_a_hundred_is_within_a_p99() -> None:
    found = calls(4.0, 0.0)
    slow = [i for i, o in enumerate(found) if o.begin >= END][::150]
    for i in slow:
        found[i] = Outcome(found[i].begin, SLOW, Fate.GOOD)
    assert recovery_seconds(found, END, 2 * FAST) == 0.0


def test_whatever_is_neither_answered_nor_refused_counts_for_all_callers() -> None:
    told = Storm(
        10, 2.0, END, 0.1, {"good": 4, "shed": 3, "late": 2, "wrong": 1}, 5.0, 9.0, ["odd"]
    )
    seen = [*calls(3.0, 0.0), Outcome(END - 1.0, FAST, Fate.LATE)]
    peak = Round(1.0, 4, np.array([FAST]))
    rows = {f.row: f for f in Beside(told, seen, 2 * FAST).figures(3.0, peak, FAST)}
    assert rows["overload_unexpected"].value == 4
    assert "odd" in rows["overload_unexpected"].note
    assert rows["overload_recovery_seconds"].value == 0.0
    assert rows["overload_goodput"].value == 0.5


async def test_a_storm_asks_and_says_what_became_of_it(tmp_path: Path) -> None:
    file = tmp_path / "members"
    file.write_text("m0\nm1", "utf-8")
    async with serving(tmp_path, "tiny") as service:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.hotpath.storm"),
            *(f"127.0.0.1:{service.port}", "150", "0.4", str(file)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=os.environ,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        assert (await process.stdout.readline()).decode().strip() == READY
        lines = service.log_lines("call")
        process.stdin.write(b"go\n")
        told = msgspec.json.decode(await process.stdout.readline(), type=Storm)
        assert await process.wait() == 0
        assert 20 < told.calls == sum(told.fates.values())
        assert told.count(Fate.GOOD) == len(service.log_lines("call")) - len(lines)
        assert told.count(Fate.WRONG) == told.count(Fate.LATE) == 0

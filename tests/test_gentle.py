"""Work beside a thread that answers: it rests, unless somebody waits for it."""

from __future__ import annotations

import sys
import time

import pytest

from recsvc.serving.gentle import Gently


def busy(cpu_seconds: float) -> str:
    """Calls things for so long."""
    begin = time.thread_time()
    while time.thread_time() - begin < cpu_seconds:
        len("nothing")
    return "done"


def test_work_rests_four_times_as_long_as_it_takes() -> None:
    rests: list[float] = []
    begin = time.thread_time()
    assert Gently(rests.append).run(lambda: busy(0.05)) == "done"
    assert sum(rests) == pytest.approx(4 * (time.thread_time() - begin), rel=0.3)
    assert len(rests) > 10


def test_nobody_rests_once_somebody_waits() -> None:
    rests: list[float] = []

    def rest(seconds: float) -> None:
        rests.append(seconds)
        pace.hurry()

    pace = Gently(rest)
    pace.run(lambda: busy(0.02))
    assert len(rests) == 1
    pace.run(lambda: busy(0.02))
    assert len(rests) == 1


def test_what_goes_wrong_is_told_and_the_thread_is_as_before() -> None:
    with pytest.raises(ZeroDivisionError):
        Gently(lambda _: None).run(lambda: 1 // 0)
    assert sys.getprofile() is None

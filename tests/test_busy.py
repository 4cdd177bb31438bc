"""How long a thread had something to do."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from recsvc.serving.interceptors import busy


def spin(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_a_thread_is_busy_while_it_runs_and_not_while_it_sleeps() -> None:
    begin = busy.busy_seconds()
    spin(0.02)
    worked = busy.busy_seconds() - begin
    assert worked >= 0.02
    begin, ran = busy.busy_seconds(), time.thread_time()
    time.sleep(0.05)
    # It may wait for a processor when it wakes, not for all of the time that it slept.
    assert busy.busy_seconds() - begin < 0.05
    assert time.thread_time() - ran < 0.02


def test_each_thread_has_its_own_time() -> None:
    begin = busy.busy_seconds()
    other = threading.Thread(target=spin, args=(0.05,))
    other.start()
    time.sleep(0.06)
    other.join()
    assert busy.busy_seconds() - begin < 0.05


def test_where_nobody_tells_how_long_it_waited_it_is_the_time_it_ran(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(busy, "_TOLD", str(tmp_path / "none"))
    begin = time.thread_time()
    assert begin <= busy.busy_seconds() <= time.thread_time()

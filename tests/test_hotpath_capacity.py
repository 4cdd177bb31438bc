"""Capacity on paper: bytes by rows, and a queue that is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.hotpath.capacity import app, tables, waiting_p99_ms, workers_needed
from recsvc.model.arrays import Widths, empty_leads

SERVICE = np.random.default_rng(3).exponential(1.0, 50_000)


def test_tables_grow_with_their_rows() -> None:
    widths = Widths(8, 4)
    need = tables(10, 20, widths)
    assert need.leads == sum(column.nbytes for column in empty_leads(20, widths))
    assert tables(20, 40, widths).shared == 2 * need.shared


def test_a_queue_waits_as_theory_says() -> None:
    # M/M/1 at half load: the time in the system is exponential with mean 2 ms, p99 = 2 ln 100.
    assert waiting_p99_ms(SERVICE, 500.0, 1, seed=1) == pytest.approx(9.2, rel=0.15)
    assert waiting_p99_ms(SERVICE, 1_100.0, 1, seed=1) == float("inf")


def test_the_fewest_workers_that_keep_the_p99_are_found() -> None:
    count = workers_needed(SERVICE, 5_000.0, 10.0, seed=1)
    assert waiting_p99_ms(SERVICE, 5_000.0, count, seed=1) <= 10.0
    assert waiting_p99_ms(SERVICE, 5_000.0, count - 1, seed=1) > 10.0
    with pytest.raises(ValueError, match="no number of workers"):
        workers_needed(SERVICE, 100.0, 0.5, seed=1)


def test_the_command_reads_what_serve_wrote(tmp_path: Path) -> None:
    told = tmp_path / "serve.json"
    told.write_text(json.dumps({"series": {"stages_recommend_us": {"all": [900.0, 1_100.0]}}}))
    done = CliRunner().invoke(app, [str(told)])
    assert done.exit_code == 0, done.output
    assert "workers for 2,000 calls/s" in done.output

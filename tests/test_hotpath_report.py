"""The page of the hot path's figures."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from typer.testing import CliRunner

from benchmarks.hotpath.outcome import Outcome
from benchmarks.hotpath.report import app, page
from benchmarks.musts import Figure

_NOW = datetime(2026, 1, 2, tzinfo=UTC)


def _outcome() -> Outcome:
    points = [
        {"kind": kind, "share": share, "recall": 0.9, "p50_us": 50.0, "p99_us": 90.0}
        for kind in ("served", "faiss_flat", "faiss_ivf10_probes8", "faiss_ivf10_probes16")
        for share in (1.0, 0.01)
    ]
    growth = [
        {"kind": kind, "listed": listed, "members": 10 * n, "leads": 20 * n, "us": 5.0 * n}
        for kind in ("recommend", "match")
        for listed in (True, False)
        for n in (1, 3)
    ]
    return Outcome(
        "serve",
        full_size=True,
        figures=[
            Figure("recommend_c16_throughput", 0.1, "of <floor>", (0.05, 0.2), {"overlap": 0.9}),
            Figure("recall_at_50_share_1", 0.9995),
        ],
        series={
            "recall": points,
            "stages_recommend_us": {"all": [100.0, 200.0], "rank": [10.0, 30.0]},
            "growth": growth,
            "load": {"p99_ms_by_tenth": [1.0, 2.0], "private_mib": [100.0, 101.0]},
            "memory_mib": {"one worker": 100.0},
            "train_phases_seconds": {"features": 3.0},
        },
    )


def test_the_page_has_verdicts_plots_and_rows() -> None:
    text = page([json.loads(json.dumps(_outcome().as_json()))], _NOW)
    assert text.count("<svg") == 6
    assert "of &lt;floor&gt;" in text
    assert "FAILS" in text
    assert "aim reached" in text
    assert "not measured" in text


def test_the_command_reads_what_the_others_wrote(tmp_path: Path) -> None:
    told, out = tmp_path / "serve.json", tmp_path / "page.html"
    told.write_text(json.dumps(_outcome().as_json()), "utf-8")
    done = CliRunner().invoke(app, [str(told), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "The hot path" in out.read_text("utf-8")

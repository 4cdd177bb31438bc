"""The report: one HTML file with its plots inside, to be read without a network."""

from __future__ import annotations

import html
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.quality.musts import Verdict
from benchmarks.quality.rows import Row
from benchmarks.quality.table import number, rows_in_order, span

COLOURS = {"served": "#b3261e", "ours": "#3b6ea5", "oracle": "#7d5ba6", "peer": "#7f8c8d"}
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; font-size: 13px; margin: 0 0 1.5rem }
td, th { padding: .2rem .6rem; border-bottom: 1px solid #ddd; text-align: right }
td:first-child, th:first-child, td:last-child { text-align: left }
tr.served { font-weight: 600 } tr.part td { color: #666; font-weight: 400 }
.FAILS { color: #b3261e } .holds, .aim { color: #1a7f37 } svg { max-width: 100%; height: auto }
"""
_HEADINGS = (
    "system", "value", "95 %", "n", "− best peer", "95 %", "train s", "served ms", "must", "note",
)  # fmt: skip


def write_report(
    rows: Sequence[Row], verdicts: Sequence[Verdict], path: Path, seconds: float
) -> None:
    """Writes the page: verdicts, then a plot and a table for every measure."""
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><title>recsvc: quality</title>",
        f"<style>{_STYLE}</style><h1>Quality of the served pipeline</h1>",
        f"<p>{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {seconds / 60:.1f} minutes. Intervals are "
        "95 % bootstrap intervals; differences are paired with the best peer of the measure.</p>",
        _verdicts(verdicts),
    ]
    shown = groupby(rows_in_order(rows), key=lambda r: (r.data, r.split, r.question, r.measure))
    for _, group in shown:
        parts.append(_section(list(group)))
    path.write_text("\n".join(parts) + "</html>\n", "utf-8")


def _verdicts(verdicts: Sequence[Verdict]) -> str:
    lines = []
    for verdict in verdicts:
        word = {True: "holds", False: "FAILS", None: "not measured"}[verdict.holds]
        word = "aim" if verdict.holds and verdict.reached_aim else word
        lines.append(f'<li><b class="{word}">{word}</b> {html.escape(verdict.name)}')
    return f"<h2>What it must show</h2><ul>{''.join(lines)}</ul>"


def _section(rows: list[Row]) -> str:
    first = rows[0]
    title = html.escape(f"{first.data}, {first.split}: {first.measure} ({first.question})")
    heads = "".join(f"<th>{name}" for name in _HEADINGS)
    body = "".join(_line(row) for row in rows)
    return f"<h2>{title}</h2>{_plot(rows)}<table><tr>{heads}{body}</table>"


def _line(row: Row) -> str:
    timed = row.latency_ms == row.latency_ms
    star = " *" if row.is_significant else ""
    asked = f'<span class="{row.verdict}">{html.escape(row.must)} {row.verdict}</span>'
    cells = [
        html.escape(row.system if row.part == "all" else f"· {row.part}"),
        number(row.value),
        span(row.low, row.high),
        f"{row.count:,}" if row.count else "",
        number(row.difference, signed=True),
        span(row.difference_low, row.difference_high, signed=True) + star,
        f"{row.seconds:,.1f}" if row.seconds == row.seconds else "",
        f"{row.latency_ms:.2f} ({row.latency_p99_ms:.2f})" if timed else "",
        asked if row.must else "",
        html.escape(row.note),
    ]
    kind = "part" if row.part != "all" else row.kind
    return f'<tr class="{kind}">' + "".join(f"<td>{cell}" for cell in cells)


def _plot(rows: list[Row]) -> str:
    """Bars of all systems with their intervals, the best on top; SVG text."""
    drawn = (r for r in rows if r.part == "all" and r.kind != "difference" and r.value == r.value)
    shown = sorted(drawn, key=_value)
    if len(shown) < 2:
        return ""
    figure = Figure(figsize=(8, 0.6 + 0.3 * len(shown)), layout="constrained")
    axes = figure.subplots()
    values = [row.value for row in shown]
    errors = [
        [max(row.value - row.low, 0.0) if row.low == row.low else 0.0 for row in shown],
        [max(row.high - row.value, 0.0) if row.high == row.high else 0.0 for row in shown],
    ]
    colours = [COLOURS[row.kind] for row in shown]
    axes.barh([row.system for row in shown], values, xerr=errors, color=colours, height=0.65)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel(shown[0].measure)
    buffer = io.StringIO()
    # Fixed ids: the same figures give the same file.
    with mpl.rc_context({"svg.hashsalt": "recsvc", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue().split("?>", 1)[-1].split('.dtd">', 1)[-1]


def _value(row: Row) -> float:
    return row.value

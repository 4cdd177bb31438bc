"""The table for a terminal: one row a system, its measures side by side, against the best peer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from rich.console import Group
from rich.table import Table
from rich.text import Text

from benchmarks.quality.musts import Verdict
from benchmarks.quality.rows import Row

ORDER = {"served": 0, "ours": 1, "oracle": 2, "peer": 3, "difference": 4}
STYLES = {"served": "bold", "peer": "", "ours": "cyan", "oracle": "magenta", "difference": "dim"}


def tables(rows: Sequence[Row]) -> Iterator[Table]:
    """A table a question and measure."""
    for (data, split, question, measure), group in groupby(rows_in_order(rows), key=_key):
        table = Table(
            *("system", "value", "95 % interval", "n", "− best peer", "95 % interval", "train s"),
            *("served ms (99 %)", "must", "aim", "", "note"),
            title=f"{data}, {split}: {question}, {measure}",
            title_justify="left",
        )
        for row in group:
            table.add_row(*_cells(row), style=STYLES[row.kind])
        yield table


def rows_in_order(rows: Sequence[Row]) -> list[Row]:
    """Measured rows, grouped by question and measure, ours first, peers best first.

    Systems without an answer stand in every measure of their question.
    """
    measures: dict[tuple[str, str, str], dict[str, None]] = {}
    for row in rows:
        if row.measure != "none":
            measures.setdefault((row.data, row.split, row.question), {})[row.measure] = None
    places = {key: i for i, key in enumerate((*k, m) for k, ms in measures.items() for m in ms)}
    told = [row for row in rows if row.measure != "none"]
    for row in rows:
        if row.measure == "none":
            first = list(measures.get((row.data, row.split, row.question), {}))[:1]
            told += [replace(row, measure=measure) for measure in first]
    worth = {(_key(row), row.system): row.value for row in told if row.part == "all"}
    return sorted(
        told,
        key=lambda r: (
            places[_key(r)],
            ORDER[r.kind],
            _down(worth[_key(r), r.system]),
            r.system,
            r.part != "all",
        ),
    )


def _down(value: float) -> float:
    return math.inf if math.isnan(value) else -value


def _key(row: Row) -> tuple[str, str, str, str]:
    return row.data, row.split, row.question, row.measure


def _cells(row: Row) -> Iterator[str | Text]:
    yield row.system if row.part == "all" else f"  {row.part}"
    yield number(row.value)
    yield span(row.low, row.high)
    yield f"{row.count:,}" if row.count else ""
    yield number(row.difference, signed=True)
    star = " *" if row.is_significant else ""
    yield span(row.difference_low, row.difference_high, signed=True) + star
    yield "" if math.isnan(row.seconds) else f"{row.seconds:,.1f}"
    timed = not math.isnan(row.latency_ms)
    yield f"{row.latency_ms:.2f} ({row.latency_p99_ms:.2f})" if timed else ""
    yield row.must
    yield row.aim
    yield Text(row.verdict, style="red" if row.verdict == "FAILS" else "green")
    yield row.note


def number(value: float, *, signed: bool = False) -> str:
    """Four digits; nothing for NaN."""
    if math.isnan(value):
        return ""
    return f"{value:+.4f}" if signed else f"{value:.4f}"


def span(low: float, high: float, *, signed: bool = False) -> str:
    """[low, high]."""
    if math.isnan(low):
        return ""
    return f"[{number(low, signed=signed)}, {number(high, signed=signed)}]"


def verdict_lines(verdicts: Sequence[Verdict]) -> Group:
    """Each condition on a line."""
    lines = []
    for verdict in verdicts:
        word, style = ("holds", "green") if verdict.holds else ("FAILS", "red")
        if verdict.holds is None:
            word, style = "not measured", "yellow"
        if verdict.holds and verdict.reached_aim:
            word = "aim"
        lines.append(Text(f"{word:12} {verdict.name}", style=style))
    return Group(*lines)

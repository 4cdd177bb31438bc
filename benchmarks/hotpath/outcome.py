"""How the commands of this room end: a table, JSON, and what fails."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks.hotpath.limits import LIMITS
from benchmarks.musts import Figure, Verdict, as_json, failing, judge

_COLOURS = {Verdict.AIM: "green", Verdict.MUST: "yellow", Verdict.FAILS: "bold red"}


@dataclass
class Outcome:
    """Everything one command found. `series` are the arrays behind the report's plots."""

    command: str
    full_size: bool
    figures: list[Figure] = field(default_factory=list)
    series: dict[str, Any] = field(default_factory=dict)
    load_before: float = field(default_factory=lambda: os.getloadavg()[0])
    begin: float = field(default_factory=time.time)

    def add(self, figures: Sequence[Figure]) -> None:
        """Takes rows in."""
        self.figures += figures

    @property
    def failures(self) -> list[str]:
        """The musts that fail, in words."""
        return failing(self.figures, LIMITS, full_size=self.full_size)

    def as_json(self) -> dict[str, Any]:
        """Rows, series and the machine they were measured on."""
        return {
            "command": self.command,
            "full_size": self.full_size,
            "machine": {
                "cpus": os.cpu_count(),
                "system": platform.platform(),
                "python": platform.python_version(),
                "load_before": self.load_before,
                "load_after": os.getloadavg()[0],
                "seconds": time.time() - self.begin,
            },
            "rows": as_json(self.figures, LIMITS, full_size=self.full_size),
            "series": self.series,
            "failures": self.failures,
        }

    def table(self) -> Table:
        """One line a row."""
        size = "" if self.full_size else " (small world: sizes are not judged)"
        table = Table(title=f"{self.command}{size}")
        for name, right in (
            ("row", False),
            ("figure", True),
            ("lowest – highest", True),
            ("must / aim", True),
            ("quality beside it", False),
        ):
            table.add_column(name, justify="right" if right else "left", overflow="fold")
        for figure in self.figures:
            table.add_row(*_cells(figure, self.full_size))
        return table


def _cells(figure: Figure, full_size: bool) -> tuple[str, ...]:
    limit = LIMITS.get(figure.row)
    colour = _COLOURS.get(judge(figure, limit, full_size=full_size))
    text = f"{figure.value:,.4g} {figure.unit}".strip()
    spread = "" if figure.spread is None else f"{figure.spread[0]:,.4g} – {figure.spread[1]:,.4g}"
    asked = ""
    if limit is not None and limit.must is not None:
        asked = f"{limit.must:g}" + (f" / {limit.aim:g}" if limit.aim is not None else "")
    beside = ", ".join(f"{name} {value:.3f}" for name, value in figure.quality.items())
    beside = "; ".join(part for part in (beside, figure.note) if part)
    shown = f"[{colour}]{escape(text)}[/]" if colour else escape(text)
    return figure.row, shown, spread, asked, escape(beside)


def finish(
    outcome: Outcome,
    console: Console,
    json_file: Path | None,
    page_file: Path | None,
    check: bool,
) -> None:
    """Shows and writes everything; the last line tells which musts fail, with `check` so does the
    exit status.
    """
    console.print(outcome.table())
    if json_file is not None:
        text = json.dumps(outcome.as_json(), indent=1, ensure_ascii=False, default=float)
        json_file.write_text(text + "\n", "utf-8")
    if page_file is not None:
        # Only here: nothing else needs the plotting library.
        from benchmarks.hotpath.report import page

        found = json.loads(json.dumps(outcome.as_json(), default=float))
        page_file.write_text(page([found], datetime.now(UTC)), "utf-8")
    failures = outcome.failures
    told = "musts that fail: " + "; ".join(failures) if failures else "no must fails"
    console.print(told, style="bold red" if failures else "green", soft_wrap=True, highlight=False)
    if check and failures:
        raise typer.Exit(1)

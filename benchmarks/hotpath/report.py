"""`python -m benchmarks report`: what serve, index and train found, as one HTML page."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.hotpath.limits import LIMITS
from benchmarks.hotpath.report_plots import plots

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; font-size: 13px; margin: 0 0 1.5rem }
td, th { padding: .2rem .6rem; border-bottom: 1px solid #ddd; text-align: right }
td:first-child, th:first-child, td:last-child { text-align: left }
.FAILS { color: #b3261e; font-weight: 600 } .must, .aim { color: #1a7f37 } .shown { color: #666 }
svg { max-width: 100%; height: auto }
"""
_WORDS = {"aim": "aim reached", "must": "holds", "FAILS": "FAILS", "shown": ""}

app = typer.Typer(help="The figures of a night as one page.")


@app.command("report")
def report(
    found: Annotated[list[Path], typer.Argument(help="JSON files of serve, index and train.")],
    out: Annotated[Path, typer.Option(help="The page.")] = Path("hotpath.html"),
) -> None:
    """Draws what the other commands wrote with --json: verdicts, tables and plots in one file.

    Example: python -m benchmarks report serve.json index.json train.json --out hotpath.html
    """
    outcomes = [json.loads(path.read_text("utf-8")) for path in found]
    out.write_text(page(outcomes, datetime.now(UTC)), "utf-8")
    typer.echo(f"{out}: {sum(len(o['rows']) for o in outcomes)} rows")


def page(outcomes: Sequence[Mapping[str, Any]], now: datetime) -> str:
    """The page of some commands' outcomes."""
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><title>recsvc: hot path</title>",
        f"<style>{_STYLE}</style><h1>The hot path</h1>",
        f"<p>{now:%Y-%m-%d %H:%M} UTC. Ratios are of the same run, medians of interleaved rounds "
        "with the lowest and the highest.</p>",
        "<h2>What it must show</h2>",
        _limits(outcomes),
    ]
    for outcome in outcomes:
        parts += _chapter(outcome)
    return "\n".join(parts) + "</html>\n"


def _limits(outcomes: Iterable[Mapping[str, Any]]) -> str:
    """One line a limit, also those nothing was measured for."""
    measured = {row["row"]: row for outcome in outcomes for row in outcome["rows"]}
    lines = []
    for name, limit in LIMITS.items():
        row = measured.get(name)
        verdict = row["verdict"] if row else "shown"
        value = _number(row["value"]) if row else "not measured"
        asked = f"{limit.must:g}" + (f" / {limit.aim:g}" if limit.aim is not None else "")
        lines.append(
            f"<tr><td>{html.escape(limit.title)}<td class={verdict}>{value}<td>{asked}"
            f"<td class={verdict}>{_WORDS[verdict]}"
        )
    head = "<tr><th>measure<th>figure<th>must / aim<th>"
    return f"<table>{head}{''.join(lines)}</table>"


def _chapter(outcome: Mapping[str, Any]) -> list[str]:
    machine = outcome["machine"]
    size = "" if outcome["full_size"] else " (small world: sizes are not judged)"
    told = (
        f"{machine['cpus']} processors, load {machine['load_before']:.1f} before and "
        f"{machine['load_after']:.1f} after, {machine['seconds'] / 60:.1f} minutes; "
        f"{machine['system']}, Python {machine['python']}"
    )
    found = [f"<h2>{html.escape(outcome['command'])}{size}</h2><p>{html.escape(told)}</p>"]
    for title, drawing in plots(outcome["series"]):
        found.append(f"<h3>{html.escape(title)}</h3>{drawing}")
    lines = "".join(_line(row) for row in outcome["rows"])
    head = "<tr><th>row<th>figure<th>lowest – highest<th>quality beside it<th>note"
    return [*found, f"<table>{head}{lines}</table>"]


def _line(row: Mapping[str, Any]) -> str:
    spread = "" if row["spread"] is None else " – ".join(_number(v) for v in row["spread"])
    quality = ", ".join(f"{name} {value:.3f}" for name, value in row["quality"].items())
    return (
        f"<tr><td>{html.escape(row['row'])}"
        f"<td class={row['verdict']}>{_number(row['value'])} {html.escape(row['unit'])}"
        f"<td>{spread}<td>{html.escape(quality)}<td>{html.escape(row['note'])}"
    )


def _number(value: float) -> str:
    return f"{value:,.4g}"

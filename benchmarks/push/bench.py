"""`python -m benchmarks push`: how fast a plan is made, and what it is worth on the province."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.claims import measure_claims
from benchmarks.hotpath.worlds import PROVINCE, QUICK, open_world
from benchmarks.musts import Figure, as_json, failing, judge, read_limits
from benchmarks.options import Check, JsonFile
from benchmarks.province.config import ProvinceConfig
from benchmarks.push.command import SMALL, read_arms, simulated
from benchmarks.push.compare import Comparison
from benchmarks.push.policies import POLICIES
from benchmarks.push.speed import candidate_recall, measure_arrival, measure_plan
from benchmarks.small_model import small_bundle
from benchmarks.verdict import make_console
from features.errors import RecsvcError

LIMITS = read_limits(Path(__file__).with_name("musts.toml"))
_GROWTH = (1_000, 3_000, 10_000, 30_000)
_QUICK_GROWTH = (300, 1_000)
_QUICK_WORLD = ProvinceConfig(members=300, leads=1_200, events=12_000, years=1.5)

app = typer.Typer(help="How fast pushes are planned, and what the plan is worth.")


@dataclass
class Outcome:
    """Everything the command found."""

    full_size: bool
    figures: list[Figure] = field(default_factory=list)
    comparison: Comparison | None = None
    load_before: float = field(default_factory=lambda: os.getloadavg()[0])
    begin: float = field(default_factory=time.time)

    @property
    def failures(self) -> list[str]:
        """The musts that fail, in words."""
        return failing(self.figures, LIMITS, full_size=self.full_size)

    def as_json(self) -> dict[str, Any]:
        """Rows, the comparison, and the load they were measured under."""
        return {
            "command": "push",
            "full_size": self.full_size,
            "load_before": self.load_before,
            "load_after": os.getloadavg()[0],
            "seconds": time.time() - self.begin,
            "rows": as_json(self.figures, LIMITS, full_size=self.full_size),
            "comparison": self.comparison.as_json() if self.comparison else None,
            "failures": self.failures,
        }

    def render(self) -> Table:
        """One line a row."""
        table = Table("what", "figure", "must", "aim", "verdict", title="push")
        for figure in self.figures:
            limit = LIMITS.get(figure.row)
            verdict = judge(figure, limit, full_size=self.full_size).value
            title = limit.title if limit else figure.row
            table.add_row(
                f"{title} {figure.note}".strip(),
                f"{figure.value:.4g} {figure.unit}".strip() + _spread(figure),
                _limit(limit.must if limit else None),
                _limit(limit.aim if limit else None),
                verdict,
            )
        return table


@app.command("push")
def push(
    days: Annotated[int, typer.Option(min=1, help="How long policies are played.")] = 60,
    seeds: Annotated[int, typer.Option(min=1, help="Provinces to play on.")] = 3,
    skip_claims: Annotated[
        bool, typer.Option("--skip-claims", help="Leave concurrent claims out.")
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Small worlds, two minutes: does it work at all?")
    ] = False,
    check: Check = False,
    json_file: JsonFile = None,
) -> None:
    """Measures planning at province size and its growth, plays policies, and claims at once.

    Example: python -m benchmarks push --json push.json --check
    """
    console = make_console()
    outcome = Outcome(full_size=not quick)
    outcome.figures += speed_figures(quick, console)
    world = _QUICK_WORLD if quick else SMALL
    numbers = range(1, 2 if quick else seeds + 1)
    arms = read_arms(list(POLICIES), None)
    outcome.comparison = simulated(console, world, min(days, 10) if quick else days, numbers, arms)
    console.print(outcome.comparison.render())
    outcome.figures += play_figures(outcome.comparison)
    if not skip_claims:
        outcome.figures.append(_claims(quick))
    console.print(outcome.render())
    if json_file is not None:
        json_file.write_text(json.dumps(outcome.as_json(), indent=1), "utf-8")
    for failure in outcome.failures:
        console.print(f"[bold red]fails[/] {failure}")
    if check and outcome.failures:
        raise typer.Exit(1)


def speed_figures(quick: bool, console: Console) -> list[Figure]:
    """Point 1: speed, growth, proofs, limits kept."""
    world = open_world(QUICK if quick else PROVINCE, step=lambda text: console.log(text))
    bundle = world.bundle()
    now_us = int((world.data / "..").resolve().stat().st_mtime * 1e6)
    measure_plan(bundle, 100, now_us)  # compiles
    measured = []
    for count in _QUICK_GROWTH if quick else _GROWTH:
        console.log(f"plan of {count:,} leads")
        measured.append(measure_plan(world.bundle(), count, now_us))
    figures = []
    for one in measured:
        f = one.plan.figures
        figures.append(
            Figure(
                f"plan_{one.leads}_seconds",
                one.seconds,
                "s",
                quality={"coverage": f.coverage, "expected_claimed": f.expected_claimed},
                note=f"({one.leads:,} leads: candidates {f.candidates_seconds:.1f} s, plan "
                f"{f.solve_seconds:.1f} s, {f.candidate_pairs:,} pairs, {f.pushes_count:,} pushes)",
            )
        )
    plans = [one.plan.figures for one in measured]
    gaps = [(f.bound - f.objective) / f.bound for f in plans]
    return [
        *figures,
        Figure("plan_proved", sum(f.proved for f in plans) / len(plans)),
        Figure("plan_gap", max(gaps)),
        Figure("plan_candidate_recall", candidate_recall(world.bundle(), now_us)),
        Figure("plan_masks_broken", sum(one.masks_broken for one in measured)),
        Figure("plan_caps_broken", sum(one.caps_broken for one in measured)),
        Figure("plan_coverage", min(f.coverage for f in plans)),
        Figure("arrival_seconds", measure_arrival(world.bundle(), 100, now_us), "s"),
    ]


def play_figures(comparison: Comparison) -> list[Figure]:
    """Point 2: the plan beside what a platform would do without one."""
    planned = comparison.arms[0].name
    figures = []
    for row, other, name in (
        ("claimed_over_own_list", "own-list", "leads claimed"),
        ("claimed_over_own_list_in_turn", "own-list-in-turn", "leads claimed"),
        ("claimed_over_nearest", "nearest", "leads claimed"),
        ("wait_over_own_list", "own-list", "days to claim"),
        ("wait_over_nearest", "nearest", "days to claim"),
        ("busiest_over_own_list", "own-list", "busiest 1 % of members"),
    ):
        ratio = comparison.ratio(planned, other, name)
        several = len(comparison.seeds) > 1
        figures.append(Figure(row, ratio.mean, spread=(ratio.low, ratio.high) if several else None))
    return [
        *figures,
        Figure("play_coverage", comparison.figure(planned, "coverage").mean),
        Figure("play_masks_broken", comparison.figure(planned, "masks broken").mean),
    ]


def _claims(quick: bool) -> Figure:
    """Point 3, by `python -m benchmarks claims`; a service that does not start is a failure."""
    leads, members, workers = (10, 20, 2) if quick else (100, 100, 4)
    with tempfile.TemporaryDirectory(prefix="recsvc-claims-") as folder:
        try:
            report = asyncio.run(
                measure_claims(
                    Path(folder),
                    small_bundle("claims", 0),
                    leads=leads,
                    members=members,
                    workers=workers,
                )
            )
        except RecsvcError as error:
            return Figure("claims_failures", 1, note=f"({error})")
    return Figure("claims_failures", len(report.failures), note=f"({report.requests:,} requests)")


def _spread(figure: Figure) -> str:
    return f" [{figure.spread[0]:.3g}, {figure.spread[1]:.3g}]" if figure.spread else ""


def _limit(value: float | None) -> str:
    return "" if value is None else f"{value:g}"

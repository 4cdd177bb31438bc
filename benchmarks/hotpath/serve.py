"""`python -m benchmarks serve`: the ranking path over the wire, beside the floor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from benchmarks.hotpath.als import factors_file
from benchmarks.hotpath.outcome import Outcome, finish
from benchmarks.hotpath.serve_rank import RankPlan, measure_ranking
from benchmarks.hotpath.worlds import PROVINCE, QUICK, Step, World, open_world
from benchmarks.verdict import make_console, scratch_folder

app = typer.Typer(help="How fast leads and members are ranked over the wire.")


class Part(StrEnum):
    """What can be measured alone."""

    rank = "rank"


@dataclass(frozen=True)
class Plan:
    """How long and on what."""

    world: World
    rounds: int
    seconds: float
    quick: bool


async def _rank(plan: Plan, folder: Path, outcome: Outcome, step: Step) -> None:
    kinds = ("recommend", "match", "batch")
    told = RankPlan(
        "",
        plan.world.models,
        kinds,
        plan.rounds,
        plan.seconds,
        peer=factors_file(plan.world.data, plan.world.folder / "factors.npz"),
        truth=plan.world.truth(),
    )
    found = await measure_ranking(told, folder, step)
    outcome.add(found.figures)


_PARTS: dict[Part, Callable[[Plan, Path, Outcome, Step], Coroutine[None, None, None]]] = {
    Part.rank: _rank,
}


@app.command("serve")
def serve(
    parts: Annotated[
        list[Part] | None, typer.Option("--part", help="Measure only this; may be repeated.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Interleaved rounds.")] = 5,
    seconds: Annotated[float, typer.Option(min=0.05, help="Of each contestant a round.")] = 3.0,
    quick: Annotated[
        bool, typer.Option("--quick", help="A small world, a minute: does it work at all?")
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 when a must fails.")] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="File for the figures as JSON.")
    ] = None,
) -> None:
    """Measures ranking over gRPC beside an empty handler that returns replies of the same size.

    Example: python -m benchmarks serve --part rank --json serve.json
    """
    console = make_console()
    outcome = Outcome("serve", full_size=not quick)
    with scratch_folder(console, "recsvc-serve-") as folder, stepping(console) as step:
        world = open_world(QUICK if quick else PROVINCE, step=step)
        plan = Plan(world, 3 if quick else rounds, 0.3 if quick else seconds, quick)
        for part in parts or list(Part):
            (folder / part.value).mkdir()
            asyncio.run(_PARTS[part](plan, folder / part.value, outcome, step))
    finish(outcome, console, json_file, check)


@contextmanager
def stepping(console: object) -> Iterator[Step]:
    """Shows what is being done."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:  # type: ignore[arg-type]
        task = progress.add_task("starting", total=None)
        yield lambda text: progress.update(task, description=text)

"""`python -m benchmarks serve`: the ranking path over the wire, beside the floor."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from benchmarks.hotpath.outcome import Outcome, finish
from benchmarks.hotpath.serve_parts import PARTS, QUICK_PARTS, Part, Plan
from benchmarks.hotpath.worlds import PROVINCE, QUICK, Step, open_world
from benchmarks.options import Check, JsonFile, PageFile
from benchmarks.verdict import make_console, scratch_folder

app = typer.Typer(help="How fast leads and members are ranked over the wire.")


@app.command("serve")
def serve(
    parts: Annotated[
        list[Part] | None,
        typer.Option(
            "--part", help="Measure only this; may be repeated. All of them, with --quick a few."
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Interleaved rounds.")] = 5,
    seconds: Annotated[float, typer.Option(min=0.05, help="Of each contestant a round.")] = 3.0,
    load_seconds: Annotated[
        float, typer.Option(min=5, help="How long the load near the peak lasts.")
    ] = 600.0,
    million: Annotated[int, typer.Option(help="Open leads of the larger world.")] = 1_000_000,
    country: Annotated[int, typer.Option(help="Members of the largest world.")] = 3_400_000,
    quick: Annotated[
        bool, typer.Option("--quick", help="A small world, a minute: does it work at all?")
    ] = False,
    check: Check = False,
    json_file: JsonFile = None,
    page_file: PageFile = None,
) -> None:
    """Measures ranking over gRPC beside an empty handler that returns replies of the same size.

    Example: python -m benchmarks serve --part rank --json serve.json
    """
    console = make_console()
    outcome = Outcome("serve", full_size=not quick)
    with scratch_folder(console, "recsvc-serve-") as folder, stepping(console) as step:
        world = open_world(QUICK if quick else PROVINCE, step=step)
        for part in dict.fromkeys(parts or (QUICK_PARTS if quick else list(Part))):
            room = folder / part.value
            room.mkdir()
            plan = Plan(
                world,
                rounds=3 if quick else rounds,
                seconds=min(seconds, 0.1) if quick else seconds,
                load_seconds=load_seconds,
                million=5_000 if quick else million,
                country=2_000 if quick else country,
                quick=quick,
                folder=room,
                outcome=outcome,
                step=step,
            )
            asyncio.run(PARTS[part](plan))
    finish(outcome, console, json_file, page_file, check)


@contextmanager
def stepping(console: Console) -> Iterator[Step]:
    """Shows what is being done."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("starting", total=None)
        yield lambda text: progress.update(task, description=text)

"""`python -m benchmarks quality`: better matches than anyone, on data we did not make."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.options import Check
from benchmarks.quality import names
from benchmarks.quality.environment import PeerEnvironment
from benchmarks.quality.musts import Verdict, judge, read_musts, with_verdicts
from benchmarks.quality.protocols import Protocols
from benchmarks.quality.provinces import NAME, QUICK_SIZE, SIZE, ProvinceTask
from benchmarks.quality.quick import QUICK_SETS, QUICK_TEXTS, lists_alone, quick_tasks
from benchmarks.quality.rows import SERVED, Row
from benchmarks.quality.run import TaskRun
from benchmarks.quality.table import tables, verdict_lines
from benchmarks.quality.tasks import Plan, Task
from benchmarks.quality.topics import topic_rows
from features.errors import DataError, RecsvcError
from training.config import TrainingConfig

UNUSABLE, FAILED = 2, 1
FILE_WIDTH = 220
app = typer.Typer()


@dataclass(frozen=True)
class Choice:
    """What was asked for on the command line."""

    folders: tuple[Path, ...]
    province: bool
    only: tuple[str, ...]
    quick: bool
    seed: int

    def wants(self, name: str) -> bool:
        """Whether a data set is among those asked for."""
        return not self.only or name in self.only


@app.command("quality")
def quality(
    data: Annotated[Path, typer.Option(help="A data set, or a folder of data sets.")],
    json_file: Annotated[Path | None, typer.Option("--json", help="One row a measurement.")] = None,
    report: Annotated[Path | None, typer.Option(help="Self-contained HTML with plots.")] = None,
    check: Check = False,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="Minutes: subsets, no peers, no variants; judged by recorded values."
        ),
    ] = False,
    only: Annotated[list[str] | None, typer.Option(help="Of a folder of sets, only this.")] = None,
    work: Annotated[Path, typer.Option(help="Training parts, bundles.")] = Path("build/quality"),
    with_peers: Annotated[bool, typer.Option("--peers/--no-peers", help="Train the peers.")] = True,
    ablations: Annotated[bool, typer.Option(help="Leave parts out, one by one.")] = True,
    latency: Annotated[bool, typer.Option(help="Start a service on each bundle.")] = True,
    alone: Annotated[bool, typer.Option(help="Every embedding model alone.")] = True,
    seed: Annotated[int, typer.Option(help="Of splits and intervals.")] = 1,
) -> None:
    """The served pipeline beside its peers on real data, with what it must reach.

    A folder that holds several sets also gets the simulated province. The peers are installed into
    build/peers when they are first needed. Exits with 1 when --check finds a must that fails (the
    last line names it), with 2 when the data cannot be used.

    Example: python -m benchmarks quality --data ../shared/data --check
    """
    console = _console()
    begin = time.perf_counter()
    try:
        choice = _choice(data, only or [], quick, seed)
        peers = PeerEnvironment() if with_peers and not quick else None
        if peers is not None:
            _say(console, begin, "the peers' environment")
            peers.build()
        plan = Plan(
            work, TrainingConfig(), peers, read_musts(), alone=alone and not quick,
            latency=latency and not quick, variants=not quick,
            ablations=ablations, seed=seed,
        )  # fmt: skip
    except RecsvcError as error:
        console.print(str(error), style="red", markup=False)
        raise typer.Exit(UNUSABLE) from error
    rows: list[Row] = []
    try:
        for found in _rows(choice, plan, console, begin):
            rows += found
            # After every task: what an hour has found must not be lost to its last minute.
            _write_json(with_verdicts(rows, judge(rows, plan.musts, quick=quick)), json_file)
    finally:
        verdicts = judge(rows, plan.musts, quick=quick)
        seconds = time.perf_counter() - begin
        if report is not None and rows:
            from benchmarks.quality.html import write_report  # plots: slow to import

            write_report(with_verdicts(rows, verdicts), verdicts, report, seconds)
    console.print(verdict_lines(verdicts))
    _end(rows, verdicts, seconds, check=check)


@app.command("quality-peers")
def build_peers() -> None:
    """Builds the peers' environment, build/peers, from pinned versions."""
    try:
        PeerEnvironment().build()
    except RecsvcError as error:
        Console().print(str(error), style="red", markup=False)
        raise typer.Exit(UNUSABLE) from error


def _write_json(rows: list[Row], path: Path | None) -> None:
    if path is not None:
        told = [row.as_json() for row in rows]
        path.write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n", "utf-8")


def _end(rows: list[Row], verdicts: list[Verdict], seconds: float, *, check: bool) -> None:
    """The last lines. What was to be measured and was not fails as well."""
    failing = [verdict.name for verdict in verdicts if not verdict.holds]
    unusable = [f"{row.data}, {row.split}: {row.note}" for row in rows if not row.question]
    print(f"took {seconds / 60:.1f} minutes")
    if failing or unusable:
        print("FAILS: " + " | ".join(failing + unusable))
    else:
        print(f"all {len(verdicts)} musts that were measured hold")
    if unusable:
        raise typer.Exit(UNUSABLE)
    if check and failing:
        raise typer.Exit(FAILED)


def _rows(choice: Choice, plan: Plan, console: Console, begin: float) -> Iterator[list[Row]]:
    """Runs everything; shows each task's tables when it is done, then gives its rows."""
    for name, parts in _parts(choice, plan, console, begin):
        try:
            for rows in parts:
                for table in tables(rows):
                    console.print(table)
                yield rows
        except RecsvcError as error:  # the other sets are worth having
            console.print(f"{name}: {error}", style="red", markup=False)
            yield [Row(name, "none", "", SERVED, "served", "none", math.nan, note=str(error))]


def _parts(
    choice: Choice, plan: Plan, console: Console, begin: float
) -> Iterator[tuple[str, Iterator[list[Row]]]]:
    """The rows of each data set, task by task."""
    for folder in choice.folders:
        if (folder / names.LABELLED).exists():
            yield folder.name, _topics(folder, choice, console, begin)
        else:
            yield folder.name, _tasks(folder, choice, plan, console, begin)
    if choice.province:
        yield NAME, _province(choice, plan, console, begin)


def _topics(folder: Path, choice: Choice, console: Console, begin: float) -> Iterator[list[Row]]:
    _say(console, begin, f"{folder.name}: topics")
    yield topic_rows(folder, choice.seed, most=QUICK_TEXTS if choice.quick else None)


def _tasks(
    folder: Path, choice: Choice, plan: Plan, console: Console, begin: float
) -> Iterator[list[Row]]:
    tasks = Protocols(folder, plan.work / "parts", choice.seed).tasks()
    for task in quick_tasks(tasks) if choice.quick else tasks:
        yield _run(task, plan, console, begin).rows()


def _province(choice: Choice, plan: Plan, console: Console, begin: float) -> Iterator[list[Row]]:
    _say(console, begin, "making the province")
    made = ProvinceTask(QUICK_SIZE if choice.quick else SIZE, plan.work, choice.seed)
    task = lists_alone(made.task) if choice.quick else made.task
    run = _run(task, plan, console, begin)
    run.oracles = {"oracle": made.oracle, "oracle without noise": made.without_noise}
    yield run.rows()


def _run(task: Task, plan: Plan, console: Console, begin: float) -> TaskRun:
    return TaskRun(
        task, plan, lambda what: _say(console, begin, f"{task.data}, {task.split}: {what}")
    )


def _console() -> Console:
    """Wide enough for the tables where the output goes to a file."""
    console = Console()
    return console if console.is_terminal else Console(width=FILE_WIDTH)


def _say(console: Console, begin: float, what: str) -> None:
    console.print(f"{time.perf_counter() - begin:6.0f} s  {what}", style="dim", highlight=False)


def _choice(data: Path, only: list[str], quick: bool, seed: int) -> Choice:
    """The sets below `data`, or the one that it is."""
    if not data.is_dir():
        raise DataError(f"{data} is not a folder: give a data set or a folder of them")
    if _is_set(data):
        return Choice((data,), False, tuple(only), quick, seed)
    found = [folder for folder in sorted(data.iterdir()) if _is_set(folder)]
    wanted = [f for f in found if not only or f.name in only]
    wanted = [f for f in wanted if not quick or f.name in QUICK_SETS or f.name in only]
    unknown = set(only) - {f.name for f in found} - {NAME}
    if not found:
        raise DataError(
            f"{data} holds no data set: give a folder with the tables members, leads and events "
            "(README, Your own data), or a folder of such folders"
        )
    if unknown:
        here = ", ".join([*(f.name for f in found), NAME])
        raise DataError(f"{data} has no {', '.join(sorted(unknown))}; found: {here}")
    return Choice(tuple(wanted), not only or NAME in only, tuple(only), quick, seed)


def _is_set(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    tables_ = [path.name.split(".")[0] for path in folder.iterdir()]
    return (folder / names.LABELLED).exists() or {"members", "leads", "events"} <= set(tables_)

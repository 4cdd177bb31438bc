"""`recsvc tune`: settings for an operator's own data, within a given time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from features.errors import RecsvcError
from training.cli_tune_index import index
from training.config import TrainingConfig
from training.evaluate import Figure
from training.logs import read_dataset
from training.settings import setting
from training.tune import Tuned, Tuning

UNUSABLE = 1
"""Exit status when the data cannot be used."""


tune = typer.Typer(help="Settings for an operator's own data.", add_completion=False)
tune.command("index")(index)


@tune.callback(invoke_without_command=True)
def search(
    context: typer.Context,
    data: Annotated[
        Path | None, typer.Option(help="Folder with the tables members, leads, events.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where the settings go, for recsvc train --settings.")
    ] = None,
    minutes: Annotated[float, typer.Option(min=0.0, help="How long all of it may take.")] = 30.0,
    trials: Annotated[int | None, typer.Option(min=1, help="At most so many now.")] = None,
    storage: Annotated[
        Path | None, typer.Option(help="File of trials to go on with; OUT.db when not given.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = TrainingConfig().seed,
    threads: Annotated[int, typer.Option(help="Threads.")] = TrainingConfig().threads,
) -> None:
    """Search training settings for a data set; the part that judges is not looked at meanwhile.

    Interrupt it and call it again: it goes on with the trials it has. Exits with 1 when the data
    cannot be used.

    Example: recsvc tune --data ./data --out tuned.json --minutes 60
    """
    if context.invoked_subcommand is not None:
        return
    if data is None or out is None:
        raise typer.BadParameter("--data and --out say what to search on and where to write it")
    console = Console(stderr=True)
    config = TrainingConfig(seed=seed, threads=threads)
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    try:
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task("reading", total=None)
            tuning = Tuning(
                read_dataset(data),
                config,
                storage or out.with_suffix(".db"),
                lambda what: bar.update(task, description=what),
                done=lambda line: console.print(line, highlight=False),
            )
            if tuning.trial_count:
                console.print(f"going on after {tuning.trial_count} trials", highlight=False)
            tuning.search(minutes * 60.0, trials)
            found = tuning.result()
    except RecsvcError as error:
        console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(UNUSABLE) from error
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(found.as_json(), indent=1) + "\n", "utf-8")
    Console().print(_table(found, config))


def _table(found: Tuned, config: TrainingConfig) -> Table:
    """The settings beside the defaults, and what they are worth."""
    title = f"{found.trial_count} trials"
    table = Table("setting", "default", "found", title=title, title_justify="left")
    for name, value in found.settings.items():
        table.add_row(name, f"{setting(config, name):g}", f"{value:g}")
    trial = f"{found.trial_default:.4f}", f"{found.trial_value:.4f}"
    table.add_row(f"{found.measure}, in trials", *trial)
    table.add_row(f"{found.measure}, set aside", _shown(found.default), _shown(found.best))
    if found.best and found.default and found.best.value <= found.default.value:
        table.caption = "no better than the defaults on the part set aside: better keep those"
    return table


def _shown(figure: Figure | None) -> str:
    if figure is None:
        return "–"
    return f"{figure.value:.4f} [{figure.low:.4f}, {figure.high:.4f}]"

"""`recsvc train`: from a data set to a published bundle."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from features.config import FeatureConfig
from features.errors import RecsvcError
from training.config import TrainingConfig
from training.nightly import Training
from training.report import TrainingReport
from training.settings import configured, read_settings

UNUSABLE = 1
"""Exit status when the data cannot be used."""

NOT_PUBLISHED = 3
"""Exit status when a bundle was trained but the gate did not let it pass."""


def train(
    data: Annotated[Path, typer.Option(help="Folder with the tables members, leads, events.")],
    models: Annotated[Path, typer.Option(help="Folder that bundles are published into.")],
    tenant: Annotated[str, typer.Option(help="Whose data it is.")] = "default",
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write the report here, as JSON.")
    ] = None,
    rejects: Annotated[
        Path | None, typer.Option(help="Folder for the rows that could not be used.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = TrainingConfig().seed,
    threads: Annotated[
        int, typer.Option(help="Threads; the model is the same with any number.")
    ] = TrainingConfig().threads,
    encoder: Annotated[
        bool,
        typer.Option(
            "--encoder", help="Also read texts with the sentence encoder (the extra `encoder`)."
        ),
    ] = False,
    settings: Annotated[
        Path | None, typer.Option(help="Settings that `recsvc tune` found, in place of defaults.")
    ] = None,
) -> None:
    """Train a model on a data set and publish it, unless the gate says no.

    Exits with 3 when a model was trained but not published, with 1 when the data cannot be used.

    Example: recsvc train --data ./data --models ./models
    """
    console = Console(stderr=True)
    features = FeatureConfig(use_encoder=encoder)
    config = TrainingConfig(features=features, seed=seed, threads=threads)
    if settings is not None:
        config = _with_settings(config, settings, console)
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=None)
        training = Training(config, tenant, lambda stage: bar.update(task, description=stage))
        problem = _problem(lambda: training.publish(data, models, rejects))
    report = training.report
    report.why_not = report.why_not or problem
    if json_file is not None:
        _write_json(report, json_file)
    if problem:
        console.print(problem, style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(UNUSABLE)
    Console().print(report.render())
    if not report.published:
        raise typer.Exit(NOT_PUBLISHED)


def _with_settings(config: TrainingConfig, path: Path, console: Console) -> TrainingConfig:
    try:
        return configured(config, read_settings(path))
    except RecsvcError as error:
        console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(UNUSABLE) from error


def _problem(run: Callable[[], object]) -> str:
    """What is wrong with the data, "" when nothing is."""
    try:
        run()
    except RecsvcError as error:
        return str(error)
    return ""


def _write_json(report: TrainingReport, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report.as_json(), ensure_ascii=False, indent=1) + "\n", "utf-8")

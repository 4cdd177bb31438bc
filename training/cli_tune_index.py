"""`recsvc tune index`: how many leads a request looks at, for an operator's own data."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from recsvc.config import DEFAULT_FILE
from recsvc.errors import ConfigError
from recsvc.matching.candidates import CandidateConfig
from recsvc.matching.pipeline import now_us
from recsvc.model.bundle import Bundle
from recsvc.model.registry import ModelRegistry
from training.config import TrainingConfig
from training.logs import read_dataset
from training.nightly import Training
from training.tune_index import Candidate, ListExam, choose, default_grid, try_all

NOT_REACHED = 3
"""Exit status when nothing that was tried reaches the recall; nothing is written then."""

_SECTION = re.compile(r"^\[retrieval\][^\n]*\n(?:(?!\[)[^\n]*\n?)*", re.MULTILINE)


def index(
    data: Annotated[Path, typer.Option(help="Folder with the tables members, leads, events.")],
    target_recall: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Of the fifty best, at every eligible share.")
    ] = 0.99,
    models: Annotated[
        Path | None, typer.Option(help="Models folder; its published bundle is taken.")
    ] = None,
    tenant: Annotated[str, typer.Option(help="Whose bundle.")] = "default",
    config: Annotated[Path, typer.Option(help="Configuration to write into.")] = DEFAULT_FILE,
    members: Annotated[int, typer.Option(min=1, help="Members to ask for.")] = 200,
    seed: Annotated[int, typer.Option(help="Of the members.")] = TrainingConfig().seed,
) -> None:
    """Find how many leads to look at, and write it into the configuration.

    Compares lists of fifty with the full ranker over every eligible lead, when 100, 10, 1 and
    0.1 % of the leads are eligible, and takes the fastest that reaches the recall at each. Without
    --models a bundle is trained from --data first. Exits with 3 when nothing reaches it.

    Example: recsvc tune index --target-recall .99 --data ./data --models ./models
    """
    console = Console(stderr=True)
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("reading", total=None)

        def step(what: str) -> None:
            bar.update(task, description=what)

        bundle = _bundle(data, models, tenant, step)
        step("the exact lists")
        exam = ListExam(bundle, members, now_us(), seed)
        tried = try_all(exam, default_grid(), step)
    found = choose(tried, target_recall)
    Console().print(_table(tried, found))
    if found is None:
        console.print(f"nothing that was tried reaches a recall of {target_recall:g}", style="red")
        raise typer.Exit(NOT_REACHED)
    write_retrieval(config, _changed(found.config))
    Console().print(f"written to {config}", soft_wrap=True)


def _bundle(data: Path, models: Path | None, tenant: str, step: Callable[[str], None]) -> Bundle:
    """The published bundle, or a new one; raises ConfigError when none is published."""
    if models is None:
        return Training(TrainingConfig(), tenant, step).train(read_dataset(data))[0]
    registry = ModelRegistry(models, tenant)
    published = registry.published()
    if published is None:
        raise ConfigError(f"no bundle of {tenant!r} is published in {models}: train one first")
    return registry.load(published)


def _changed(config: CandidateConfig) -> dict[str, int]:
    """The knobs that are not at their default."""
    default = asdict(CandidateConfig())
    return {name: value for name, value in asdict(config).items() if value != default[name]}


def write_retrieval(path: Path, knobs: Mapping[str, int]) -> None:
    """Puts the table [retrieval] into a TOML file, in the place of the one that was there."""
    text = path.read_text("utf-8") if path.is_file() else ""
    rest = _SECTION.sub("", text).rstrip("\n")
    lines = "".join(f"{name} = {value}\n" for name, value in knobs.items())
    section = f"[retrieval]\n{lines}" if knobs else ""
    path.write_text("\n\n".join(part for part in (rest, section) if part).rstrip() + "\n", "utf-8")


def _table(tried: list[Candidate], found: Candidate | None) -> Table:
    table = Table("knobs", title="Lists of fifty, against the full ranker", title_justify="left")
    for point in tried[0].points:
        table.add_column(f"{100 * point.share:g} % eligible", justify="right")
    for candidate in tried:
        knobs = ", ".join(f"{k} {v:,}" for k, v in asdict(candidate.config).items())
        cells = (f"{p.recall:.3f} in {p.p50_us / 1e3:,.2f} ms" for p in candidate.points)
        table.add_row(knobs, *cells, style="bold green" if candidate is found else None)
    return table

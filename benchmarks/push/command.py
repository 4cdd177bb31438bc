"""Plan pushes and look at the plan; simulate a policy before switching to it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks.province.config import ProvinceConfig
from benchmarks.push.compare import PLANNED, Arm, Comparison, compare
from benchmarks.push.log_replay import replay_log
from benchmarks.push.plot import plot
from benchmarks.push.policies import POLICIES
from benchmarks.push.stage import Stage, make_stage
from benchmarks.verdict import make_console, scratch_folder
from features.errors import DataError
from recsvc.commands import push
from recsvc.push.config import PushConfig, read_push_config

app = typer.Typer(no_args_is_help=True, help=__doc__)
app.registered_commands += push.app.registered_commands

SMALL = ProvinceConfig(members=3_000, leads=7_000, events=90_000, years=2.0)
"""Small enough to train in a minute or two, large enough that many members like the same leads, as
in a province: with a few hundred members policies hardly differ."""


@app.command(
    "simulate",
    epilog="Example: recsvc push simulate --days 60 --policy planned --policy mine.toml",
)
def simulate(
    days: Annotated[int, typer.Option(min=1, help="How long.")] = 60,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            help=f"{', '.join(POLICIES)}, or a TOML file with the [push] table of a plan; may be "
            "repeated. The others push as much as the first does. All of them by default."
        ),
    ] = None,
    config: push.PushConfigFile = None,
    seeds: Annotated[int, typer.Option(min=1, help="Provinces to play on: for intervals.")] = 1,
    members: Annotated[int, typer.Option(min=50, help="Members.")] = SMALL.members,
    leads: Annotated[int, typer.Option(min=50, help="Leads over the years.")] = SMALL.leads,
    events: Annotated[int, typer.Option(min=50, help="Events to learn from.")] = SMALL.events,
    years: Annotated[float, typer.Option(help="How long the log is.")] = SMALL.years,
    tiered: Annotated[
        bool, typer.Option("--tiered", help="Organizations have jurisdiction rules.")
    ] = False,
    plot_file: Annotated[
        Path | None, typer.Option("--plot", help="Picture of the comparison (.svg, .png).")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="File for all figures.")] = None,
    log: Annotated[
        Path | None,
        typer.Option(help="A data set: weigh its logged pushes instead of playing (see below)."),
    ] = None,
) -> None:
    """Play push policies on a simulated province whose members answer by a truth no model knows.

    A model is trained on the province as it was DAYS before its end. From then on every policy has
    the same leads, masks and caps, and members who answer alike.

    With --log nothing is simulated: claims a push are estimated by inverse propensity weighting of
    the pushes that a data set has logged with their propensities.
    """
    if log is not None:
        _weigh(log, json_file)
        return
    arms = read_arms(policy or list(POLICIES), config)
    world = ProvinceConfig(
        members, leads, events, years, jurisdictions="tiered" if tiered else "any"
    )
    console = make_console()
    comparison = simulated(console, world, days, range(1, seeds + 1), arms)
    console.print(comparison.render())
    if plot_file is not None:
        plot(comparison, plot_file)
    if json_file is not None:
        json_file.write_text(json.dumps(comparison.as_json(), indent=1), "utf-8")


def _weigh(log: Path, json_file: Path | None) -> None:
    console = make_console()
    with console.status("reading the log"):
        found = replay_log(log, seed=0)
    table = Table("policy", "claims a push [95 %]", "effective pushes", "of", title=str(log))
    for name, one in found.items():
        shown = f"{one.value:.4f} [{one.low:.4f}, {one.high:.4f}]"
        table.add_row(name, shown, f"{one.effective:,.0f}", f"{one.pushes:,}")
    console.print(table)
    if json_file is not None:
        json_file.write_text(json.dumps({k: asdict(v) for k, v in found.items()}, indent=1))


def read_arms(names: Sequence[str], config: Path | None) -> list[Arm]:
    """Policies by name or by the file of their configuration; raises DataError, ConfigError."""
    base = read_push_config(config) if config else PushConfig(explore=0.0)
    arms = []
    for name in names:
        if name in POLICIES:
            arms.append(Arm(name, name, base))
        elif Path(name).is_file():
            arms.append(Arm(Path(name).stem, PLANNED, read_push_config(Path(name))))
        else:
            known = ", ".join(POLICIES)
            raise DataError(f"there is no policy {name!r}: take {known}, or a TOML file")
    if len({arm.name for arm in arms}) < len(arms):
        raise DataError("two policies have one name: rename a file")
    return arms


def simulated(
    console: Console, world: ProvinceConfig, days: int, seeds: Sequence[int], arms: Sequence[Arm]
) -> Comparison:
    """Draws and trains a stage a seed, and plays all arms on each."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with (
        scratch_folder(console, "recsvc-push-") as folder,
        Progress(*columns, console=console, transient=True) as progress,
    ):
        task = progress.add_task("", total=None)
        stages: list[tuple[int, Stage]] = []
        for seed in seeds:
            progress.update(task, description=f"province and model of seed {seed}")
            stages.append((seed, make_stage(world, days, seed, folder / str(seed))))
        return compare(
            stages,
            arms,
            lambda label, day: progress.update(task, description=f"{label}, day {day + 1}"),
        )

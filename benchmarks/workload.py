"""The simulated province: a data set of any size, drawn from a stated ground truth.

    province = generate(ProvinceConfig(members=35_000, leads=66_000, events=1_000_000), seed=1)
    write_dataset(province, Path("province"))
    province.claim_probability(members, leads, time_us, position)      # the oracle

Same seed, same configuration: same bytes. The formula of the ground truth is written down in
`benchmarks.province.truth`, the logging policy in `.policy`, races in `.race`, and what follows an
exposure in `.followups`. The world is frozen (`WORLD_VERSION`): nothing in it was tuned to what a
model does on it, and a change counts the version up.
"""

from __future__ import annotations

import resource
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import numpy as np
import polars as pl
import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks.province.config import WORLD_VERSION, ProvinceConfig
from benchmarks.province.race import Outcome
from benchmarks.province.tables import province_tables
from benchmarks.province.truth_tables import truth_tables, world_json
from benchmarks.province.world import Province, Step, generate
from features.entities import EventKind
from features.errors import DataError

__all__ = ["WORLD_VERSION", "Province", "ProvinceConfig", "app", "generate", "write_dataset"]

Format: TypeAlias = Literal["csv.gz", "parquet"]


def write_dataset(
    province: Province,
    folder: Path,
    format: Format = "csv.gz",  # noqa: A002 - the word that callers expect
    *,
    with_truth: bool = False,
    step: Step = lambda _: None,
) -> list[Path]:
    """Writes the tables into `folder` (made when missing); gives the files.

    With `with_truth` the ground truth goes to `folder/truth`, beside the tables, never into them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    step("tables")
    files = [
        _write(table, folder / f"{name}.{format}")
        for name, table in province_tables(province).items()
    ]
    if with_truth:
        step("truth")
        (folder / "truth").mkdir(exist_ok=True)
        for name, table in truth_tables(province).items():
            files.append(_write(table, folder / "truth" / f"{name}.{format}"))
        world = folder / "truth" / "world.json"
        world.write_text(world_json(province), "utf-8")
        files.append(world)
    return files


def _write(table: pl.DataFrame, path: Path) -> Path:
    if path.suffix == ".parquet":
        table.write_parquet(path, compression="zstd")
    else:
        table.write_csv(path, compression="gzip", compression_level=4)
    return path


app = typer.Typer(help="The simulated province: a data set drawn from a stated ground truth.")


class _Format(StrEnum):
    csv = "csv.gz"
    parquet = "parquet"


@app.command("workload")
def workload(
    out: Annotated[Path, typer.Option(help="Folder for the tables; made when missing.")],
    members: Annotated[int, typer.Option(min=50, help="Number of members.")] = 600,
    leads: Annotated[int, typer.Option(min=50, help="Number of leads.")] = 1_500,
    events: Annotated[int, typer.Option(min=50, help="Number of events, about.")] = 25_000,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same bytes.")] = 0,
    years: Annotated[float, typer.Option(help="How long the log is.")] = 6.0,
    format: Annotated[_Format, typer.Option(help="Of the tables.")] = _Format.csv,  # noqa: A002
    with_truth: Annotated[
        bool, typer.Option("--with-truth", help="Also write the ground truth, into OUT/truth.")
    ] = False,
    tiered: Annotated[
        bool, typer.Option("--tiered", help="Give organizations jurisdiction rules.")
    ] = False,
) -> None:
    """Writes a simulated province in the data-set layout.

    Example: python -m benchmarks workload --members 35000 --leads 66000 --events 1000000 --out big
    """
    console = Console()
    started = time.perf_counter()
    try:
        config = ProvinceConfig(
            members, leads, events, years, jurisdictions="tiered" if tiered else "any"
        )
    except DataError as error:
        raise typer.BadParameter(str(error)) from error
    with _progress(console) as progress:
        task = progress.add_task("", total=None)

        def step(what: str) -> None:
            progress.update(task, description=what)

        province = generate(config, seed, step)
        files = write_dataset(province, out, format.value, with_truth=with_truth, step=step)
    console.print(_summary(province, files, time.perf_counter() - started))


def _progress(console: Console) -> Progress:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True)


def _summary(p: Province, files: list[Path], seconds: float) -> Table:
    """A small table of what was made."""
    kinds = np.bincount(p.log.events.kind, minlength=max(EventKind) + 1)
    pushes = p.log.settled.exposures.position < 0
    claims = p.log.settled.outcome == Outcome.CLAIMED
    lost = p.log.settled.outcome == Outcome.LOST_RACE
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    table = Table(title=f"Simulated province, world {WORLD_VERSION}, seed {p.seed}")
    table.add_column("what")
    table.add_column("how much", justify="right")
    for what, value in (
        ("members (of them rural)", f"{len(p.members):,} ({p.member_rural.mean():.0%})"),
        ("organizations", f"{len(p.organizations.ids):,}"),
        ("leads (of them rural)", f"{len(p.leads):,} ({p.lead_rural.mean():.0%})"),
        ("open leads (nobody touched yet)", f"{len(p.open_rows):,} ({len(p.new_rows):,})"),
        ("events", f"{len(p.log.events):,}"),
        *((f"  {kind.name}", f"{kinds[kind]:,}") for kind in EventKind),
        (
            "claimed, of pushes / of list slots",
            f"{claims[pushes].mean():.1%} / {claims[~pushes].mean():.1%}",
        ),
        ("lost races (censored)", f"{int(lost.sum()):,}"),
        ("files", f"{sum(f.stat().st_size for f in files) / 2**20:.1f} MiB in {files[0].parent}"),
        ("took", f"{seconds:.1f} s, {peak_mib:,.0f} MiB at most"),
    ):
        table.add_row(what, value)
    return table

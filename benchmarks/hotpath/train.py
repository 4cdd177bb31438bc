"""`python -m benchmarks train`: the nightly run beside implicit's ALS on the same interactions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.hotpath.als import FACTORS, ITERATIONS, fit_als, interactions_of
from benchmarks.hotpath.outcome import Outcome, finish
from benchmarks.hotpath.rounds import Spread
from benchmarks.hotpath.serve import stepping
from benchmarks.hotpath.worlds import PROVINCE, QUICK, TENANT, Step, open_world
from benchmarks.musts import Figure
from benchmarks.options import Check, JsonFile, PageFile
from benchmarks.serving import ServingError
from benchmarks.verdict import make_console, scratch_folder
from training.cli import NOT_PUBLISHED
from training.config import TrainingConfig
from training.logs import read_dataset

app = typer.Typer(help="How long a night's training takes.")


@app.command("train")
def train(
    rounds: Annotated[int, typer.Option(min=1, help="Interleaved rounds.")] = 5,
    threads: Annotated[int, typer.Option(min=1, help="Of both.")] = TrainingConfig().threads,
    quick: Annotated[bool, typer.Option("--quick", help="A small world, a minute.")] = False,
    check: Check = False,
    json_file: JsonFile = None,
    page_file: PageFile = None,
) -> None:
    """Runs `recsvc train` on the world's data set, and implicit's ALS on what it makes of the log.

    Example: python -m benchmarks train --rounds 1
    """
    console = make_console()
    outcome = Outcome("train", full_size=not quick)
    with scratch_folder(console, "recsvc-train-") as folder, stepping(console) as step:
        world = open_world(QUICK if quick else PROVINCE, step=step)
        turns = 1 if quick else rounds
        outcome.add(measure_training(world.data, folder, turns, threads, step, outcome.series))
    finish(outcome, console, json_file, page_file, check)


def measure_training(
    data: Path, folder: Path, rounds: int, threads: int, step: Step, series: dict[str, Any]
) -> list[Figure]:
    """Wall time of the whole command, of its phases, and of the fit it is compared with."""
    config = TrainingConfig()
    step("interactions for ALS")
    matrix = interactions_of(read_dataset(data), config)
    walls, fits = [], []
    phases: dict[str, list[float]] = defaultdict(list)
    report: dict[str, Any] = {}
    for number in range(rounds):
        step(f"recsvc train, round {number + 1} of {rounds}")
        seconds, report = _train(data, folder / str(number), threads)
        walls.append(seconds)
        for phase, took in report["seconds"].items():
            phases[phase].append(took)
        step(f"ALS, round {number + 1} of {rounds}")
        fits.append(fit_als(matrix, seed=config.seed, threads=threads).seconds)
    series["train_phases_seconds"] = {name: Spread.of(v).median for name, v in phases.items()}
    quality = _quality(report)
    ratio = Spread.of([a / b for a, b in zip(walls, fits, strict=True)])
    note = f"ALS: {FACTORS} factors, {ITERATIONS} iterations, {matrix.nnz:,} pairs"
    wall, fit = Spread.of(walls), Spread.of(fits)
    found = [
        Figure("train_over_als", ratio.median, "×", ratio.ends, quality, note),
        Figure("train_wall", wall.median, "s", wall.ends, quality),
        Figure("train_als_fit", fit.median, "s", fit.ends),
    ]
    for phase, took in phases.items():
        spread = Spread.of(took)
        row = f"train_phase_{phase.replace(' ', '_')}"
        found.append(Figure(row, spread.median, "s", spread.ends))
    return found


def _train(data: Path, folder: Path, threads: int) -> tuple[float, dict[str, Any]]:
    """Seconds of `recsvc train` as a process of its own, and its report."""
    folder.mkdir()
    told = folder / "report.json"
    command = [sys.executable, "-m", "recsvc.cli", "train", "--data", str(data)]
    command += ["--models", str(folder / "models"), "--tenant", TENANT]
    command += ["--threads", str(threads), "--json", str(told)]
    begin = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
    seconds = time.perf_counter() - begin
    if done.returncode not in (0, NOT_PUBLISHED):
        raise ServingError(f"recsvc train ended with {done.returncode}: {done.stderr[-2_000:]}")
    return seconds, json.loads(told.read_text("utf-8"))


def _quality(report: dict[str, Any]) -> dict[str, float]:
    """The figure of the run that its gate goes by, under its own name."""
    return {
        figure["name"]: figure["value"]
        for figure in report["figures"]
        if figure["name"] == report["primary"] and figure["cohort"] == "all"
    }

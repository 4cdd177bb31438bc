"""Command-line options that several benchmarks take, each said once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

JsonFile: TypeAlias = Annotated[
    Path | None, typer.Option("--json", help="File for the figures as JSON.")
]
PageFile: TypeAlias = Annotated[
    Path | None, typer.Option("--report", help="File for tables and plots as HTML.")
]
Check: TypeAlias = Annotated[bool, typer.Option("--check", help="Exit with 1 when a must fails.")]
Kills: TypeAlias = Annotated[int, typer.Option(min=1, help="How often something is killed.")]
Workers: TypeAlias = Annotated[int, typer.Option(min=1, help="Worker processes.")]
Seed: TypeAlias = Annotated[int, typer.Option(min=0, help="Of the model and of the plan.")]

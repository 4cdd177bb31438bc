"""`recsvc demo`: data, training, a real service, answers with reasons, and what changes them."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.cells import cell_len
from rich.console import Console

from benchmarks.demo_run import Demo
from benchmarks.options import Workers

_PLAIN_WIDTH = 140
"""Columns when the output is no terminal: tables with Chinese reasons need room."""


def demo(
    data: Annotated[
        Path | None, typer.Option(help="A data set; none: a small simulated province is made.")
    ] = None,
    messages: Annotated[
        Path | None,
        typer.Option(help="Citizens' messages to match; default: citizen_messages beside DATA."),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the folder with everything.")] = False,
    workers: Workers = 2,
    seed: Annotated[int, typer.Option(min=0, help="Of the province and of training.")] = 1,
) -> None:
    """Show the main job end to end: train, serve, recommend, match, explain, learn of changes.

    Everything happens in a temporary folder, with a real service on a free port of this machine.

    Example: recsvc demo --data ../shared/data/bytecup2016
    """
    folder = Path(tempfile.mkdtemp(prefix="recsvc-demo-"))
    console = Console()
    if not console.is_terminal:
        console = Console(width=_PLAIN_WIDTH)
    try:
        Demo(folder, workers, seed, console).run(data, messages)
    finally:
        if keep:
            console.print(f"everything is in {folder}", soft_wrap=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    console.print(_what_next(folder if keep else None, data), highlight=False, soft_wrap=True)


def _what_next(kept: Path | None, data: Path | None) -> str:
    """Commands that go on from here."""
    models = kept / "models" if kept else Path("models")
    source = data or (kept / "data" if kept else Path("DIR"))
    commands = {
        f"recsvc train --data {source} --models {models}": "train on your own data set",
        f"recsvc serve --models {models} --data-dir data": "serve what was trained",
        f"recsvc import --data {source}": "fill the service",
        "recsvc recommend MEMBER": "leads for a member",
        "recsvc match --title 路灯不亮 --region 430102": "members for a text",
    }
    width = max(map(cell_len, commands))
    lines = [
        f"  {command}{' ' * (width - cell_len(command))}  # {what}"
        for command, what in commands.items()
    ]
    return "\n".join(["What to do next:", *lines])

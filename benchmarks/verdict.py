"""How a test on the command line shows that it goes on, and how it ends."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from features.errors import RecsvcError

_PLAIN_WIDTH = 120
"""Columns when the output is no terminal."""


class Report(Protocol):
    """What a test found."""

    @property
    def failures(self) -> list[str]: ...
    def as_json(self) -> dict[str, Any]: ...
    def render(self) -> Table: ...


def make_console() -> Console:
    """Standard output, wide enough for tables when it is no terminal."""
    console = Console()
    return console if console.is_terminal else Console(width=_PLAIN_WIDTH)


def count_bar(console: Console) -> Progress:
    """A bar with its count."""
    text = TextColumn("{task.description}")
    return Progress(text, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console)


@contextmanager
def scratch_folder(console: Console, prefix: str) -> Iterator[Path]:
    """A folder that is kept when the test fails, and a RecsvcError told in one line."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        yield folder
    except BaseException as error:
        if isinstance(error, RecsvcError):
            console.print(Text("error: ", "bold red") + Text(str(error)), soft_wrap=True)
        console.print(f"everything is in {folder}", soft_wrap=True)
        if isinstance(error, RecsvcError):
            raise typer.Exit(1) from error
        raise
    shutil.rmtree(folder)


def conclude(console: Console, report: Report, json_file: Path | None) -> None:
    """Shows a report, writes it as JSON, and exits with 1 when it has failures."""
    console.print(report.render())
    if json_file is not None:
        json_file.write_text(json.dumps(report.as_json(), indent=2, ensure_ascii=False), "utf-8")
    if report.failures:
        console.print(f"[bold red]failures: {len(report.failures)}[/]")
        raise typer.Exit(1)

"""`recsvc config`: the settings in force."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from recsvc.commands import show
from recsvc.config import load_settings


def config(
    file: Annotated[
        Path | None, typer.Option("--config", help="TOML file; default: ./recsvc.toml if there.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="JSON for programs.")] = False,
) -> None:
    """Print every setting, what it is now and where that comes from.

    A file is read first, then RECSVC_* environment variables; `recsvc serve` reads the same.

    Example: RECSVC_PORT=50052 recsvc config
    """
    described = load_settings(file).describe()
    if json:
        show.print_json(described)
        return
    table = Table("setting", "value", "source", "what it does")
    for one in described:
        style = "dim" if one.source == "default" else "green"
        table.add_row(one.name, Text(one.value), Text(one.source, style), Text(one.description))
    Console().print(table)

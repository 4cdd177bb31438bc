"""The `recsvc` command. Its sub-commands are entry points of the group `recsvc.commands`.

    [project.entry-points."recsvc.commands"]
    train = "training.cli:train"            a function (its last paragraph is the example) or an app

A sub-command is imported when it is run, so that one that is broken or not installed harms no
other, and listing them costs nothing: the list reads the first line of each docstring.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import sys
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.text import Text
from typer.core import TyperCommand, TyperGroup

from features.errors import RecsvcError

GROUP = "recsvc.commands"
_ORDER = ("demo", "train", "serve", "import", "export", "recommend", "match", "explain", "models")
_EXAMPLE = "Example: "
_COMPLETION = ("install_completion", "show_completion")  # for whole programs, not for a part


class CommandUnavailableError(RecsvcError):
    """A sub-command that is registered cannot be loaded."""


class _Commands(TyperGroup):
    """Finds sub-commands among the entry points."""

    listing = False

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        """All names, those of the main job first."""
        del ctx
        names = sorted(_entry_points())
        return [*(n for n in _ORDER if n in names), *(n for n in names if n not in _ORDER)]

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]
        """The command itself; for the list, only its name and what it does."""
        del ctx
        entry = _entry_points().get(cmd_name)
        if entry is None:
            return None
        return _outline(entry) if self.listing else load_command(entry)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """As always, without loading the commands."""
        self.listing = True
        super().format_help(ctx, formatter)


app = typer.Typer(
    cls=_Commands,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
    epilog="Example: recsvc demo",
)


@app.callback()
def _root() -> None:
    """智慧推荐: which lead for which member, and why.

    Each command has its own --help, which ends with an example.
    """


def main(arguments: list[str] | None = None) -> NoReturn:
    """Runs a command. Exits with 1 and one line on an error, with 2 when it is used wrongly."""
    try:
        app(arguments, prog_name="recsvc")
    except RecsvcError as error:
        Console(stderr=True, soft_wrap=True).print(Text("error: ", "bold red") + Text(str(error)))
        sys.exit(1)
    sys.exit(0)


def load_command(entry: EntryPoint) -> Any:
    """The command behind an entry point; raises CommandUnavailableError."""
    try:
        found = entry.load()
    except Exception as error:
        raise CommandUnavailableError(
            f"recsvc {entry.name} cannot be loaded ({entry.value}: {type(error).__name__}: "
            f"{error}); the other commands work: install recsvc with everything it needs"
        ) from error
    if not isinstance(found, typer.Typer):
        text, example = _help(found)
        holder = typer.Typer(add_completion=False)
        holder.command(entry.name, help=text, epilog=example)(found)
        found = holder
    command: Any = typer.main.get_command(found)
    command.name = entry.name
    command.params = [p for p in command.params if p.name not in _COMPLETION]
    return command


def _entry_points() -> Mapping[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def _help(function: Any) -> tuple[str, str | None]:
    """What a command's docstring says, and its example, which goes to the end of the help."""
    text, _, example = (inspect.getdoc(function) or "").partition(_EXAMPLE)
    return text.strip(), f"{_EXAMPLE}{example.strip()}" if example else None


def _outline(entry: EntryPoint) -> TyperCommand:
    """A command's name and first line, from its source, without running any of it."""
    return TyperCommand(entry.name, help=_first_line(entry))


def _first_line(entry: EntryPoint) -> str:
    try:
        spec = importlib.util.find_spec(entry.module)
        source = importlib.util.decode_source(spec.loader.get_data(spec.origin))  # type: ignore[union-attr]
        tree = ast.parse(source)
    except (ImportError, AttributeError, OSError, SyntaxError) as error:
        return f"(cannot be loaded: {error})"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == entry.attr:
            return (ast.get_docstring(node) or "").partition("\n")[0]
    return (ast.get_docstring(tree) or "").partition("\n")[0]


if __name__ == "__main__":
    main()

"""`recsvc export`: what the store holds, as a data set."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from features.errors import DataError
from recsvc.commands import show
from recsvc.commands.serve import ConfigFile, DataFolder, RedisUrl
from recsvc.config import load_settings
from recsvc.serving.keeper import archive_folder
from recsvc.settings import Settings
from recsvc.store.archive import ArchiveFolder
from recsvc.store.embedded import EmbeddedValkey
from recsvc.store.export import ExportSummary, export_dataset
from recsvc.store.redis_store import RedisStore


def export(
    out: Annotated[Path, typer.Option(help="New folder for the tables.")],
    tenant: Annotated[str, typer.Option(help="Whose.", envvar="RECSVC_TENANT")] = "default",
    data_dir: DataFolder = None,
    redis_url: RedisUrl = None,
    archive: Annotated[
        Path | None,
        typer.Option(help="Folder of archived events; default: where a service keeps them."),
    ] = None,
    config: ConfigFile = None,
    json: Annotated[bool, typer.Option("--json", help="JSON for programs.")] = False,
) -> None:
    """Write what the store holds as a data set: to train on, to move, to keep.

    Reads the store itself, whether or not a service runs on it; the events are those up to the
    revision in OUT/revision.json.

    Example: recsvc export --data-dir ./data --out ./tonight
    """
    overrides = {"data_folder": data_dir, "redis_url": redis_url}
    settings = load_settings(config, overrides).settings
    summary = asyncio.run(_export(settings, tenant, out, archive))
    if json:
        show.print_json(summary)
        return
    table = Table("table", "rows")
    for name in ("members", "leads", "organizations", "conflicts", "events"):
        table.add_row(name, f"{getattr(summary, name):,}")
    table.add_row("left out (of deleted members or leads)", f"{summary.left_out:,}")
    Console().print(table)


async def _export(
    settings: Settings, tenant: str, out: Path, archive: Path | None
) -> ExportSummary:
    async with _store_url(settings) as url, RedisStore(url) as store:
        if archive is not None and not archive.is_dir():
            raise DataError(f"there is no archive {archive}: correct the path, or leave it out")
        found = archive or archive_folder(settings.data_folder, tenant)
        folder = ArchiveFolder(found) if found.is_dir() else None
        return await export_dataset(store, tenant, out, folder)


@asynccontextmanager
async def _store_url(settings: Settings) -> AsyncIterator[str]:
    """Where the store is; the embedded one is started for a while when no service runs it."""
    if settings.redis_url:
        yield settings.redis_url
        return
    embedded = EmbeddedValkey(settings.data_folder / "valkey", fsync=settings.embedded_fsync)
    if _answers(embedded.socket_path):
        yield embedded.url
        return
    async with embedded:
        yield embedded.url


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True

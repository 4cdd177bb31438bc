"""`recsvc serve`: run the service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from recsvc.config import load_settings
from recsvc.serving.supervisor import serve as run_service

ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="TOML file; default: ./recsvc.toml if there.")
]
DataFolder = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Folder of the embedded store.", show_default="data"),
]
RedisUrl = Annotated[
    str | None,
    typer.Option(help="Your Redis or Valkey instead of the embedded one.", show_default=False),
]


def serve(
    models: Annotated[
        Path | None, typer.Option(help="Folder with the bundles.", show_default="models")
    ] = None,
    data_dir: DataFolder = None,
    redis_url: RedisUrl = None,
    host: Annotated[
        str | None,
        typer.Option(
            help="Address; beyond this machine only with tokens.", show_default="loopback"
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="0 takes a free one.", show_default="50051"),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes on that port.", show_default="1")
    ] = None,
    metrics_port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Of /metrics; 0: a free one.", show_default="9464"),
    ] = None,
    tenant: Annotated[
        list[str] | None,
        typer.Option(help="A tenant to serve; repeatable.", show_default="default"),
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Serve recommendations until SIGTERM; SIGHUP makes it look for models.

    Options go before RECSVC_* environment variables, and these before the configuration file;
    `recsvc config` prints what is in force.

    Example: recsvc serve --models ./models --data-dir ./data --workers 2
    """
    overrides: dict[str, Any] = {
        "models_folder": models,
        "data_folder": data_dir,
        "redis_url": redis_url,
        "host": host,
        "port": port,
        "workers": workers,
        "tenants": tuple(tenant) if tenant else None,
    }
    if metrics_port is not None:
        overrides["metrics"] = {"port": metrics_port}
    raise typer.Exit(run_service(load_settings(config, overrides).settings))

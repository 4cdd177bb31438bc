"""`recsvc serve`: the service in the foreground."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recsvc.config import load_settings
from recsvc.supervisor import serve as run


def serve(
    config: Annotated[
        Path | None, typer.Option("--config", help="TOML file; default: ./recsvc.toml if there.")
    ] = None,
    models: Annotated[Path | None, typer.Option(help="Folder that bundles are in.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder of the embedded store and the service's keys.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="gRPC port; 0 takes a free one.")] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes.")] = None,
    redis_url: Annotated[
        str | None, typer.Option(help="Your Redis or Valkey instead of the embedded one.")
    ] = None,
    require_durable: Annotated[
        bool | None, typer.Option(help="Refuse a store that may lose what it acknowledged.")
    ] = None,
    metrics_port: Annotated[
        int | None, typer.Option(help="HTTP port of /metrics; 0 takes a free one.")
    ] = None,
) -> None:
    """Serve until SIGTERM; one line on stdout says when it is ready, and where.

    Options win over RECSVC_* variables, these over the file (see recsvc config). SIGHUP makes it
    look for models at once.

    Example: recsvc serve --models ./models --workers 2
    """
    overrides = {
        "models_folder": models,
        "data_folder": data,
        "host": host,
        "port": port,
        "workers": workers,
        "redis_url": redis_url,
        "require_durable": require_durable,
        "metrics": None if metrics_port is None else {"port": metrics_port},
    }
    raise typer.Exit(run(load_settings(config, overrides).settings))

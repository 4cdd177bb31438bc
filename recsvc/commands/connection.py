"""Options of every command that speaks with a service, and the client they make."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec

import typer

from recsvc.client import DEFAULT_ADDRESS, Client, Tls

P = ParamSpec("P")
_PANEL = "Connection"


def _options(
    address: Annotated[
        str, typer.Option(help="The service.", envvar="RECSVC_ADDRESS", rich_help_panel=_PANEL)
    ] = DEFAULT_ADDRESS,
    tenant: Annotated[
        str, typer.Option(help="Whom to speak for.", envvar="RECSVC_TENANT", rich_help_panel=_PANEL)
    ] = "default",
    token: Annotated[
        str,
        typer.Option(
            help="Bearer token; better given by RECSVC_TOKEN, where no process list shows it.",
            envvar="RECSVC_TOKEN",
            show_default=False,
            rich_help_panel=_PANEL,
        ),
    ] = "",
    tls: Annotated[
        bool, typer.Option("--tls", help="Encrypt; the system knows it.", rich_help_panel=_PANEL)
    ] = False,
    tls_authority: Annotated[
        Path | None,
        typer.Option(help="Encrypt; PEM file that vouches for the server.", rich_help_panel=_PANEL),
    ] = None,
    tls_certificate: Annotated[
        Path | None,
        typer.Option(help="PEM file that identifies this client.", rich_help_panel=_PANEL),
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(help="PEM file of its private key.", rich_help_panel=_PANEL)
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            help="Longest time of a call in seconds; by default it depends on the call.",
            show_default=False,
            rich_help_panel=_PANEL,
        ),
    ] = None,
) -> Client:
    encrypted = tls or tls_authority or tls_certificate
    credentials = Tls(tls_authority, tls_certificate, tls_key) if encrypted else None
    # One connection: a command makes a call or two.
    client = Client(address, tenant=tenant, token=token, tls=credentials, connections=1)
    return client if timeout is None else client.within(timeout)


def connected(command: Callable[Concatenate[Client, P], None]) -> Callable[..., None]:
    """Gives a command the connection options, and in their place, as its first argument, a client.

    The command must not have parameters of the options' names.
    """
    own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
    shared = list(inspect.signature(_options, eval_str=True).parameters.values())
    names = [parameter.name for parameter in shared]

    @functools.wraps(command)
    def run(**values: Any) -> None:
        with _options(**{name: values.pop(name) for name in names}) as client:
            command(client, **values)  # type: ignore[call-arg]

    keyword = inspect.Parameter.KEYWORD_ONLY
    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [parameter.replace(kind=keyword) for parameter in (*own, *shared)]
    )
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in (*own, *shared)}
    return run

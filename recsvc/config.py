"""Settings: a TOML file, then RECSVC_* environment variables, then arguments; the later wins.

    recsvc.toml      port = 50051                  environment      RECSVC_PORT=50051
                     [tls]                                          RECSVC_TLS__CERTIFICATE=…
                     certificate = "server.pem"                     RECSVC_TENANTS='["hn","gd"]'

A value that cannot be used is a ConfigError that names the setting and where it was set.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_settings import EnvSettingsSource

from recsvc.errors import ConfigError
from recsvc.settings import ENVIRONMENT_PREFIX, Metrics, Settings, Tls, Token, Tracing, is_loopback

__all__ = [
    "DEFAULT_FILE",
    "Described",
    "LoadedSettings",
    "Metrics",
    "Settings",
    "Tls",
    "Token",
    "Tracing",
    "is_loopback",
    "load_settings",
]

DEFAULT_FILE = Path("recsvc.toml")


@dataclass(frozen=True)
class Described:
    """One setting as `recsvc config` shows it."""

    name: str
    value: str
    source: str  # "default", a file, an environment variable, or "argument"
    description: str


@dataclass(frozen=True)
class LoadedSettings:
    """Settings, and where each value that is not a default comes from."""

    settings: Settings
    sources: Mapping[str, str]

    def describe(self) -> list[Described]:
        """Every setting in force; passwords in URLs are not shown, nor are token hashes."""
        return [
            Described(name, _shown(name, value), self._source(name), text)
            for name, value, text in _leaves(self.settings)
        ]

    def _source(self, name: str) -> str:
        return self.sources.get(name) or self.sources.get(name.partition(".")[0], "default")


def load_settings(
    file: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> LoadedSettings:
    """Settings of `file` (default: recsvc.toml if there is one), the environment and `overrides`.

    `overrides` has the settings' names (a None stands for "not given"). Raises ConfigError.
    """
    path = file or (DEFAULT_FILE if DEFAULT_FILE.is_file() else None)
    arguments = {k: v for k, v in (overrides or {}).items() if v is not None}
    layers = [
        (str(path), _read_file(path) if path else {}),
        ("environment", EnvSettingsSource(Settings)()),
        ("argument", arguments),
    ]
    merged: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for source, values in layers:
        _merge(merged, values, source, sources)
    try:
        return LoadedSettings(Settings(**merged), sources)
    except ValidationError as error:
        raise ConfigError(_explain(error, sources)) from None


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"there is no configuration file {path}") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"configuration file {path} cannot be read: {error}") from None


def _merge(
    into: dict[str, Any],
    values: Mapping[str, Any],
    source: str,
    sources: dict[str, str],
    prefix: str = "",
) -> None:
    for key, value in values.items():
        name = prefix + key
        if isinstance(value, Mapping) and isinstance(into.setdefault(key, {}), dict):
            _merge(into[key], value, source, sources, name + ".")
        else:
            into[key] = value
            variable = ENVIRONMENT_PREFIX + name.upper().replace(".", "__")
            sources[name] = variable if source == "environment" else source


def _explain(error: ValidationError, sources: Mapping[str, str]) -> str:
    lines = []
    for problem in error.errors(include_url=False):
        name = ".".join(str(part) for part in problem["loc"])
        source = sources.get(name) or sources.get(name.partition(".")[0], "")
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            message = "there is no such setting"
        lines.append(f"{name or 'settings'}: {message}" + (f" (set in {source})" if source else ""))
    return "; ".join(lines)


def _leaves(model: BaseModel, prefix: str = "") -> Iterator[tuple[str, object, str]]:
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value, field.description or ""


def _shown(name: str, value: object) -> str:
    if name == "tokens":
        return ", ".join(
            f"{t.name or 'unnamed'} ({t.tenant}: {t.role})"
            for t in value  # type: ignore[attr-defined]
        )
    if name == "redis_url" and "@" in str(value):
        scheme, _, rest = str(value).partition("://")
        return f"{scheme}://***@{rest.rpartition('@')[2]}"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)

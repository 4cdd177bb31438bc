"""Training settings by dotted names (`ranker.boost.learning_rate`), as `recsvc tune` finds them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from features.errors import DataError
from training.config import TrainingConfig

T = TypeVar("T")


def configured(config: TrainingConfig, values: Mapping[str, Any]) -> TrainingConfig:
    """The configuration with some settings changed.

    Raises DataError for a name that is no setting and for a value of another type than the
    default's (a whole number may stand for a real one).
    """
    for name, value in values.items():
        config = _changed(config, name.split("."), value, name)
    return config


def setting(config: TrainingConfig, name: str) -> Any:
    """The value of a dotted name; raises DataError when there is no such setting."""
    found: Any = config
    for part in name.split("."):
        if not _has(found, part):
            raise _unknown(name, found)
        found = getattr(found, part)
    return found


def read_settings(path: Path) -> dict[str, Any]:
    """The `settings` of a file that `recsvc tune` wrote; raises DataError."""
    try:
        told = json.loads(path.read_text("utf-8"))["settings"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} holds no settings of recsvc tune: {error!r}") from error
    if not isinstance(told, dict):
        raise DataError(f"{path}: settings must be names with values")
    return told


def _changed(part: T, path: list[str], value: Any, name: str) -> T:
    if not _has(part, path[0]):
        raise _unknown(name, part)
    held = getattr(part, path[0])
    if len(path) > 1:
        return replace(part, **{path[0]: _changed(held, path[1:], value, name)})  # type: ignore[type-var]
    if isinstance(held, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if is_dataclass(held) or (held is not None and type(value) is not type(held)):
        raise DataError(f"{name} is {held!r}; {value!r} cannot stand there")
    return replace(part, **{path[0]: value})  # type: ignore[type-var]


def _has(part: Any, name: str) -> bool:
    return is_dataclass(part) and name in {field.name for field in fields(part)}


def _unknown(name: str, part: Any) -> DataError:
    known = ", ".join(field.name for field in fields(part)) if is_dataclass(part) else "nothing"
    return DataError(f"there is no setting {name!r}; known there: {known}")

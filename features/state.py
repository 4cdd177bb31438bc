"""Frozen state as named arrays and one JSON file: no pickles, same bytes for the same content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from features.errors import DataError

Arrays = dict[str, NDArray[Any]]
_JSON_NAME = "features.json"
Model = TypeVar("Model")


def named_arrays(prefix: str, model: Any) -> Arrays:
    """The arrays in the slots of a frozen model, as `prefix_slot`."""
    return {f"{prefix}_{name}": getattr(model, name) for name in model.__slots__}


def from_named(kind: type[Model], prefix: str, arrays: Mapping[str, NDArray[Any]]) -> Model | None:
    """The inverse of `named_arrays`; None without the first slot.

    Raises KeyError when another one is missing.
    """
    slots: tuple[str, ...] = kind.__slots__  # type: ignore[attr-defined]
    if f"{prefix}_{slots[0]}" not in arrays:
        return None
    return kind(**{name: arrays[f"{prefix}_{name}"] for name in slots})


def content_hash(arrays: Mapping[str, NDArray[Any]], settings: Mapping[str, Any]) -> str:
    """16 hexadecimal digits that change when any value, type or shape does."""
    digest = hashlib.sha256(_to_json(settings).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.data)
    return digest.hexdigest()[:16]


def write_state(
    folder: Path, arrays: Mapping[str, NDArray[Any]], settings: Mapping[str, Any]
) -> None:
    """Writes one `.npy` an array and `features.json`; makes the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    (folder / _JSON_NAME).write_text(_to_json(settings) + "\n", encoding="utf-8")


def read_state(folder: Path) -> tuple[Arrays, dict[str, Any]]:
    """The inverse of `write_state`; raises DataError when a file is missing or unreadable.

    Arrays are mapped copy-on-write, so that the workers of one machine share their memory.
    """
    try:
        settings = json.loads((folder / _JSON_NAME).read_text(encoding="utf-8"))
        arrays = {path.stem: _map(path) for path in sorted(folder.glob("*.npy"))}
    except (OSError, ValueError) as error:
        raise DataError(f"features in {folder} cannot be read: {error}") from error
    if not isinstance(settings, dict):
        raise DataError(f"features in {folder} cannot be read: {_JSON_NAME} is not an object")
    return arrays, settings


def _map(path: Path) -> NDArray[Any]:
    mapped = np.load(path, mmap_mode="c", allow_pickle=False)
    return np.asarray(mapped)


def _to_json(settings: Mapping[str, Any]) -> str:
    return json.dumps(settings, ensure_ascii=False, sort_keys=True, indent=1)

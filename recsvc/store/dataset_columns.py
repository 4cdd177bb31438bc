"""Entities as Arrow columns in the data-set layout.

Columns follow from the entities' fields: a field `create_time_us` is the column `create_time`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from enum import IntEnum
from typing import Any, NamedTuple, get_type_hints

import msgspec
import pyarrow as pa

from features.entities import Conflict, Event, Lead, Member, Organization, Place

Row = Member | Lead | Organization | Conflict | Event

_TIME = "_us"
_REQUIRED_TIMES = frozenset({(Lead, "create_time_us"), (Event, "time_us")})
_PLAIN_TYPES: dict[Any, pa.DataType] = {
    str: pa.string(),
    bool: pa.bool_(),
    int: pa.int64(),
    int | None: pa.int64(),
    float | None: pa.float64(),
    tuple[str, ...]: pa.list_(pa.string()),
    tuple[Place, ...]: pa.string(),
}


class _Column(NamedTuple):
    """A field, its column's name and type, and what a value becomes in the column."""

    field: str
    name: str
    type: pa.DataType
    cell: Callable[[Any], Any]


def schema_of(entity_type: type[Row]) -> pa.Schema:
    """The columns a table of these entities has."""
    return pa.schema([pa.field(c.name, c.type) for c in _COLUMNS[entity_type]])


def batch_of(entity_type: type[Row], rows: Sequence[Row]) -> pa.RecordBatch:
    """Entities of one type as a batch of `schema_of`; what is not known becomes null."""
    columns = [
        pa.array([c.cell(getattr(row, c.field)) for row in rows], c.type)
        for c in _COLUMNS[entity_type]
    ]
    return pa.record_batch(columns, schema=schema_of(entity_type))


def _column(entity_type: type[Row], field: str, hint: Any) -> _Column:
    if field.endswith(_TIME):
        required = (entity_type, field) in _REQUIRED_TIMES
        kind = pa.timestamp("us", tz="UTC")
        return _Column(field, field.removesuffix(_TIME), kind, _same if required else _or_null)
    if isinstance(hint, type) and issubclass(hint, IntEnum):
        return _Column(field, field, pa.string(), _choice)
    if hint == tuple[Place, ...]:
        return _Column(field, field, pa.string(), _places)
    return _Column(field, field, _PLAIN_TYPES[hint], _or_null if hint is str else _same)


def _same(value: Any) -> Any:
    return value


def _or_null(value: Any) -> Any:
    return value or None


def _choice(value: IntEnum) -> str | None:
    return value.name if value else None


def _places(places: Sequence[Place]) -> str | None:
    return msgspec.json.encode(places).decode() if places else None


_COLUMNS: dict[type[Row], tuple[_Column, ...]] = {
    t: tuple(_column(t, f.name, get_type_hints(t)[f.name]) for f in fields(t))
    for t in (Member, Lead, Organization, Conflict, Event)
}

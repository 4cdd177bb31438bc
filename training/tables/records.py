"""Parsed batches to entities, and entities to columns: the only place that pairs the two."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import MISSING, fields
from operator import attrgetter
from typing import Any, TypeVar

import polars as pl
import pyarrow as pa

from features.entities import Conflict, Event, Lead, Member, Organization
from training.tables.places import places_from_json, places_to_json
from training.tables.schema import Column, ColumnType, Table

Entity = Member | Lead | Organization | Conflict | Event
E = TypeVar("E", Member, Lead, Organization, Conflict, Event)

_ARROW_TYPES = {
    ColumnType.LABEL: pa.string(),
    ColumnType.TEXT: pa.string(),
    ColumnType.TIME: pa.timestamp("us", tz="UTC"),
    ColumnType.REAL: pa.float64(),
    ColumnType.INTEGER: pa.int64(),
    ColumnType.FLAG: pa.bool_(),
    ColumnType.CHOICE: pa.string(),
    ColumnType.TOPICS: pa.list_(pa.string()),
    ColumnType.PLACES: pa.string(),
}


def entities(frame: pl.DataFrame, table: Table, entity: type[E]) -> list[E]:
    """One entity a row of a parsed batch; what was not given gets the entity's default."""
    defaults = {field.name: field.default for field in fields(entity)}
    columns = [_objects(c, frame[c.name], defaults[c.field]) for c in table.columns]
    # By position, which is far faster than by name: a table's columns follow the entity's fields.
    return [entity(*row) for row in zip(*columns, strict=True)]


def _objects(column: Column, values: pl.Series, default: Any) -> Iterable[Any]:
    """The Python values of a column, as its entity holds them."""
    if column.kind is ColumnType.TOPICS:
        return (tuple(topics) if topics else () for topics in values.to_list())
    if column.kind is ColumnType.PLACES:
        return (places_from_json(text) if text else () for text in values.to_list())
    if column.choices is not None:
        choices = {choice.value: choice for choice in column.choices}
        return (default if number is None else choices[number] for number in values.to_list())
    if default is not MISSING and default is not None and values.null_count():
        values = values.fill_null(default)
    return values.to_list()


def arrow_schema(table: Table) -> pa.Schema:
    """The Parquet schema this project writes a table in."""
    return pa.schema([pa.field(c.name, _ARROW_TYPES[c.kind]) for c in table.columns])


def arrow_batch(rows: Sequence[Entity], table: Table) -> pa.RecordBatch:
    """Entities as a batch of `arrow_schema`; unknown values become null."""
    schema = arrow_schema(table)
    columns = [
        pa.array(
            _cells(column, map(attrgetter(column.field), rows)), schema.field(column.name).type
        )
        for column in table.columns
    ]
    return pa.record_batch(columns, schema=schema)


def _cells(column: Column, values: Iterable[Any]) -> list[Any]:
    """The inverse of `_objects`, with the types Arrow wants."""
    match column.kind:
        case ColumnType.TIME:
            # 0 means unknown, except where a time must be given: there it is the year 1970.
            return [value if value or column.required else None for value in values]
        case ColumnType.CHOICE:
            return [value.name if value else None for value in values]
        case ColumnType.TOPICS:
            return [list(value) for value in values]
        case ColumnType.PLACES:
            return [places_to_json(value) if value else None for value in values]
        case ColumnType.LABEL | ColumnType.TEXT:
            return [value or None for value in values]
        case _:
            return list(values)

"""Parsed batches to entities; the way back is `recsvc.store.dataset_columns`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import MISSING, fields
from typing import Any, TypeVar

import polars as pl

from features.entities import Conflict, Event, Lead, Member, Organization
from training.tables.places import places_from_json
from training.tables.schema import Column, ColumnType, Table

E = TypeVar("E", Member, Lead, Organization, Conflict, Event)


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

"""One raw batch to values, with the first thing that is wrong in each row."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import polars as pl

from features.entities import EventKind
from training.tables.schema import Column, ColumnType, Table
from training.tables.values import cleaned, row_of, value

REASON = "_reason"
ROW_SUFFIX = "_row"


def parse(frame: pl.DataFrame, table: Table, known: Mapping[str, pl.Enum]) -> pl.DataFrame:
    """The table's columns as values (null when not given) and `_reason` (null when a row is good).

    `known` has the ids of tables read before, in row order. A column that refers to one of them
    gets a companion `<column>_row` (Int32, null when not given); where `known` lacks the table,
    ids are not checked. Raises DataError when a whole column has an impossible type.
    """
    absent = [pl.lit(None, pl.String).alias(n) for n in table.names if n not in frame.columns]
    frame = frame.with_columns(absent)
    raw = frame.select(cleaned(c, frame.schema[c.name]).alias(c.name) for c in table.columns)
    references = [c for c in table.columns if c.references in known]
    # Lazy, because only then does polars work out an expression's repeated parts once.
    reading = raw.lazy().select(
        *(value(c, raw.schema[c.name]).alias(c.name) for c in table.columns),
        *(row_of(c.name, known[c.references]).alias(c.name + ROW_SUFFIX) for c in references),
    )
    values = reading.collect()
    reason = pl.Series(REASON, [None], pl.String).new_from_index(0, len(values))
    for problem, rows in _problems(raw, values, table, references):
        reason = _first(reason, rows, problem)
    return values.with_columns(reason)


def _problems(
    raw: pl.DataFrame, values: pl.DataFrame, table: Table, references: list[Column]
) -> list[tuple[str, pl.Series]]:
    """(reason, which rows have it: bool[n]) in the order in which they count."""
    problems = []
    for column in table.columns:
        given, read = raw[column.name], values[column.name]
        if column.required and given.null_count():
            problems.append((f"missing {column.name}", given.is_null()))
        if read.null_count() > given.null_count():
            problems.append(
                (f"{_word(column)} {column.name}", given.is_not_null() & read.is_null())
            )
    for column in references:
        given, row = raw[column.name], values[column.name + ROW_SUFFIX]
        if row.null_count() > given.null_count():
            problems.append((f"unknown {column.name}", given.is_not_null() & row.is_null()))
    problems += [(why, rule(values)) for why, rule in _RULES.get(table.name, ())]
    return problems


def _word(column: Column) -> str:
    return {ColumnType.TIME: "unreadable", ColumnType.CHOICE: "unknown"}.get(column.kind, "bad")


def _first(reason: pl.Series, rows: pl.Series, problem: str) -> pl.Series:
    """`reason` with `problem` put in where `rows` is true and nothing was wrong so far."""
    if not rows.any():
        return reason
    text = pl.select(pl.when(reason.is_null() & rows).then(pl.lit(problem)).otherwise(reason))
    return text.to_series().rename(REASON)


def _lead_is_missing(values: pl.DataFrame) -> pl.Series:
    return values["lead_id"].is_null() & (values["kind"] != EventKind.SEE_LESS.value)


def _conflict_has_no_object(values: pl.DataFrame) -> pl.Series:
    rows = values["lead_id"].is_null() & values["author_id"].is_null()
    return rows & values["organization_id"].is_null()


def _half_a_coordinate(values: pl.DataFrame) -> pl.Series:
    return values["latitude"].is_null() != values["longitude"].is_null()


_Rule = tuple[str, Callable[[pl.DataFrame], pl.Series]]
_COORDINATE: _Rule = ("latitude and longitude must come together", _half_a_coordinate)
_RULES: dict[str, tuple[_Rule, ...]] = {
    "members": (_COORDINATE,),
    "leads": (_COORDINATE,),
    "events": (("missing lead_id", _lead_is_missing),),
    "conflicts": (("missing lead_id, author_id or organization_id", _conflict_has_no_object),),
}

"""Text, or a Parquet file's own type, to values: one polars expression a column, null when bad.

`cleaned` makes "not given" null and settles the types; `value` reads what is left. What is not
null before and null after is a bad value: `parse` relies on exactly that.
"""

from __future__ import annotations

from enum import IntEnum

import msgspec
import polars as pl

from features.errors import DataError
from training.tables.places import are_places
from training.tables.schema import Column, ColumnType

_RFC3339 = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?"
    r"([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
)
_MINUTE_US = 60_000_000
_FIRST_YEAR_US = -62_135_596_800_000_000
_LAST_YEAR_US = 253_402_300_799_999_999
_FLAGS = {"true": True, "t": True, "yes": True, "1": True}
_FLAGS |= {"false": False, "f": False, "no": False, "0": False}
_TEXTS = frozenset({ColumnType.LABEL, ColumnType.TEXT, ColumnType.CHOICE, ColumnType.FLAG})
_EXPECTED = {
    ColumnType.LABEL: "text",
    ColumnType.TEXT: "text",
    ColumnType.TIME: "a timestamp or RFC 3339 text",
    ColumnType.REAL: "a number",
    ColumnType.INTEGER: "a whole number",
    ColumnType.FLAG: "true or false",
    ColumnType.CHOICE: "text",
    ColumnType.TOPICS: "`;`-separated text or a list of texts",
    ColumnType.PLACES: "JSON text or a list of structs",
}
_NUMBERS = frozenset({ColumnType.REAL, ColumnType.INTEGER})


def cleaned(column: Column, dtype: pl.DataType) -> pl.Expr:
    """The column with null for "not given" (empty text, NaN) and a type `value` can read.

    Raises DataError when a Parquet column's type cannot be what the column means.
    """
    raw = pl.col(column.name)
    if isinstance(dtype, pl.Categorical | pl.Enum | pl.Binary | pl.Null):
        raw, dtype = raw.cast(pl.String), pl.String()
    if isinstance(dtype, pl.String):
        text = raw if column.kind is ColumnType.TEXT else raw.str.strip_chars()
        return pl.when(text != "").then(text)
    if column.kind in _NUMBERS and dtype.is_numeric():
        return raw.cast(pl.Float64).fill_nan(None)
    if column.kind is ColumnType.TIME and isinstance(dtype, pl.Datetime | pl.Date):
        return _instant(raw, dtype)
    if column.kind in _TEXTS and (dtype.is_integer() or isinstance(dtype, pl.Boolean)):
        return raw.cast(pl.String)
    if column.kind in _TEXTS and dtype.is_float():
        # What pandas makes of whole numbers with gaps: 430102.0 means 430102.
        number = raw.fill_nan(None)
        whole = number.cast(pl.Int64, strict=False)
        text = pl.when(whole == number).then(whole.cast(pl.String))
        return text.otherwise(number.cast(pl.String))
    if column.kind is ColumnType.TOPICS and dtype == pl.List(pl.String):
        return raw
    if column.kind is ColumnType.PLACES and isinstance(dtype, pl.List):
        return raw.map_batches(_as_json, return_dtype=pl.String)
    raise DataError(f"column {column.name} has the type {dtype}: expected {_EXPECTED[column.kind]}")


def value(column: Column, dtype: pl.DataType) -> pl.Expr:
    """The values of a cleaned column; null where there is none or a bad one.

    Labels and texts stay text, times become microseconds (Int64), numbers Float64 or Int64,
    choices the number of the enum (Int64), topics lists of text, places JSON that is proven.
    """
    raw = pl.col(column.name)
    match column.kind:
        case ColumnType.TEXT:
            return raw
        case ColumnType.LABEL:
            matches = raw.str.contains(column.pattern)
            return pl.when(matches).then(raw) if column.pattern else raw
        case ColumnType.TIME:
            return _bounded_time(raw if dtype == pl.Int64 else _microseconds(raw))
        case ColumnType.REAL:
            return _bounded(raw.cast(pl.Float64, strict=False), column)
        case ColumnType.INTEGER:
            number = _bounded(raw.cast(pl.Float64, strict=False), column)
            return pl.when(number == number.floor()).then(number.cast(pl.Int64))
        case ColumnType.FLAG:
            lower = raw.str.to_lowercase()
            return lower.replace_strict(_FLAGS, default=None, return_dtype=pl.Boolean)
        case ColumnType.CHOICE:
            return _choice(raw, column.choices)
        case ColumnType.TOPICS:
            topics = raw.str.split(";") if dtype == pl.String else raw
            stripped = pl.element().str.strip_chars()
            return topics.list.eval(stripped.filter(stripped != ""))
        case ColumnType.PLACES:
            return raw.map_batches(_proven, return_dtype=pl.String)


def row_of(column: str, ids: pl.Enum) -> pl.Expr:
    """Rows (Int32) of a column of ids, given all known ids in the order of their rows."""
    return pl.col(column).cast(ids, strict=False).to_physical().cast(pl.Int32)


def _bounded(number: pl.Expr, column: Column) -> pl.Expr:
    # Polars sorts NaN above infinity, so the bounds keep both out.
    return pl.when(number.is_between(column.low, column.high)).then(number)


def _bounded_time(time_us: pl.Expr) -> pl.Expr:
    return pl.when(time_us.is_between(_FIRST_YEAR_US, _LAST_YEAR_US)).then(time_us)


def _microseconds(text: pl.Expr) -> pl.Expr:
    """RFC 3339 text as microseconds since the epoch; finer fractions are cut off.

    Twice as fast as one format with fraction and offset: polars has a short way for plain clocks.
    """
    # RFC 3339 lets "t" or a space stand for the "T".
    clock = pl.concat_str(text.str.slice(0, 10), pl.lit("T"), text.str.slice(11, 8))
    local = clock.str.to_datetime(
        "%Y-%m-%dT%H:%M:%S", time_unit="us", strict=False, cache=False
    ).dt.timestamp("us")
    fraction = text.str.extract(r"\.([0-9]{1,6})").str.pad_end(6, "0").cast(pl.Int64).fill_null(0)
    zone = text.str.tail(6)
    hours, minutes = (zone.str.slice(at, 2).cast(pl.Int64, strict=False) for at in (1, 4))
    east = pl.when(zone.str.starts_with("-")).then(-1).otherwise(1)
    utc = text.str.ends_with("Z") | text.str.ends_with("z")
    offset = pl.when(utc).then(0).otherwise(east * (hours * 60 + minutes) * _MINUTE_US)
    return pl.when(text.str.contains(_RFC3339)).then(local + fraction - offset)


def _instant(raw: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """A Parquet timestamp (without a zone: UTC) or date (midnight UTC) as microseconds."""
    if isinstance(dtype, pl.Datetime):
        return raw.dt.timestamp("us")
    return raw.cast(pl.Datetime("us")).dt.timestamp("us")


def _choice(raw: pl.Expr, choices: type[IntEnum] | None) -> pl.Expr:
    assert choices is not None
    values = sorted(choices)
    names = pl.Enum([choice.name for choice in values])
    place = raw.str.to_uppercase().cast(names, strict=False).to_physical().cast(pl.Int64)
    return place + values[0].value  # the numbers of our enums have no gaps


def _proven(texts: pl.Series) -> pl.Series:
    good = [text if text is not None and are_places(text) else None for text in texts]
    return pl.Series(texts.name, good, pl.String)


def _as_json(lists: pl.Series) -> pl.Series:
    rows = lists.to_list()
    texts = [None if row is None else msgspec.json.encode(row).decode() for row in rows]
    return pl.Series(lists.name, texts, pl.String)

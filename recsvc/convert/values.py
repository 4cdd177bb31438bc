"""Single values of messages: texts, numbers, times, places, region codes, enums."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence, Sized
from contextlib import contextmanager
from typing import TypeVar

from google.protobuf.timestamp_pb2 import Timestamp
from google.type.latlng_pb2 import LatLng

from features.errors import DataError
from features.regions import normalise
from recsvc.errors import (
    InvalidCoordinateError,
    InvalidEnumError,
    InvalidNumberError,
    InvalidRegionCodeError,
    InvalidTimeError,
    ServiceError,
    TextTooLongError,
    TooManyItemsError,
)

AHEAD_US = 5 * 60 * 1_000_000
"""How far a clock of a caller may be ahead, in microseconds."""

_LAST_SECOND = 253_402_300_799  # 9999-12-31T23:59:59Z, the end of google.protobuf.Timestamp

MAX_TOPICS = 100
MAX_TOPIC_LENGTH = 100

Number = TypeVar("Number", int, float)


@contextmanager
def within(prefix: str) -> Iterator[None]:
    """Puts `prefix` before the field of an error raised inside (`lead.` + `location.latitude`)."""
    try:
        yield
    except ServiceError as error:
        if error.field:
            error.field = prefix + error.field
        raise


def text(value: str, limit: int, field: str) -> str:
    """A text of at most `limit` characters; raises TextTooLongError."""
    if len(value) > limit:
        raise TextTooLongError(
            f"{field} has {len(value):,} characters, at most {limit:,} are allowed", field=field
        )
    return value


def check_count(values: Sized, limit: int, field: str) -> None:
    """Raises TooManyItemsError above `limit` entries."""
    if len(values) > limit:
        raise TooManyItemsError(
            f"{field} has {len(values):,} entries, at most {limit:,} are allowed", field=field
        )


def topics(values: Sequence[str], field: str = "topics") -> tuple[str, ...]:
    """Topics, trimmed, each once, without empty ones."""
    check_count(values, MAX_TOPICS, field)
    found = [text(v, MAX_TOPIC_LENGTH, f"{field}[{i}]").strip() for i, v in enumerate(values)]
    return tuple(dict.fromkeys(t for t in found if t))


def number(value: Number, low: float, high: float, field: str) -> Number:
    """A number of low..high; raises InvalidNumberError, also for NaN."""
    if not low <= value <= high:
        raise InvalidNumberError(
            f"{field} is {value}, it must be {low:,g} to {high:,g}", field=field
        )
    return value


def enum_value(value: int, known: Sequence[int], field: str) -> int:
    """A value that the enum has and that is not its "unspecified"; raises InvalidEnumError."""
    if value == 0 or value not in known:
        raise InvalidEnumError(
            f"{field} is {'not set' if value == 0 else f'{value}, which is not known'}: "
            "use one of the documented values",
            field=field,
        )
    return value


def time_us(value: Timestamp, now_us: int, field: str) -> int:
    """A time as microseconds since the epoch; raises InvalidTimeError."""
    if not (0 <= value.nanos < 1_000_000_000 and value.seconds <= _LAST_SECOND):
        problem = "cannot be read"
    elif value.seconds < 0:
        problem = "lies before 1970"
    elif (found := value.seconds * 1_000_000 + value.nanos // 1000) <= now_us + AHEAD_US:
        return found
    else:
        problem = "lies more than five minutes ahead"
    raise InvalidTimeError(f"{field} {problem}: send the time in UTC", field=field)


def timestamp(microseconds: int) -> Timestamp | None:
    """A time for a message; None for 0 (unknown)."""
    if microseconds == 0:
        return None
    seconds, rest = divmod(microseconds, 1_000_000)
    return Timestamp(seconds=seconds, nanos=rest * 1000)


def coordinates(value: LatLng, field: str) -> tuple[float, float]:
    """(latitude, longitude) in degrees; raises InvalidCoordinateError."""
    for name, degrees, limit in (
        ("latitude", value.latitude, 90.0),
        ("longitude", value.longitude, 180.0),
    ):
        if not math.isfinite(degrees) or abs(degrees) > limit:
            raise InvalidCoordinateError(
                f"{field}.{name} is {degrees}, it must be -{limit:g} to {limit:g} degrees",
                field=f"{field}.{name}",
            )
    return value.latitude, value.longitude


def latlng(latitude: float | None, longitude: float | None) -> LatLng | None:
    """A place for a message; None when unknown."""
    if latitude is None or longitude is None:
        return None
    return LatLng(latitude=latitude, longitude=longitude)


def region_code(value: str, field: str = "region_code") -> str:
    """A region code, or ""; raises InvalidRegionCodeError."""
    if value:
        try:
            normalise(value)
        except DataError as error:
            raise InvalidRegionCodeError(f"{field}: {error}", field=field) from None
    return value.strip()

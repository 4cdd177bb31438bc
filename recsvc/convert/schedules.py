"""When an organization's pushes are released: cron expressions, time zones, quiet hours."""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from recsvc.convert.names import shown
from recsvc.errors import InvalidScheduleError

DEFAULT_TIME_ZONE = "Asia/Shanghai"

# Minute, hour, day of month, month, day of week (0 and 7 are Sunday).
_CRON_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_CRON_PART = re.compile(r"(\*|(\d{1,2})(?:-(\d{1,2}))?)(?:/(\d{1,2}))?", re.ASCII)
_QUIET = re.compile(r"([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d", re.ASCII)


def cron(value: str, field: str) -> str:
    """A cron expression of five numeric fields, or ""; raises InvalidScheduleError."""
    parts = value.split()
    fits = len(parts) == len(_CRON_RANGES) and all(
        _is_cron_field(part, *limits) for part, limits in zip(parts, _CRON_RANGES, strict=True)
    )
    if value and not fits:
        raise InvalidScheduleError(
            f"{field}: {shown(value)} is no cron expression of five fields (minute hour day month "
            'weekday, in numbers), such as "0 8 * * 1-5"',
            field=field,
        )
    return " ".join(parts)


def _is_cron_field(text: str, low: int, high: int) -> bool:
    for part in text.split(","):
        match = _CRON_PART.fullmatch(part)
        if match is None:
            return False
        first, last, step = match[2], match[3], match[4]
        if step is not None and int(step) == 0:
            return False
        if first is not None:
            begin, end = int(first), int(last or first)
            if not low <= begin <= end <= high:
                return False
    return True


def time_zone(value: str, field: str) -> str:
    """An IANA zone, Asia/Shanghai for ""; raises InvalidScheduleError."""
    if not value or value == DEFAULT_TIME_ZONE:
        return DEFAULT_TIME_ZONE
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidScheduleError(
            f"{field}: {shown(value)} is no time zone of the IANA data base, such as Asia/Shanghai",
            field=field,
        ) from None
    return value


def quiet_hours(value: str, field: str) -> str:
    """A span such as 22:00-07:00, or ""; raises InvalidScheduleError."""
    if value and not _QUIET.fullmatch(value):
        raise InvalidScheduleError(
            f'{field}: {shown(value)} is no span of hours, write "22:00-07:00"', field=field
        )
    return value

"""When pushes may go out: quiet hours in the organization's own time zone.

All arithmetic starts from one instant (microseconds since the epoch), so a clock that jumps gives
another answer, never a contradictory one.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from features.entities import Organization

DEFAULT_TIME_ZONE = "Asia/Shanghai"


def local_time(now_us: int, time_zone: str) -> datetime:
    """An instant as an organization's clocks show it."""
    moment = datetime.fromtimestamp(now_us / 1_000_000, UTC)
    return moment.astimezone(ZoneInfo(time_zone or DEFAULT_TIME_ZONE))


def instant_us(moment: datetime) -> int:
    """The instant of a time with a zone."""
    return round(moment.timestamp() * 1_000_000)


def end_of_quiet_us(organization: Organization | None, now_us: int) -> int | None:
    """When the quiet hours end in which `now_us` lies; None when it lies in none.

    A span such as 22:00-07:00 goes over midnight; its end belongs to no quiet hour. Where clocks
    are put forward over the end, the first instant after the gap ends it.
    """
    if organization is None or not organization.quiet_hours:
        return None
    begin, end = (time.fromisoformat(t) for t in organization.quiet_hours.split("-"))
    now = local_time(now_us, organization.time_zone)
    at = now.time()
    within = begin <= at < end if begin <= end else at >= begin or at < end
    if not within:
        return None
    day = now.date() if at < end else now.date() + timedelta(days=1)
    return _after(day, end, now, now_us)


def _after(day: date, end: time, now: datetime, now_us: int) -> int:
    """The first instant after `now` at which the clocks show `end` or later on that day."""
    moment = datetime.combine(day, end, tzinfo=now.tzinfo)
    found = instant_us(moment)
    while found <= now_us:  # clocks were put back: that time of day comes a second time
        found += 3_600_000_000
    return found

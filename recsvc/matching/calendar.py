"""When pushes may go out: schedules, quiet hours and holidays in the organization's time zone.

All arithmetic starts from one instant (microseconds since the epoch), so a clock that jumps gives
another answer, never a contradictory one.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from features.entities import Organization

DEFAULT_TIME_ZONE = "Asia/Shanghai"
_MINUTE_US = 60_000_000


def local_time(now_us: int, time_zone: str) -> datetime:
    """An instant as an organization's clocks show it."""
    moment = datetime.fromtimestamp(now_us / 1_000_000, UTC)
    return moment.astimezone(ZoneInfo(time_zone or DEFAULT_TIME_ZONE))


def instant_us(moment: datetime) -> int:
    """The instant of a time with a zone."""
    return round(moment.timestamp() * 1_000_000)


def release_us(organization: Organization | None, holidays: Collection[date], now_us: int) -> int:
    """The first instant from `now_us` on at which pushes to an organization's members may go out.

    Its schedule says when, at once without one; what falls into quiet hours waits for their end,
    what falls on a holiday for the first turn after it.
    """
    zone = (organization.time_zone if organization else "") or DEFAULT_TIME_ZONE
    schedule = organization.push_schedule if organization else ""
    found = next_turn_us(schedule, zone, now_us)
    while True:
        day = local_time(found, zone).date()
        quiet_us = end_of_quiet_us(organization, found)
        if day in holidays:
            midnight = datetime.combine(day + timedelta(days=1), time(), ZoneInfo(zone))
            found = next_turn_us(schedule, zone, instant_us(midnight))
        elif quiet_us is not None:
            found = quiet_us
        else:
            return found


def next_turn_us(schedule: str, time_zone: str, from_us: int) -> int:
    """The first turn of a cron expression at or after an instant; the instant itself for none.

    Nor is there one for an expression that names no day, such as the 30th of February.
    """
    if not schedule:
        return from_us
    turn = _turn(schedule, local_time(from_us - 1, time_zone), reverse=False)
    return from_us if turn is None else instant_us(turn)


def last_turn_us(schedule: str, time_zone: str, until_us: int) -> int | None:
    """The last turn of a cron expression at or before an instant; None when there was none."""
    begin = local_time(until_us - until_us % _MINUTE_US + _MINUTE_US, time_zone)
    turn = _turn(schedule, begin, reverse=True)
    return None if turn is None else instant_us(turn)


def _turn(schedule: str, begin: datetime, reverse: bool) -> datetime | None:
    """The first turn after (or the last before) a time; None when there is none."""
    try:
        return next(CronSim(schedule, begin, reverse=reverse), None)
    except CronSimError:  # it names a day that no month has
        return None


def end_of_quiet_us(organization: Organization | None, now_us: int) -> int | None:
    """When the quiet hours end in which `now_us` lies; None when it lies in none.

    A span such as 22:00-07:00 goes over midnight; its end belongs to no quiet hour. Where clocks
    are put forward over the end, it is the same time after the hour that is left out.
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

"""When pushes may go out: schedules, quiet hours, holidays, in any zone and whatever the clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.entities import Organization
from recsvc.matching.calendar import (
    end_of_quiet_us,
    instant_us,
    last_turn_us,
    local_time,
    next_turn_us,
    release_us,
)

ZONES = ["Asia/Shanghai", "", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"]
HOURS = st.builds("{:02d}:{:02d}".format, st.integers(0, 23), st.integers(0, 59))
QUIET = st.one_of(st.just(""), st.builds("{}-{}".format, HOURS, HOURS))
SCHEDULES = ["", "0 8 * * 1-5", "*/30 9-17 * * *", "15 2 * * *", "0 0 1 * *", "0 0 30 2 *"]
FIRST = instant_us(datetime(2026, 1, 1, tzinfo=UTC))
INSTANTS = st.integers(FIRST, FIRST + 2 * 365 * 86_400_000_000)


def at(text: str, zone: str = "Asia/Shanghai") -> int:
    return instant_us(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)))


def organization(schedule: str = "", zone: str = "Asia/Shanghai", quiet: str = "") -> Organization:
    return Organization("o", push_schedule=schedule, time_zone=zone, quiet_hours=quiet)


@given(INSTANTS, st.sampled_from(ZONES), QUIET, st.sampled_from(SCHEDULES), st.data())
def test_nothing_goes_out_in_quiet_hours_or_on_holidays(
    now_us: int, zone: str, quiet: str, schedule: str, data: st.DataObject
) -> None:
    today = local_time(now_us, zone).date()
    offsets = data.draw(st.sets(st.integers(-1, 5), max_size=5))
    holidays = {today + timedelta(days=n) for n in offsets}
    where = organization(schedule, zone, quiet)
    found = release_us(where, holidays, now_us)
    assert found >= now_us
    assert end_of_quiet_us(where, found) is None
    assert local_time(found, zone).date() not in holidays


@given(INSTANTS, st.sampled_from(ZONES), QUIET)
def test_the_end_of_quiet_is_the_next_time_the_clock_shows_it(
    now_us: int, zone: str, quiet: str
) -> None:
    end_us = end_of_quiet_us(organization("", zone, quiet), now_us)
    if end_us is None:
        return
    assert now_us < end_us <= now_us + 26 * 3_600_000_000
    hour, minute = (int(x) for x in quiet.partition("-")[2].split(":"))
    shown = local_time(end_us, zone)
    minutes = (shown.hour - hour) * 60 + shown.minute - minute
    assert minutes % (24 * 60) in (0, 30, 60), "the same time, or after the hour left out"


@given(INSTANTS, st.integers(0, 7 * 86_400_000_000), st.sampled_from(ZONES), QUIET)
def test_a_clock_that_jumps_back_gives_no_later_release(
    now_us: int, jump_us: int, zone: str, quiet: str
) -> None:
    where = organization("", zone, quiet)
    before = release_us(where, (), now_us - jump_us)
    assert before <= release_us(where, (), now_us)
    assert release_us(where, (), before) == before


@given(INSTANTS, st.sampled_from(ZONES), st.sampled_from(SCHEDULES[1:5]))
def test_turns_follow_each_other(now_us: int, zone: str, schedule: str) -> None:
    last, following = last_turn_us(schedule, zone, now_us), next_turn_us(schedule, zone, now_us)
    assert last is not None
    assert last <= now_us <= following
    assert last_turn_us(schedule, zone, following) == following
    assert next_turn_us(schedule, zone, last) == last


@pytest.mark.parametrize(
    ("schedule", "quiet", "now", "release"),
    [
        ("", "", "2026-11-22T15:00:30", "2026-11-22T15:00:30"),
        ("", "22:00-07:00", "2026-11-22T22:00:00", "2026-11-23T07:00:00"),
        ("", "22:00-07:00", "2026-11-23T06:59:59", "2026-11-23T07:00:00"),
        ("", "22:00-07:00", "2026-11-23T07:00:00", "2026-11-23T07:00:00"),
        ("", "12:00-14:00", "2026-11-23T13:00:00", "2026-11-23T14:00:00"),
        ("0 8 * * 1-5", "", "2026-11-22T15:00:00", "2026-11-23T08:00:00"),
        ("0 8 * * 1-5", "", "2026-11-23T08:00:00", "2026-11-23T08:00:00"),
        ("0 6 * * *", "22:00-07:00", "2026-11-22T23:00:00", "2026-11-23T07:00:00"),
        ("0 0 30 2 *", "", "2026-11-22T15:00:00", "2026-11-22T15:00:00"),
    ],
)
def test_examples(schedule: str, quiet: str, now: str, release: str) -> None:
    assert release_us(organization(schedule, quiet=quiet), (), at(now)) == at(release)


def test_holidays_wait_for_the_first_turn_after_them() -> None:
    spring = {date(2027, 2, 17), date(2027, 2, 18)}
    where = organization("0 8 * * *")
    assert release_us(where, spring, at("2027-02-17T01:00:00")) == at("2027-02-19T08:00:00")
    assert release_us(None, spring, at("2027-02-17T01:00:00")) == at("2027-02-19T00:00:00")


def test_a_member_abroad_sleeps_when_it_is_day_here() -> None:
    abroad = organization("", "America/New_York", "22:00-07:00")
    here = organization("", "Asia/Shanghai", "22:00-07:00")
    noon = at("2026-11-22T12:00:00")
    assert end_of_quiet_us(here, noon) is None
    assert end_of_quiet_us(abroad, noon) == at("2026-11-22T07:00:00", "America/New_York")

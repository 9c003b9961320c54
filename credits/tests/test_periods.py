"""Periods by the clock on the wall: no zone, no month end and no change of clocks moves them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credits.models import Every
from credits.periods import Grid, days_later

ZONES = ["Africa/Abidjan", "Europe/Paris", "America/New_York", "Asia/Kolkata", "Pacific/Apia", "Africa/Casablanca"]


def grid(anchor: str, zone: str, every: Every, first: int = 0) -> Grid:
    return Grid(anchor=datetime.fromisoformat(anchor), zone=ZoneInfo(zone), every=every, first=first)


def local(instant: datetime, zone: str) -> str:
    return instant.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")


def test_months_that_begin_on_the_31st_come_back_to_it() -> None:
    months = grid("2027-12-31T09:00", "Europe/Paris", Every.MONTH)
    assert [local(months.start(number), "Europe/Paris") for number in range(5)] == [
        "2027-12-31 09:00",
        "2028-01-31 09:00",
        "2028-02-29 09:00",
        "2028-03-31 09:00",
        "2028-04-30 09:00",
    ]


def test_a_week_begins_at_its_local_hour_when_the_clocks_change() -> None:
    weeks = grid("2027-03-22T00:00", "Europe/Paris", Every.WEEK)
    assert [weeks.start(number).isoformat() for number in range(3)] == [
        "2027-03-21T23:00:00+00:00",
        "2027-03-28T22:00:00+00:00",
        "2027-04-04T22:00:00+00:00",
    ]


def test_an_hour_that_the_clocks_leave_out_is_an_hour_later() -> None:
    assert grid("2027-03-21T02:30", "Europe/Paris", Every.WEEK).start(1) == datetime(2027, 3, 28, 1, 30, tzinfo=UTC)


def test_an_hour_that_comes_twice_belongs_to_the_week_that_began_in_its_first_turn() -> None:
    weeks = grid("2027-10-24T02:45", "Europe/Paris", Every.WEEK)
    assert weeks.start(1) == datetime(2027, 10, 31, 0, 45, tzinfo=UTC)
    assert weeks.at(datetime(2027, 10, 31, 0, 44, tzinfo=UTC)) == 0
    assert weeks.at(datetime(2027, 10, 31, 1, 30, tzinfo=UTC)) == 1  # half past two for the second time


def test_days_are_days_on_the_calendar() -> None:
    before = datetime(2027, 3, 27, 11, 0, tzinfo=UTC)
    assert days_later(before, 1, ZoneInfo("Europe/Paris")) - before == timedelta(hours=23)


@pytest.mark.parametrize("every", list(Every))
@given(
    zone=st.sampled_from(ZONES),
    anchor=st.datetimes(datetime.fromisoformat("2020-01-01"), datetime.fromisoformat("2030-01-01")),
    away=st.integers(-200, 200),
    inside=st.floats(0, 1, exclude_max=True),
)
def test_every_instant_is_in_one_period(every: Every, zone: str, anchor: datetime, away: int, inside: float) -> None:
    periods = Grid(anchor=anchor, zone=ZoneInfo(zone), every=every, first=7)
    begins, ends = periods.start(away), periods.start(away + 1)
    instant = min(begins + (ends - begins) * inside, ends - timedelta(microseconds=1))
    assert periods.at(instant) == away
    assert list(periods.numbers(begins, ends)) == [away]
    assert list(periods.numbers(begins + timedelta(microseconds=1), ends + timedelta(microseconds=1))) == [away + 1]

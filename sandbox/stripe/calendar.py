"""Billing periods: months of different lengths, anchored on one day so that they do not drift."""

import calendar as months
from datetime import UTC, datetime, timedelta

from sandbox.stripe.state import Thing

MONTHS = {"month": 1, "year": 12}
DAYS = {"day": 1, "week": 7}
MONTHS_PER_YEAR = 12


def after(anchor: int, recurring: Thing, times: int) -> int:
    """The moment some periods after the anchor: from 31 January one month on is 28 February, two is 31 March."""
    start = datetime.fromtimestamp(anchor, UTC)
    count = recurring["interval_count"] * times
    if recurring["interval"] in DAYS:
        return int((start + timedelta(days=DAYS[recurring["interval"]] * count)).timestamp())
    return months_after(anchor, MONTHS[recurring["interval"]] * count)


def months_after(anchor: int, count: int) -> int:
    start = datetime.fromtimestamp(anchor, UTC)
    place = start.year * MONTHS_PER_YEAR + start.month - 1 + count
    year, month = place // MONTHS_PER_YEAR, place % MONTHS_PER_YEAR + 1
    day = min(start.day, months.monthrange(year, month)[1])
    return int(start.replace(year=year, month=month, day=day).timestamp())


def end_of_period(anchor: int, recurring: Thing, start: int) -> int:
    """The first boundary of the anchor's series that is later than the start."""
    times = 1
    while (end := after(anchor, recurring, times)) <= start:
        times += 1
    return end

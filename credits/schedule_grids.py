"""The two grids of a schedule: when its periods begin where the customer is, and by which of them are paid for."""

from zoneinfo import ZoneInfo

from credits.models import Every, GrantSchedule
from credits.periods import Grid


def grants(schedule: GrantSchedule, every: Every) -> Grid:
    zone = ZoneInfo(schedule.time_zone)
    return Grid(anchor=schedule.anchor, zone=zone, every=every, first=schedule.first_number)


def payments(schedule: GrantSchedule, every: Every) -> Grid:
    """By which periods are paid for: from the anchor's own instant, as the payments are, wherever the customer is now.

    The same as the other one until they move; then periods begin some hours sooner or later than what pays for them.
    """
    zone = ZoneInfo(schedule.time_zone)
    anchor = schedule.anchor_at.astimezone(zone).replace(tzinfo=None)
    return Grid(anchor=anchor, zone=zone, every=every, first=schedule.first_number)


def unpaid(schedule: GrantSchedule, every: Every) -> int:
    """The first period that is not paid for yet."""
    return payments(schedule, every).next_from(schedule.paid_until)

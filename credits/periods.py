"""The arithmetic of periods: a local time in a zone, again every week or month. Pure; nothing here knows a database."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from credits.models.catalogue import Every

MONTHS_PER_YEAR = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Periods that begin at the anchor's local time, whatever the clocks of the zone do in between.

    Each is reckoned from the anchor and never from the one before, so that the 31st comes back after February.
    """

    anchor: datetime  # local, without a zone
    zone: ZoneInfo
    every: Every
    first: int = 0  # the number of the period that begins at the anchor

    def start(self, number: int) -> datetime:
        """When a period begins. A local time that the clocks leave out is as long after midnight as it would be."""
        away = number - self.first
        local = self.anchor + timedelta(weeks=away) if self.every == Every.WEEK else _months_later(self.anchor, away)
        return local.replace(tzinfo=self.zone).astimezone(UTC)

    def at(self, instant: datetime) -> int:
        """The period that an instant falls into."""
        local = instant.astimezone(self.zone).replace(tzinfo=None)
        if self.every == Every.WEEK:
            number = self.first + (local - self.anchor) // timedelta(weeks=1)
        else:
            years, months = local.year - self.anchor.year, local.month - self.anchor.month
            number = self.first + years * MONTHS_PER_YEAR + months
        while self.start(number) > instant:
            number -= 1
        while self.start(number + 1) <= instant:
            number += 1
        return number

    def numbers(self, since: datetime, until: datetime) -> range:
        """The periods that begin from an instant on and before another one."""
        return range(self.next_from(since), self.next_from(until))

    def next_from(self, instant: datetime) -> int:
        """The first period that begins at an instant or after it."""
        number = self.at(instant)
        return number if self.start(number) >= instant else number + 1


def days_later(instant: datetime, days: int, zone: ZoneInfo) -> datetime:
    """The same local time so many days later."""
    local = instant.astimezone(zone).replace(tzinfo=None) + timedelta(days=days)
    return local.replace(tzinfo=zone).astimezone(UTC)


def _months_later(local: datetime, months: int) -> datetime:
    years, month = divmod(local.month - 1 + months, MONTHS_PER_YEAR)
    year = local.year + years
    first_of_next = datetime(year + (month + 1) // MONTHS_PER_YEAR, (month + 1) % MONTHS_PER_YEAR + 1, 1)  # noqa: DTZ001
    last_day = (first_of_next - timedelta(days=1)).day
    return local.replace(year=year, month=month + 1, day=min(local.day, last_day))

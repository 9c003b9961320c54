"""Days as papers and mails write them, and instants as the API does."""

from datetime import UTC, date, datetime

from babel.dates import format_date
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

# The calendar of Python ends with the year 9999, and whatever lies beside its end cannot be moved: neither to another
# time zone nor by a day. Who means "never" says nothing at all.
LATEST_YEAR = 2200


def long_date(day: date, locale: str) -> str:
    """1 December 2026, and in French "1er décembre 2026": of its numbers only the first day's is an ordinal."""
    text: str = format_date(day, "long", locale=locale)
    return f"1er{text[1:]}" if day.day == 1 and locale.startswith("fr") else text


def check_year(value: date) -> None:
    """For forms; `rest.fields` has words of its own."""
    if value.year > LATEST_YEAR:
        raise ValidationError(_("Say a date before the year %(year)s."), "too_late", {"year": str(LATEST_YEAR + 1)})


def written(moment: datetime) -> str:
    """2026-12-01T09:00:00Z, in what we answer, tell and export alike."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")

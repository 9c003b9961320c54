"""Days as papers and mails write them, and instants as the API does."""

from datetime import UTC, date, datetime

from babel.dates import format_date


def long_date(day: date, locale: str) -> str:
    """1 December 2026, and in French "1er décembre 2026": of its numbers only the first day's is an ordinal."""
    text: str = format_date(day, "long", locale=locale)
    return f"1er{text[1:]}" if day.day == 1 and locale.startswith("fr") else text


def written(moment: datetime) -> str:
    """2026-12-01T09:00:00Z, in what we answer, tell and export alike."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")

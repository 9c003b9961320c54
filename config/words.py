"""Settings that are one of a few words, and settings that name a time zone."""

import zoneinfo

from django.core.exceptions import ImproperlyConfigured


def one_of(name: str, word: str, known: tuple[str, ...]) -> str:
    """What is misspelt stops the start: it would be taken for another word, or fail the first customer who needs it."""
    if word not in known:
        raise ImproperlyConfigured(f"{name} is {', '.join(known[:-1])} or {known[-1]}, not {word!r}.")
    return word


def time_zone(name: str, zone: str) -> str:
    try:
        zoneinfo.ZoneInfo(zone)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError) as error:
        raise ImproperlyConfigured(f"{name} is an IANA name, not {zone!r}.") from error
    return zone

"""How a new version of a price or a cost begins: one writer at a time, never in the past."""

from datetime import datetime

from django.db import connection
from django.utils import timezone

from credits.errors import VersionInThePast


def lock(subject: str) -> None:
    """Until the transaction ends nobody else adds a version of this subject. There may be no row to lock yet."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [subject])


def begin(valid_from: datetime | None) -> datetime:
    """Call it under the lock: the instant then comes after that of every version that already began."""
    now = timezone.now()
    if valid_from is None:
        return now
    if valid_from < now:
        raise VersionInThePast(f"A new version cannot begin at {valid_from.isoformat()}: that is past.")
    return valid_from

"""When a gateway is asked about an attempt: densely while it may be paid any moment, rarely when it hardly will be."""

from datetime import datetime, timedelta

from django.conf import settings


def first_ask(now: datetime) -> datetime:
    return next_ask(0, now)


def next_ask(asks: int, now: datetime, *, waits_for_buyer: bool = False) -> datetime:
    """After so many questions; the last pause of the setting is repeated for as long as the attempt is live.

    While the buyer has a page open the gateway will write to us, so it is asked less often.
    """
    pauses = settings.PAYMENT_WAIT_SECONDS if waits_for_buyer else settings.PAYMENT_ASK_SECONDS
    return now + timedelta(seconds=pauses[min(asks, len(pauses) - 1)])


def next_look(looks: int, now: datetime) -> datetime | None:
    """At an attempt that is over, whose money may still come; None when that has become too unlikely."""
    pauses = settings.PAYMENT_LOOK_AGAIN_SECONDS
    return now + timedelta(seconds=pauses[looks]) if looks < len(pauses) else None


def proves_absence(created_at: datetime, not_found: int, now: datetime) -> bool:
    """Whether "not found" so many times in a row means that the gateway never had it."""
    grace = timedelta(seconds=settings.PAYMENT_NOT_FOUND_GRACE_SECONDS)
    return not_found >= settings.PAYMENT_NOT_FOUND_TIMES and now - created_at >= grace


def is_for_people(created_at: datetime, now: datetime) -> bool:
    """Unknown for so long that somebody has to ask the gateway's support."""
    return now - created_at >= timedelta(hours=settings.PAYMENT_UNKNOWN_HOURS)

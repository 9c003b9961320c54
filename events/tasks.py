"""Sweeps of the events. Each finds its own work, so running one late, twice or at once with itself is harmless."""

from celery import shared_task
from django.core.cache import cache

from events import deliveries, dispatching, mail, sending

AWAKE = "events:awake"
AWAKE_SECONDS = 5  # of a wake-up that was lost


@shared_task
def dispatch() -> None:
    cache.delete(AWAKE)  # first: what is written from now on may want another look
    told = dispatching.tell_new()
    if told.deliveries:
        send_deliveries.delay()
    if told.messages:
        send_messages.delay()


@shared_task
def send_deliveries() -> None:
    sending.run()


@shared_task
def send_messages() -> None:
    mail.send_due()


@shared_task
def purge_deliveries() -> None:
    deliveries.purge()


def wake() -> None:
    """Have the outbox looked at now rather than by the beat. One wake-up is under way at a time, not one per event."""
    if cache.add(AWAKE, 1, timeout=AWAKE_SECONDS):
        dispatch.delay()

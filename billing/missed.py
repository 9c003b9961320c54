"""Notifications that never reached us: a gateway that keeps a list of them is asked for it."""

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from billing import calling, inbox
from billing.gateways import registry
from billing.gateways.errors import GatewayError
from billing.gateways.subscribing import ListsEvents
from rest import sweeps

logger = logging.getLogger(__name__)


def collect(now: datetime | None = None) -> int:
    """Put into the inbox what could not be brought; how much of it was new. Who is away now is asked the next time."""
    since = (now or timezone.now()) - timedelta(days=settings.UNDELIVERED_DAYS)
    new = 0
    for name, adapter in registry.configured().items():
        if not isinstance(adapter, ListsEvents):
            continue
        with sweeps.alone("undelivered.not_collected", gateway=name):
            new += _collect_from(name, adapter, since)
    if new:
        logger.warning("undelivered.collected", extra={"events": new})
    return new


def _collect_from(name: str, adapter: ListsEvents, since: datetime) -> int:
    try:
        return inbox.store(name, calling.call(name, "undelivered", lambda: adapter.undelivered(since=since)))
    except GatewayError as error:
        logger.warning("undelivered.not_told", extra={"gateway": name, "reason": str(error)})
        return 0

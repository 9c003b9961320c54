"""Notifications that never reached us: a gateway that keeps a list of them is asked for it."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from billing import calling, inbox
from billing.gateways import registry
from billing.gateways.base import Hint
from billing.gateways.errors import GatewayError
from billing.gateways.subscribing import ListsEvents

logger = logging.getLogger(__name__)


def collect(now: datetime | None = None) -> int:
    """Put into the inbox what could not be brought; how much of it was new. Who is away now is asked the next time."""
    since = (now or timezone.now()) - timedelta(days=settings.UNDELIVERED_DAYS)
    new = 0
    for name, adapter in registry.configured().items():
        if not isinstance(adapter, ListsEvents):
            continue
        try:
            new += inbox.store(name, _undelivered(name, adapter, since))
        except GatewayError as error:
            logger.warning("undelivered.not_told", extra={"gateway": name, "reason": str(error)})
    if new:
        logger.warning("undelivered.collected", extra={"events": new})
    return new


def _undelivered(name: str, adapter: ListsEvents, since: datetime) -> Sequence[Hint]:
    return calling.call(name, "undelivered", lambda: adapter.undelivered(since=since))

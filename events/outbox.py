"""The outbox: what happened is a row of the same transaction, so it is told if and only if it is true."""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction

from events import hints, shapes, tasks
from events.models import Event
from events.types import EventType
from rest import dates

logger = logging.getLogger(__name__)


def record(*, user: User, type: EventType, data: Mapping[str, Any], version: int = 1) -> Event:  # noqa: A002
    """Write down what happened. Data of the wrong shape is our mistake: tests fail of it, customers never do."""
    data = {name: dates.written(value) if isinstance(value, datetime) else value for name, value in data.items()}
    try:
        shapes.check(type, data, version)
    except (shapes.WrongData, shapes.UnknownShape) as fault:
        if not settings.PRODUCTION:
            raise
        logger.error("event.misshapen", extra={"type": str(type), "fault": str(fault)})
    event = Event.objects.create(user=user, type=type, data=data, version=version)
    transaction.on_commit(tasks.wake)
    hints.recorded()
    return event

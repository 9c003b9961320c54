"""The outbox: what happened is a row of the same transaction, so it is told if and only if it is true."""

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import User

from events.models import Event, EventType


def record(*, user: User, type: EventType, data: Mapping[str, Any], version: int = 1) -> Event:  # noqa: A002
    return Event.objects.create(user=user, type=type, data=dict(data), version=version)

"""What a customer may use because of the plans they have: limits, flags, and what is without limit."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone

from billing import dunning
from billing.models import Subscription
from billing.models.plans import UNLIMITED
from billing.models.subscriptions import IN_FORCE

Value = int | bool | str


def of(user: User, at: datetime | None = None) -> dict[str, Value]:
    """All of them, the best of each where several plans give it."""
    found: dict[str, Value] = {}
    for subscription in _in_force(user, at or timezone.now()):
        for name, value in subscription.price.plan.entitlements.items():
            found[name] = _better(found.get(name), value)
    return found


def has(user: User, name: str, at: datetime | None = None) -> bool:
    """Whether there is any of it: `entitlements.has(user, "hd_photos")`."""
    return bool(of(user, at).get(name, False))


def limit(user: User, name: str, at: datetime | None = None) -> int | None:
    """How many; None is without limit. What is not given at all is 0."""
    value = of(user, at).get(name, 0)
    return None if value == UNLIMITED else int(value)


def _in_force(user: User, now: datetime) -> Iterator[Subscription]:
    rows = Subscription.objects.filter(user=user, status__in=IN_FORCE).select_related("price__plan")
    for subscription in rows:
        # A sweep that is late gives nothing away, and takes nothing early.
        if now < dunning.access_until(subscription):
            yield subscription


def _better(one: Any, other: Value) -> Value:
    if one is None:
        return other
    if UNLIMITED in (one, other):
        return UNLIMITED
    if isinstance(one, bool) and isinstance(other, bool):
        return one or other
    return max(int(one), int(other))

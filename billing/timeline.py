"""What happened to a subscription: it is saved with a line in its timeline, and an event tells others."""

from typing import Any

from django.contrib.auth.models import User

from billing import dunning
from billing.models import Subscription, SubscriptionEvent
from billing.models.subscriptions import IN_FORCE
from events import outbox
from events.types import EventType


def save(
    subscription: Subscription,
    act: str,
    *,
    by: User | None = None,
    reason: str = "",
    facts: dict[str, Any] | None = None,
) -> None:
    """Write the row, made or changed, with the dates that follow from it, and the line that says why."""
    if subscription.status in IN_FORCE:
        subscription.lapses_at = dunning.lapses_at(subscription)
        subscription.next_look_at = dunning.next_look_at(subscription)
    subscription.save()
    SubscriptionEvent.objects.create(
        subscription=subscription, act=act, status=subscription.status, by=by, reason=reason, facts=facts or {}
    )


def tell(subscription: Subscription, event: EventType, **more: Any) -> None:
    price = subscription.price
    data = {
        "subscription": str(subscription.pk),
        "plan": price.plan.code,
        "interval": price.interval,
        "status": subscription.status,
    }
    outbox.record(user=subscription.user, type=event, data=data | more)


def tell_updated(subscription: Subscription, *changed: str) -> None:
    tell(
        subscription,
        EventType.SUBSCRIPTION_UPDATED,
        current_period_end=subscription.paid_until,
        cancel_at_period_end=subscription.cancel_at_period_end,
        changed=list(changed),
    )

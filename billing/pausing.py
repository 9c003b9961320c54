"""A plan stands still and goes on again: as an operator wishes, or as the gateway that renews it says."""

from datetime import datetime
from uuid import UUID

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_noop

from billing import dunning, errors, following, subscription_states, timeline
from billing.gateways.subscribing import SubscriptionResult, SubscriptionState
from billing.models import Subscription
from billing.models.subscriptions import IN_FORCE, SubscriptionStatus
from credits import calendar
from credits.models import GrantSchedule

ENDED = (SubscriptionState.CANCELLED, SubscriptionState.EXPIRED)


@transaction.atomic
def pause(*, subscription_id: UUID, by: User | None = None, reason: str = "") -> Subscription:
    """The time that is paid for stands still, and nothing is given or asked for."""
    subscription = subscription_states.lock(subscription_id)
    if subscription.status != SubscriptionStatus.ACTIVE or dunning.paid_until(subscription) <= timezone.now():
        raise errors.SubscriptionState(subscription.status, gettext_noop("only an active one can be paused"))
    return _stop(subscription, by=by, reason=reason)


@transaction.atomic
def unpause(*, subscription_id: UUID, by: User | None = None, reason: str = "") -> Subscription:
    subscription = subscription_states.lock(subscription_id)
    if subscription.status != SubscriptionStatus.PAUSED or subscription.paused_at is None:
        raise errors.SubscriptionState(subscription.status, gettext_noop("it is not paused"))
    return _go_on(subscription, subscription.paused_at, by=by, reason=reason)


# ---------------------------------------------------------------- as its gateway says


def stands_still(found: SubscriptionResult) -> bool:
    """It charges nothing: somebody paused it in the gateway's dashboard, or a trial ended there without a card."""
    return (found.is_paused or found.state is SubscriptionState.PAUSED) and found.state not in ENDED


@transaction.atomic
def follow_pause(*, subscription_id: UUID, since: datetime) -> None:
    """Asked at `since`, it stood still there. Past due or on trial, what is left of that waits as well."""
    subscription = subscription_states.lock(subscription_id)
    if subscription.status in IN_FORCE and not following.is_overtaken(subscription, following.PAUSE, since):
        _stop(subscription, facts={"why": "at_gateway"})


@transaction.atomic
def follow_return(*, subscription_id: UUID, since: datetime) -> None:
    """Asked at `since`, it did not stand still there."""
    subscription = subscription_states.lock(subscription_id)
    if subscription.status != SubscriptionStatus.PAUSED or subscription.paused_at is None:
        return
    if not following.is_overtaken(subscription, following.PAUSE, since):
        _go_on(subscription, subscription.paused_at, facts={"why": "at_gateway"})


# ---------------------------------------------------------------- behind its lock


def _stop(
    subscription: Subscription, *, by: User | None = None, reason: str = "", facts: dict[str, str] | None = None
) -> Subscription:
    now = timezone.now()
    subscription.status, subscription.paused_at = SubscriptionStatus.PAUSED, now
    if GrantSchedule.objects.filter(reference=subscription.reference).exists():  # a trial has none
        calendar.pause(reference=subscription.reference, at=now)
    timeline.save(subscription, "paused", by=by, reason=reason, facts=facts)
    timeline.tell_updated(subscription, "status")
    return subscription


def _go_on(
    subscription: Subscription,
    paused_at: datetime,
    *,
    by: User | None = None,
    reason: str = "",
    facts: dict[str, str] | None = None,
) -> Subscription:
    now = timezone.now()
    subscription_states.lengthen(subscription, since=paused_at, by=now - paused_at)
    subscription.paid_until = now + (dunning.paid_until(subscription) - paused_at)
    subscription.status, subscription.paused_at = SubscriptionStatus.ACTIVE, None
    if subscription.anchor_at is None:  # nothing was ever paid for it
        subscription.status, subscription.trial_until = SubscriptionStatus.TRIALING, subscription.paid_until
    else:
        subscription.anchor_at = subscription.paid_until  # later periods follow from the end of this one
        subscription.periods = 0
    if GrantSchedule.objects.filter(reference=subscription.reference).exists():
        calendar.resume(reference=subscription.reference, at=now, paid_until=subscription.paid_until)
    subscription.tries = subscription.reminders = 0
    until = {"until": subscription.paid_until}
    timeline.save(subscription, "unpaused", by=by, reason=reason, facts=until | (facts or {}))
    timeline.tell_updated(subscription, "status", "current_period_end")
    return subscription

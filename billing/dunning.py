"""When a renewal is reminded of, asked for and given up: a plain table in the settings, and nothing of it stored twice.

    kind      reminders            payments started       past due             given up
    prepaid   RENEWAL_REMINDER_…   RENEWAL_TRY_DAYS       first try + patience  RENEWAL_GRACE_DAYS
    gateway   its own              its own                when it says so      RENEWAL_GATEWAY_GRACE_DAYS

Until it is given up a customer who has paid before keeps what the plan entitles to; credits wait for the payment.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.core import signing

from billing.models import Subscription
from billing.models.subscriptions import SubscriptionStatus

SALT = "billing.mend"


def lapses_at(subscription: Subscription) -> datetime:
    """When it ends unless it is paid for."""
    end = paid_until(subscription)
    if subscription.cancel_at_period_end:
        return end
    prepaid = not subscription.is_renewed_by_gateway
    days = settings.RENEWAL_GRACE_DAYS if prepaid else settings.RENEWAL_GATEWAY_GRACE_DAYS
    return end + timedelta(days=days)


def access_until(subscription: Subscription) -> datetime:
    """A trial that nobody pays for has no grace."""
    if subscription.anchor_at is None:
        return paid_until(subscription)
    return lapses_at(subscription)


def past_due_at(subscription: Subscription) -> datetime:
    return paid_until(subscription) + timedelta(minutes=settings.RENEWAL_PATIENCE_MINUTES)


def reminders_due(subscription: Subscription, now: datetime) -> int:
    """How many of the table's reminders should have been sent by now."""
    return sum(paid_until(subscription) - timedelta(days=days) <= now for days in settings.RENEWAL_REMINDER_DAYS)


def tries_due(subscription: Subscription, now: datetime) -> int:
    return sum(paid_until(subscription) + timedelta(days=days) <= now for days in settings.RENEWAL_TRY_DAYS)


def next_look_at(subscription: Subscription) -> datetime | None:
    """The next line of the table; none where there is nothing to do but to wait for the end."""
    if subscription.cancel_at_period_end:
        return None
    end = paid_until(subscription)
    if subscription.is_renewed_by_gateway:
        return end + timedelta(hours=1)  # by then it has written, or it is asked
    days: list[timedelta] = []
    reminders, tries = sorted(settings.RENEWAL_REMINDER_DAYS, reverse=True), sorted(settings.RENEWAL_TRY_DAYS)
    if subscription.reminders < len(reminders):
        days.append(-timedelta(days=reminders[subscription.reminders]))
    if subscription.tries < len(tries):
        days.append(timedelta(days=tries[subscription.tries]))
    if subscription.status != SubscriptionStatus.PAST_DUE:
        days.append(timedelta(minutes=settings.RENEWAL_PATIENCE_MINUTES))
    return end + min(days) if days else None


def paid_until(subscription: Subscription) -> datetime:
    assert subscription.paid_until is not None  # noqa: S101 - a constraint says so of all that are in force
    return subscription.paid_until


# ---------------------------------------------------------------- where the customer mends it


def mend_url(subscription: Subscription) -> str:
    """The page behind the link in a reminder; the signed link is the whole credential."""
    token = signing.dumps(subscription.pk.hex, salt=SALT)
    return f"{settings.BASE_URL}/renew/{token}"


def subscription_of(token: str) -> Subscription | None:
    try:
        known = signing.loads(token, salt=SALT, max_age=timedelta(days=settings.RENEWAL_GRACE_DAYS + 30))
    except signing.BadSignature:
        return None
    return Subscription.objects.select_related("price__plan", "next_price__plan", "user").filter(pk=known).first()

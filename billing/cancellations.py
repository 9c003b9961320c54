"""What the end of a subscription would do, said before it is done, as `subscriptions.cancel` does it."""

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone
from django.utils.translation import gettext_noop

from billing import errors, subscriptions
from billing.models import Subscription
from billing.models.subscriptions import LIVE, SubscriptionStatus
from billing.plan_changes import NOW, PERIOD_END
from credits import calendar
from credits.calendar import Date
from ledger.money import Money

MOST_GRANTS = 60  # more than a year of weeks
AT_ONCE = (SubscriptionStatus.INCOMPLETE, SubscriptionStatus.PAUSED)  # these end at once, whenever is asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """No money goes back, and credits that were given stay. What is paid for until `lost_until` is not used up."""

    when: str
    ends_at: datetime
    lost_until: datetime | None
    coming: tuple[Date, ...]  # grants that are paid for and still come
    lost: tuple[Date, ...]  # grants that are paid for and would come no more
    next_amount: Money | None  # that will not be charged any more
    next_payment_at: datetime | None
    may_resume: bool  # until it ends


def preview(*, subscription: Subscription, immediately: bool = False, at: datetime | None = None) -> Ending:
    now = at or timezone.now()
    if subscription.status not in LIVE:
        raise errors.SubscriptionState(subscription.status, gettext_noop("it is over already"))
    is_now = immediately or subscription.status in AT_ONCE
    paid_until, is_paused = subscription.paid_until, subscription.status == SubscriptionStatus.PAUSED
    if is_paused and paid_until is not None and subscription.paused_at is not None:
        paid_until = now + (paid_until - subscription.paused_at)  # what is left waits, and would begin now
    ends_at = now if is_now or paid_until is None else max(paid_until, now)
    paid = tuple(
        each
        for each in calendar.next_dates(reference=subscription.reference, count=MOST_GRANTS, at=now)
        if each.is_paid
    )
    goes_on = paid_until is not None and not subscription.cancel_at_period_end
    price = subscription.next_price or subscription.price
    return Ending(
        when=NOW if is_now else PERIOD_END,
        ends_at=ends_at,
        lost_until=paid_until if is_now and paid_until is not None and paid_until > now else None,
        coming=() if is_now else paid,
        lost=paid if is_now else (),
        next_amount=subscriptions.next_amount(subscription, price) if goes_on else None,
        next_payment_at=paid_until if goes_on and not is_paused else None,
        may_resume=not is_now,
    )

"""Another plan: to a dearer one now for the difference, to a cheaper one with the next period; and what it will cost.

The old plan's credit never exceeds the share of its credits that is left, so that spending all of them and then
upgrading pays for what was spent. See SUBSCRIPTION_PRORATION.
"""

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone

from billing import checkout, customers, dunning, errors, plan_payments, plans, pricing, subscription_states
from billing import gateway_subscriptions as renewing
from billing.checkout import Wishes
from billing.models import Payment, PlanPrice, Subscription
from billing.models.subscriptions import SubscriptionStatus
from billing.plan_payments import CHANGE
from credits import calendar
from ledger.money import Money
from rest.idempotency import Claim

NOW, PERIOD_END = "now", "period_end"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePlan:
    """What a change would do. `due` is charged now; 0 when it begins with the next period."""

    price: PlanPrice
    when: str
    begins_at: datetime
    due: Money
    charge: Money
    credit: Money
    next_amount: Money
    next_payment_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    preview: ChangePlan
    payment: Payment | None = None


def preview(*, subscription: Subscription, price: PlanPrice, when: str = "", at: datetime | None = None) -> ChangePlan:
    """To the cent, as it would be at this instant."""
    now = at or timezone.now()
    if subscription.status not in (SubscriptionStatus.ACTIVE, SubscriptionStatus.TRIALING, SubscriptionStatus.PAST_DUE):
        raise errors.SubscriptionState(subscription.status, "it cannot be changed")
    if price.pk == subscription.price_id and subscription.next_price_id is None:
        raise errors.SamePrice
    if price.currency != subscription.price.currency:
        raise errors.ChangeNotNow
    end, zero = dunning.paid_until(subscription), Money(0, price.currency)
    chosen = when or (NOW if _may_begin_now(subscription, price, now) else PERIOD_END)
    if chosen == PERIOD_END:
        return ChangePlan(
            price=price, when=chosen, begins_at=end, due=zero, charge=zero, credit=zero,
            next_amount=price.money, next_payment_at=end,
        )  # fmt: skip
    if not _may_begin_now(subscription, price, now):
        raise errors.ChangeNotNow
    if renewing.renews_it(subscription):
        due = renewing.preview(subscription=subscription, price=price)
        return ChangePlan(
            price=price, when=chosen, begins_at=now, due=due, charge=due, credit=zero,
            next_amount=price.money, next_payment_at=end,
        )  # fmt: skip
    if subscription.anchor_at is None:
        charge = credit = 0  # on trial: nothing is paid yet
    else:
        charge, credit = _prorated(subscription, price, now)
    next_end = end if price.interval == subscription.price.interval else _end_from(subscription, price, now)
    return ChangePlan(
        price=price,
        when=chosen,
        begins_at=now,
        due=Money(charge - credit, price.currency),
        charge=Money(charge, price.currency),
        credit=Money(credit, price.currency),
        next_amount=price.money,
        next_payment_at=next_end,
    )


def _may_begin_now(subscription: Subscription, price: PlanPrice, now: datetime) -> bool:
    """Only to a dearer one, while something is paid for, and never to an earlier end."""
    end = dunning.paid_until(subscription)
    if end <= now or price.pk == subscription.price_id:
        return False
    if subscription.anchor_at is None:
        return True
    if price.interval != subscription.price.interval and _end_from(subscription, price, now) < end:
        return False
    return plans.by_the_year(price) > plans.by_the_year(subscription.price)


def _end_from(subscription: Subscription, price: PlanPrice, now: datetime) -> datetime:
    return subscription_states.end_of_period(now, subscription.time_zone, price.interval, 1)


def _prorated(subscription: Subscription, price: PlanPrice, now: datetime) -> tuple[int, int]:
    """What the new plan costs until its end, rounded up, and what the old one is still worth, rounded down."""
    end, start = dunning.paid_until(subscription), subscription.period_start
    assert start is not None  # noqa: S101 - a constraint says so
    left, whole = int((end - now).total_seconds()), max(int((end - start).total_seconds()), 1)
    old = subscription.price.amount_minor
    credit = old * min(left, whole) // whole
    if settings.SUBSCRIPTION_PRORATION == "consumption":
        kept, given = calendar.left_of_the_period(reference=subscription.reference, at=now)
        if given:
            credit = min(credit, old * kept // given)
    if price.interval != subscription.price.interval:
        return price.amount_minor, credit
    return -(-price.amount_minor * left // whole), credit


# ---------------------------------------------------------------- doing it


def change(
    *,
    subscription: Subscription,
    price: PlanPrice,
    wishes: Wishes,
    when: str = "",
    claim: Claim | None = None,
    by: User | None = None,
    reason: str = "",
) -> Changed:
    """Now for its difference, once that is paid; or with the next period. A payment that fails changes nothing."""
    plan = preview(subscription=subscription, price=price, when=when)
    if plan.when == PERIOD_END:
        chosen = None if price.pk == subscription.price_id else price
        if renewing.renews_it(subscription):
            renewing.change(subscription=subscription, price=price, now=False)
        subscription_states.set_next_price(subscription_id=subscription.pk, price=chosen, by=by, reason=reason)
        return Changed(preview=plan)
    if renewing.renews_it(subscription):
        renewing.change(subscription=subscription, price=price, now=True)
        return Changed(preview=plan)  # its paid invoice brings the new plan
    if plan.due.minor <= 0:
        key = f"subscription:{subscription.pk}:change:{price.pk}:{int(plan.begins_at.timestamp())}"
        subscription_states.switch(subscription_id=subscription.pk, price=price, key=key, by=by, reason=reason)
        return Changed(preview=plan)
    if (waiting := plan_payments.pending(subscription, CHANGE)) is not None:
        if waiting.details["price"] == price.pk:
            return Changed(preview=plan, payment=waiting)
        raise errors.AttemptLive(waiting.pk)
    purchase = pricing.plan(
        price,
        customers.get(subscription.user).locale,
        subscription=subscription.pk,
        purpose=CHANGE,
        from_price=subscription.price_id,
        charge=plan.charge.minor,
        credit=plan.credit.minor,
        amount=plan.due,
    )
    payment = checkout.start(user=subscription.user, purchase=purchase, wishes=wishes, claim=claim)
    return Changed(preview=plan, payment=payment)

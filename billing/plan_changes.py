"""Another plan: to a dearer one now for the difference, to a cheaper one with the next period; and what it will cost.

The old plan's credit never exceeds the share of its credits that is left, so that spending all of them and then
upgrading pays for what was spent. See SUBSCRIPTION_PRORATION.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fractions import Fraction

from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone
from django.utils.translation import gettext_noop

from billing import (
    checkout,
    coupons,
    customers,
    dunning,
    errors,
    instruction_sending,
    instructions,
    plan_payments,
    plan_worth,
    plans,
    pricing,
    subscription_states,
    subscriptions,
)
from billing import gateway_subscriptions as renewing
from billing.change_basis import Basis
from billing.checkout import Wishes
from billing.models import PaidPeriod, Payment, PlanPrice, Subscription
from billing.models.instructions import InstructionKind
from billing.models.subscriptions import SubscriptionStatus
from billing.plan_payments import CHANGE, RENEW
from billing.pricing import Purchase, Reduction
from credits import calendar, payable
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
    charge: Money  # with the discount taken off
    credit: Money
    discount: Money
    next_amount: Money
    next_payment_at: datetime
    reduction: Reduction | None = None  # of the charge, where we reckon it


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    preview: ChangePlan
    payment: Payment | None = None
    next_action: dict[str, object] | None = None  # of a gateway that renews by itself, whose charge was not paid


def preview(*, subscription: Subscription, price: PlanPrice, when: str = "", at: datetime | None = None) -> ChangePlan:
    """To the cent, as it would be at this instant."""
    now = at or timezone.now()
    if subscription.status not in (SubscriptionStatus.ACTIVE, SubscriptionStatus.TRIALING, SubscriptionStatus.PAST_DUE):
        raise errors.SubscriptionState(subscription.status, gettext_noop("it cannot be changed"))
    if price.pk == subscription.price_id and subscription.next_price_id is None:
        raise errors.SamePrice
    if price.currency != subscription.price.currency:
        raise errors.ChangeNotNow
    end = dunning.paid_until(subscription)
    chosen = when or (NOW if _may_begin_now(subscription, price, now) else PERIOD_END)
    if renewing.renews_it(subscription):
        _refuse_there(subscription, price, chosen, now)
    if chosen == PERIOD_END:
        return _plan(subscription, price, chosen, begins_at=end, next_payment_at=end)
    if not _may_begin_now(subscription, price, now):
        raise errors.ChangeNotNow
    if renewing.renews_it(subscription):
        told = renewing.preview(subscription=subscription, price=price, at=now)
        due, discount = told.due.minor, told.discount.minor
        return _plan(subscription, price, chosen, begins_at=now, next_payment_at=end, charge=due, discount=discount)
    next_end = end if price.interval == subscription.price.interval else _end_from(subscription, price, now)
    if subscription.anchor_at is None:  # on trial: nothing is paid yet
        return _plan(subscription, price, chosen, begins_at=now, next_payment_at=next_end)
    whole = _with_coupon(subscription, price, CHANGE)
    full, less, credit = _prorated(subscription, whole, now)
    charge = less - (less - credit) % payable.step(price.currency)  # what is due, a gateway must be able to take
    return _plan(
        subscription, price, chosen, begins_at=now, next_payment_at=next_end,
        charge=charge, credit=credit, discount=full - less, reduction=whole.reduction,
    )  # fmt: skip


def _refuse_there(subscription: Subscription, price: PlanPrice, when: str, now: datetime) -> None:
    """What a gateway that renews by itself would charge otherwise than we say. Another interval begins there at once,
    for its whole price; and the price that is to follow stands there for the present one already."""
    is_later = when == PERIOD_END or not _may_begin_now(subscription, price, now)
    if is_later and price.interval != subscription.price.interval:
        raise errors.IntervalNotLater
    if not is_later and (subscription.next_price_id is not None or instructions.changes_price(subscription)):
        raise errors.ChangePlanned


def _plan(
    subscription: Subscription,
    price: PlanPrice,
    when: str,
    *,
    begins_at: datetime,
    next_payment_at: datetime,
    charge: int = 0,
    credit: int = 0,
    discount: int = 0,
    reduction: Reduction | None = None,
) -> ChangePlan:
    currency = price.currency
    return ChangePlan(
        price=price,
        when=when,
        begins_at=begins_at,
        due=Money(charge - credit, currency),
        charge=Money(charge, currency),
        credit=Money(credit, currency),
        discount=Money(discount, currency),
        next_amount=_with_coupon(subscription, price, RENEW).amount,
        next_payment_at=next_payment_at,
        reduction=replace(reduction, discount=Money(discount, currency)) if reduction else None,
    )


def _with_coupon(subscription: Subscription, price: PlanPrice, purpose: str) -> Purchase:
    """A whole period at this price, less what the subscription's coupon still takes off it."""
    locale = customers.get(subscription.user).locale
    purchase = pricing.plan(price, locale, subscription=subscription.pk, purpose=purpose)
    return coupons.for_period(subscription=subscription, purchase=purchase)


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


def _prorated(subscription: Subscription, whole: Purchase, now: datetime) -> tuple[int, int, int]:
    """What the new plan costs until its end without and with its coupon, rounded up, and what the old one is still
    worth, rounded down: never more than was paid for it and has not gone back. Periods that were paid in advance are
    whole on both sides."""
    ahead = plan_worth.ahead(subscription, now)
    left, period, is_paid = _under_way(subscription, ahead, now)
    old = Fraction(coupons.worth(subscription, at=now).minor if is_paid else 0)
    in_advance = sum(coupons.worth(subscription, at=now, period=each).minor for each in ahead)
    kept = plan_worth.kept(subscription, at=now, until=now + timedelta(seconds=max(left, 0)))
    if kept is not None:
        old, in_advance = min(old, kept.under_way * period / max(left, 1)), min(in_advance, int(kept.ahead))
    unused = old * min(left, period) / period
    if settings.SUBSCRIPTION_PRORATION == "consumption":
        left_of_it, given = calendar.left_of_the_period(reference=subscription.reference, at=now)
        if given:
            unused = min(unused, old * left_of_it / given)
    credit = int(unused) + in_advance
    if PlanPrice.objects.get(pk=whole.details["price"]).interval != subscription.price.interval:
        return whole.price.minor, whole.amount.minor, credit
    full, less = (len(ahead) * each.minor - (-each.minor * left // period) for each in (whole.price, whole.amount))
    return full, less, credit


def _under_way(subscription: Subscription, ahead: Sequence[PaidPeriod], now: datetime) -> tuple[int, int, bool]:
    """The seconds that are left of the period under way and all of its seconds, and whether it was paid for: the rest
    of a trial was not. Time that was given, and the time of a pause, make it longer."""
    start = subscription.period_start
    assert start is not None  # noqa: S101 - a constraint says so
    until = dunning.paid_until(subscription) - sum((each.ends_at - each.starts_at for each in ahead), timedelta())
    left = int((until - now).total_seconds())
    if start > now and ahead:
        begun = subscription.paid_periods.filter(starts_at__lte=now, ends_at__lte=ahead[0].starts_at)
        first = begun.order_by("-ends_at", "starts_at").first()
        if first is None:
            return left, max(int((ahead[0].ends_at - ahead[0].starts_at).total_seconds()), 1), False
        start = first.starts_at
    return left, max(int((until - start).total_seconds()), 1), True


# ---------------------------------------------------------------- doing it


def change(
    *,
    subscription: Subscription,
    price: PlanPrice,
    wishes: Wishes,
    when: str = "",
    at: datetime | None = None,
    claim: Claim | None = None,
    by: User | None = None,
    reason: str = "",
) -> Changed:
    """Now for its difference, once that is paid; or with the next period. A payment that fails changes nothing. It is
    reckoned as of `at`, so that what was looked at just now is what is done."""
    basis, plan = Basis.of(subscription), preview(subscription=subscription, price=price, when=when, at=at)
    if plan.when == PERIOD_END:
        if renewing.renews_it(subscription):
            kind = InstructionKind.NEXT_PRICE
            instruction_sending.give(subscription=subscription, kind=kind, price=price, by=by, reason=reason)
        else:
            chosen = None if price.pk == subscription.price_id else price
            subscription_states.set_next_price(subscription_id=subscription.pk, price=chosen, by=by, reason=reason)
        return Changed(preview=plan)
    if renewing.renews_it(subscription):
        kind, at = InstructionKind.CHANGE_NOW, plan.begins_at
        left = instruction_sending.give(
            subscription=subscription, kind=kind, price=price, prorated_at=at, by=by, reason=reason
        )
        return Changed(preview=plan, next_action=left)  # its paid invoice brings the new plan
    if plan.due.minor <= 0:
        key = f"subscription:{subscription.pk}:change:{price.pk}:{int(plan.begins_at.timestamp())}"
        if not subscription_states.switch(
            subscription_id=subscription.pk, basis=basis, price=price, key=key, by=by, reason=reason
        ):
            raise errors.SubscriptionState(subscription.status, plan_payments.CHANGED_MEANWHILE)
        return Changed(preview=plan)
    if (waiting := plan_payments.pending(subscription, CHANGE)) is not None:
        if _is_of(waiting, price, basis):
            return Changed(preview=plan, payment=waiting)
        if waiting.details["price"] != price.pk:
            raise errors.AttemptLive(waiting.pk)
        # Of what is paid for no more like this: who pays it now gets nothing for it.
        subscriptions.cancel_payment(waiting)
    purchase = pricing.plan(
        price,
        customers.get(subscription.user).locale,
        subscription=subscription.pk,
        purpose=CHANGE,
        **basis.as_json(),
        charge=plan.charge.minor,
        credit=plan.credit.minor,
        amount=plan.due + plan.discount,
    )
    if plan.reduction is not None:
        purchase = pricing.reduced(purchase, plan.reduction)
    try:
        payment = checkout.start(user=subscription.user, purchase=purchase, wishes=wishes, claim=claim, basis=basis)
    except errors.AttemptLive as rival:
        # Another window of the customer's was faster by a moment.
        payment = Payment.objects.with_attempts().get(pk=rival.payment)
        if not _is_of(payment, price, basis):
            raise
    return Changed(preview=plan, payment=payment)


def _is_of(waiting: Payment, price: PlanPrice, basis: Basis) -> bool:
    return bool(waiting.details["price"] == price.pk) and Basis.of_payment(waiting) == basis


def again(*, payment: Payment) -> Changed:
    """What was answered when this payment was begun, for who asks again with the same key: by now it may be paid, and
    the change be done."""
    asked = payment.details
    subscription = Subscription.objects.select_related("price__plan", "user").get(pk=asked["subscription"])
    price = PlanPrice.objects.select_related("plan").get(pk=asked["price"])
    until = Basis.of_payment(payment).paid_until or dunning.paid_until(subscription)
    if price.interval != PlanPrice.objects.get(pk=asked["from_price"]).interval:
        until = _end_from(subscription, price, payment.created_at)
    plan = _plan(
        subscription, price, NOW, begins_at=payment.created_at, next_payment_at=until,
        charge=asked["charge"], credit=asked["credit"], discount=payment.discount_minor,
    )  # fmt: skip
    return Changed(preview=plan, payment=payment)

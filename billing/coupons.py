"""Which coupon a customer may use for what, and the taking of it: looked up, checked, reserved behind its lock.

A check without the lock is a preview. The use that counts is the row that `reserve` makes in the transaction of the
payment or the subscription, so that it is there exactly when they are.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import F
from django.utils import timezone

from billing import customers, discounts, errors, metrics, persons, plan_payments
from billing.discounts import Terms
from billing.models import Coupon, PaidPeriod, Payment, Redemption, Subscription
from billing.models.coupons import COUNTED, COUPON_CODE, CouponKind, RedemptionStatus
from billing.models.payments import PaymentKind, PaymentStatus
from billing.pricing import Purchase, Reduction, reduced
from credits import payable, purses
from ledger.money import Money

# ---------------------------------------------------------------- finding


def find(code: str, *, now: datetime | None = None) -> Coupon:
    """The coupon that somebody typed, in either case. What cannot be used yet or any more does not seem to be there."""
    moment, wanted = now or timezone.now(), normal(code)
    coupon = Coupon.objects.prefetch_related("amounts").filter(code=wanted).first() if wanted else None
    if coupon is None or coupon.stopped_at is not None or (coupon.starts_at is not None and coupon.starts_at > moment):
        raise errors.UnknownCoupon
    if coupon.ends_at is not None and coupon.ends_at <= moment:
        raise errors.CouponExpired
    return coupon


def normal(code: str) -> str:
    """As it is kept; empty where no coupon can be called so."""
    capitals = code.strip().upper()
    return capitals if re.fullmatch(COUPON_CODE, capitals) else ""


# ---------------------------------------------------------------- checking


def applied(*, user: User, code: str, purchase: Purchase) -> Purchase:
    """The purchase for what it costs with this coupon; refused where it may not be used for it, or not by them."""
    coupon = find(code)
    terms = discounts.terms_of(coupon)
    if not _is_for(coupon, terms, purchase):
        raise errors.CouponNotForThis
    if not discounts.takes(terms, purchase.amount.unit):
        raise errors.CouponCurrency(sorted(terms.amounts))
    refuse_limits(coupon, user)
    return reduced(purchase, Reduction(coupon=coupon, terms=terms, discount=_off(purchase.amount, terms)))


def _off(price: Money, terms: Terms) -> Money:
    return discounts.off(price, terms, payable.step(price.unit))


def _is_for(coupon: Coupon, terms: Terms, purchase: Purchase) -> bool:
    """A free amount has no place in a catalogue, and whoever named it could have named less."""
    if terms.kind == CouponKind.GIFT or purchase.kind not in (PaymentKind.PACK, PaymentKind.PLAN):
        return False
    if terms.credits and purchase.unit != terms.unit:
        return False
    if not (coupon.packs or coupon.plans or coupon.catalogues):
        return True
    named = coupon.packs if purchase.kind == PaymentKind.PACK else coupon.plans
    return purchase.item in named or purchase.catalogue in coupon.catalogues


def refuse_limits(coupon: Coupon, user: User) -> None:
    """What depends on others and on what this customer did before; it holds as long as the locks of `reserve` do."""
    if coupon.limit is not None and coupon.used >= coupon.limit:
        raise errors.CouponUsedUp
    mine = Redemption.objects.filter(persons.same_as(user)).counted()
    if coupon.limit_per_customer is not None and mine.filter(coupon=coupon).count() >= coupon.limit_per_customer:
        raise errors.CouponUsedByYou(_under_way(user, coupon))
    if coupon.is_first_purchase_only:
        if under_way := mine.filter(coupon__is_first_purchase_only=True, status=RedemptionStatus.RESERVED).first():
            raise errors.CouponUsedByYou(_under_way(user, under_way.coupon))
        if Payment.objects.filter(persons.same_as(user), status=PaymentStatus.SUCCEEDED).exists():
            raise errors.CouponFirstPurchaseOnly


def _under_way(user: User, coupon: Coupon) -> UUID | None:
    rows = Payment.objects.of(user).filter(redemption__coupon=coupon, status=PaymentStatus.PENDING)
    return rows.values_list("pk", flat=True).first()


# ---------------------------------------------------------------- taking


def reserve(
    *, user: User, reduction: Reduction, subscription: Subscription | None = None, gives: str = ""
) -> Redemption:
    """Take one use, in the caller's transaction. What was checked before is checked again, now that it is locked."""
    coupon = lock(user, reduction.coupon, gives=gives)
    refuse_limits(coupon, user)
    Coupon.objects.filter(pk=coupon.pk).update(used=F("used") + 1)
    metrics.redemption("reserved", coupon.kind)
    return Redemption.objects.create(
        coupon=coupon, user=user, subscription=subscription, terms=reduction.terms.as_json()
    )


def lock(user: User, coupon: Coupon, *, gives: str = "") -> Coupon:
    """The customer and then the coupon, fresh: one's own limits hold across coupons, a coupon's across customers.

    Where the same transaction gives them credits, of the unit `gives`, their purse is locked in between: a refund that
    arrives at this moment, or a payment that comes late, has it before it looks at the coupon.
    """
    customers.lock(user)
    if gives:
        purses.lock(user, gives)
    locked = Coupon.objects.select_for_update(no_key=True).get(pk=coupon.pk)
    now = timezone.now()
    if locked.stopped_at is not None:
        raise errors.UnknownCoupon
    if locked.ends_at is not None and locked.ends_at <= now:
        raise errors.CouponExpired
    return locked


# ---------------------------------------------------------------- subscriptions


def for_period(*, subscription: Subscription, purchase: Purchase) -> Purchase:
    """A period's purchase with what the subscription's coupon still takes off of it."""
    redemption = of_subscription(subscription)
    if redemption is None:
        return purchase
    terms = Terms(**redemption.terms)
    # A change in the midst of a period is no period: it takes off what its period takes off, and counts as none.
    periods = Payment.objects.filter(redemption=redemption, status=PaymentStatus.SUCCEEDED)
    paid = periods.exclude(details__purpose=plan_payments.CHANGE).count()
    is_over = terms.payments is not None and paid >= terms.payments
    if is_over or not _is_for(redemption.coupon, terms, purchase) or not discounts.takes(terms, purchase.amount.unit):
        return purchase
    off = _off(purchase.amount, terms)
    return reduced(purchase, Reduction(coupon=redemption.coupon, terms=terms, discount=off, redemption=redemption))


def worth(subscription: Subscription, at: datetime | None = None, period: PaidPeriod | None = None) -> Money:
    """What a whole period of its plan costs with the coupon that its payment had: what it paid for. Without a period,
    the last that has begun."""
    price = subscription.price.money
    rows = subscription.paid_periods.exclude(payment=None).select_related("payment__redemption").order_by("-id")
    last = period or rows.filter(starts_at__lte=at or timezone.now()).first()
    redemption = last.payment.redemption if last and last.payment else None
    return price - _off(price, Terms(**redemption.terms)) if redemption else price


def of_subscription(subscription: Subscription) -> Redemption | None:
    rows = Redemption.objects.filter(subscription=subscription, status__in=COUNTED)
    return rows.select_related("coupon").first()


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a payment writes down of a discount that its gateway has reckoned."""

    redemption: Redemption | None
    discount_minor: int
    details: dict[str, Any]


def heard(*, subscription: Subscription, discount: Money | None) -> Heard:
    """The gateway's figure stands; the use is the subscription's own, which its first payment makes good."""
    redemption, minor = of_subscription(subscription), discount.minor if discount else 0
    if redemption is None or (minor == 0 and redemption.redeemed_at is not None):
        return Heard(redemption=None, discount_minor=minor, details={})
    reduction = Reduction(
        coupon=redemption.coupon,
        terms=Terms(**redemption.terms),
        discount=discount or Money(0, subscription.price.currency),
        redemption=redemption,
    )
    return Heard(redemption=redemption, discount_minor=minor, details={"coupon": reduction.as_json()})

"""Another plan in the midst of a period that a coupon made cheaper: the charge is what the preview said."""

import re
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from billing import coupons, plan_changes, renewals, subscriptions
from billing.checkout import Wishes
from billing.models import Payment, Subscription
from billing.models.coupons import CouponDuration
from billing.tests.couponing import make_coupon, state, uses
from billing.tests.subscribers import BEGIN, end_of, fresh, make_plans, make_user, pay, price
from credits import calendar
from ledger import checks
from ledger.money import Money

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock(gateways, settings):
    settings.SUBSCRIPTION_PRORATION = "time"
    with time_machine.travel(BEGIN, tick=False) as traveller:
        make_plans()
        yield traveller


def halfway(paypal: Any, clock: Any, **terms: Any) -> Subscription:
    """Premium with the coupon, of whose first period a half is over."""
    make_coupon(**terms)
    wishes = Wishes(gateways=("paypal",))
    begun = subscriptions.start(user=make_user(), price=price("premium"), wishes=wishes, coupon="WELCOME10")
    if begun.payment is not None and begun.payment.status == "pending":
        pay(paypal, begun.payment)
    clock.move_to(BEGIN + (end_of(begun.subscription) - BEGIN) / 2)
    calendar.grant_due(at=timezone.now())
    return fresh(begun.subscription)


def change(found: Subscription, code: str = "elite") -> plan_changes.Changed:
    return plan_changes.change(subscription=found, price=price(code), wishes=Wishes(gateways=("paypal",)))


@pytest.mark.parametrize(
    ("terms", "told"),
    [
        ({"duration": CouponDuration.ONCE}, (1_000, 0, 1_999)),  # used by the first payment
        ({"duration": CouponDuration.FOREVER}, (900, 100, 1_799)),
        ({"duration": CouponDuration.REPEATING, "periods": 2}, (900, 100, 1_799)),
        ({"duration": CouponDuration.FOREVER, "plans": ["premium"]}, (1_000, 0, 1_999)),  # not for the new plan
    ],
)
def test_change_costs_what_its_preview_said_with_the_coupon(paypal, clock, terms, told) -> None:
    charge, discount, following = told
    found = halfway(paypal, clock, **terms)
    plan = plan_changes.preview(subscription=found, price=price("elite"))
    # Of the old plan only what was paid for it counts: half of 8.99, whatever its price is.
    assert (plan.charge.minor, plan.credit.minor, plan.discount.minor) == (charge, 449, discount)
    assert (plan.due, plan.next_amount.minor) == (Money(charge - 449, "EUR"), following)
    payment = change(found).payment
    assert payment is not None
    assert (payment.money, payment.discount_minor) == (plan.due, discount)
    pay(paypal, payment)
    clock.move_to(plan.next_payment_at)
    renewals.renew_due()
    assert Payment.objects.get(status="pending").amount_minor == following
    assert (fresh(found).price.plan.code, state(), uses()) == ("elite", [("redeemed", True)], 1)
    assert checks.faults() == {}


def test_change_is_no_period_of_a_coupon_that_covers_some(paypal, clock) -> None:
    found = halfway(paypal, clock, duration=CouponDuration.REPEATING, periods=2)
    pay(paypal, change(found).payment)
    paid = []
    for _ in range(2):
        clock.move_to(end_of(found))
        renewals.renew_due()
        paid.append(pay(paypal, Payment.objects.get(status="pending")).amount_minor)
    assert paid == [1_799, 1_999]


def test_what_a_coupon_gave_for_nothing_is_worth_nothing_in_a_change(paypal, clock) -> None:
    found = halfway(paypal, clock, basis_points=10_000, duration=CouponDuration.FOREVER)
    done = change(found)
    assert (done.payment, done.preview.due.minor, done.preview.credit.minor) == (None, 0, 0)
    assert fresh(found).price.plan.code == "elite"
    assert coupons.worth(fresh(found)) == Money(0, "EUR")


def test_page_of_the_plan_shows_the_discount(paypal, clock, client: Client) -> None:
    found = halfway(paypal, clock, duration=CouponDuration.FOREVER)
    client.force_login(found.user)
    asked = {"subscription": str(found.pk), "plan": "elite", "interval": "month"}
    page = re.sub(r"\s+", " ", client.post("/subscription/change", asked).content.decode())
    assert "You pay <strong>€4.51</strong> now" in page
    assert "Your coupon has taken €1.00 off." in page
    assert "Then €17.99 on" in page

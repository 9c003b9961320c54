"""Coupons of subscriptions: which payments they cover, with us and where a gateway renews by itself."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from billing import errors, gateway_coupons, renewals, subscriptions
from billing.checkout import Wishes
from billing.discounts import Terms
from billing.gateways.subscribing import SubscriptionState
from billing.models import Payment, Plan, Redemption, Subscription
from billing.models.coupons import CouponDuration, CouponKind
from billing.tests.couponing import make_coupon, moved, state, uses
from billing.tests.renewing import END, CouponGateway, read, write
from billing.tests.subscribers import end_of, fails, fresh, make_plan, make_user, pay, price
from credits import balances, calendar
from events.models import Event
from ledger import checks
from ledger.money import Money
from ledger.tests.books import on

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]


def begin(gateway: str = "paypal", user: Any = None, code: str = "premium", interval: str = "month") -> Any:
    return subscriptions.start(
        user=user or make_user(),
        price=price(code, interval),
        wishes=Wishes(gateways=(gateway,)),
        coupon="WELCOME10",
    )


def amounts(subscription: Subscription) -> list[tuple[int, int]]:
    rows = Payment.objects.filter(user=subscription.user, status="succeeded").order_by("id")
    return list(rows.values_list("amount_minor", "discount_minor"))


def renewed(subscription: Subscription, gateway: Any, clock: Any, times: int) -> Subscription:
    for _ in range(times):
        found = fresh(subscription)
        clock.move_to(found.paid_until)
        renewals.renew_due()
        waiting = Payment.objects.filter(status="pending").first()
        if waiting is not None:
            pay(gateway, waiting)
    return fresh(subscription)


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ({"duration": CouponDuration.ONCE}, [899, 999, 999]),
        ({"duration": CouponDuration.REPEATING, "periods": 2}, [899, 899, 999]),
        ({"duration": CouponDuration.FOREVER}, [899, 899, 899]),
    ],
)
def test_prepaid_plan_costs_less_for_as_many_payments_as_the_coupon_covers(
    on_sale, paypal, clock, terms, expected
) -> None:
    make_coupon(**terms)
    begun = begin()
    pay(paypal, begun.payment)
    renewed(begun.subscription, paypal, clock, 2)
    assert [amount for amount, _ in amounts(begun.subscription)] == expected
    assert all(amount + discount == 999 for amount, discount in amounts(begun.subscription))
    assert (state(), uses(), checks.faults()) == ([("redeemed", True)], 1, {})


def test_reminder_tells_what_will_really_be_charged(on_sale, paypal, clock) -> None:
    make_coupon(duration=CouponDuration.REPEATING, periods=2)
    begun = begin()
    pay(paypal, begun.payment)
    clock.move_to(end_of(begun.subscription) - timedelta(days=1))
    renewals.renew_due()
    assert Event.objects.get(type="renewal.reminder").data["amount"] == 899


def test_first_period_for_nothing_begins_without_a_gateway_and_is_paid_afterwards(on_sale, paypal, clock) -> None:
    make_coupon(basis_points=10_000, credits=20)
    begun = begin()
    assert (begun.payment.status, begun.payment.amount_minor, paypal.asked) == ("succeeded", 0, [])
    calendar.grant_due(at=timezone.now())
    assert (fresh(begun.subscription).status, balances.of(begun.subscription.user).available) == ("active", 520)
    clock.move_to(fresh(begun.subscription).paid_until)
    renewals.renew_due()
    assert Payment.objects.get(status="pending").amount_minor == 999
    assert checks.faults() == {}


def test_failed_first_payment_gives_the_use_back(on_sale, paypal) -> None:
    make_coupon(limit=1)
    begun = begin()
    fails(paypal, begun.payment)
    assert (state(), uses()) == ([("released", False)], 0)


def test_failed_renewal_keeps_the_use(on_sale, paypal, clock) -> None:
    make_coupon(duration=CouponDuration.FOREVER)
    begun = begin()
    pay(paypal, begun.payment)
    clock.move_to(fresh(begun.subscription).paid_until)
    renewals.renew_due()
    fails(paypal, Payment.objects.get(status="pending"))
    assert state() == [("redeemed", True)]


def test_trial_keeps_the_coupon_for_its_first_payment(on_sale, stripe, clock) -> None:
    Plan.objects.filter(code="premium").update(trial_days=7)
    make_coupon(limit=1)
    begun = begin()
    assert (begun.payment, state()) == (None, [("reserved", True)])
    clock.shift(timedelta(days=7))
    renewals.renew_due()
    pay(stripe, Payment.objects.get())
    assert (amounts(begun.subscription), state()) == ([(899, 100)], [("redeemed", True)])


def test_trial_that_nobody_pays_for_gives_the_use_back(on_sale) -> None:
    Plan.objects.filter(code="premium").update(trial_days=7)
    make_coupon(limit=1)
    begun = begin()
    subscriptions.cancel_now(subscription=begun.subscription)
    assert (state(), uses()) == ([("released", False)], 0)


def test_use_that_was_paid_for_stays_used_when_its_plan_ends(on_sale, paypal) -> None:
    make_coupon(limit=1)
    begun = begin()
    pay(paypal, begun.payment)
    subscriptions.cancel_now(subscription=fresh(begun.subscription))
    assert (fresh(begun.subscription).status, state(), uses()) == ("cancelled", [("redeemed", True)], 1)


def test_coupon_for_another_plan_begins_nothing(on_sale) -> None:
    make_coupon(plans=["elite"])
    before = moved()
    with pytest.raises(errors.CouponNotForThis):
        begin()
    assert (moved(), Subscription.objects.count()) == (before, 0)


# ---------------------------------------------------------------- where the gateway renews


def heard(gateway: CouponGateway, found: Subscription, number: int = 0) -> None:
    write(found, "paid", number, subject="invoice")
    read()


def test_gateway_opens_its_page_with_the_coupon_and_its_figures_are_adopted(discounting) -> None:
    make_coupon(basis_points=1_250, duration=CouponDuration.REPEATING, periods=3, credits=40)
    found = begin("stripe").subscription
    [made] = discounting.coupons.values()
    assert (made.id, made.percent_off, made.months) == (discounting.opened_with, Decimal("12.5"), 3)
    assert state() == [("reserved", True)]
    discounting.bills("in_1", 874, 125)
    heard(discounting, found)
    payment = Payment.objects.get()
    assert (payment.amount_minor, payment.discount_minor) == (874, 125)
    assert payment.redemption == Redemption.objects.get()
    assert (state(), balances.of(found.user).available) == ([("redeemed", True)], 540)
    assert checks.faults() == {}


def test_invoice_that_the_coupon_made_nothing_of_pays_the_period(discounting) -> None:
    make_coupon(basis_points=10_000)
    found = begin("stripe").subscription
    discounting.bills("in_1", 0, 999)
    heard(discounting, found)
    ours = fresh(found)
    assert (ours.status, ours.paid_until, amounts(found)) == ("active", END, [(0, 999)])
    assert (on("revenue:plans:EUR"), balances.of(found.user).available) == (0, 500)
    assert checks.faults() == {}


def test_later_invoice_without_discount_has_no_coupon(discounting) -> None:
    make_coupon()
    found = begin("stripe").subscription
    discounting.bills("in_1", 899, 100)
    heard(discounting, found)
    discounting.is_paid("in_2", END, END + timedelta(days=30))
    heard(discounting, found, 1)
    assert list(Payment.objects.order_by("id").values_list("discount_minor", "redemption")) == [
        (100, Redemption.objects.get().pk),
        (0, None),
    ]


def test_page_that_nobody_pays_on_gives_the_use_back(discounting) -> None:
    make_coupon(limit=1)
    found = begin("stripe").subscription
    discounting.becomes_in(SubscriptionState.EXPIRED, id="sub_1")
    write(found, "expired")
    read()
    assert (state(), uses()) == ([("released", False)], 0)


@pytest.mark.parametrize(
    ("terms", "interval", "expected"),
    [
        ({"kind": "percent", "basis_points": 2_000}, "month", (Decimal(20), None, None, False)),
        ({"kind": "percent", "basis_points": 2_000, "duration": "forever"}, "month", (Decimal(20), None, None, True)),
        (
            {"kind": "amount", "amounts": {"EUR": 500}, "duration": "repeating", "periods": 2},
            "year",
            (None, Money(500, "EUR"), 24, False),
        ),
    ],
)
def test_terms_are_told_in_the_gateways_words(on_sale, terms, interval, expected) -> None:
    wanted = gateway_coupons.request(Terms(code="X10", **terms), price("premium", interval))
    assert (wanted.percent_off, wanted.amount_off, wanted.months, wanted.is_forever) == expected


def test_coupon_for_some_weeks_is_refused_where_the_gateway_counts_in_months(discounting) -> None:
    make_plan("weekly", {"week": 299})
    make_coupon(duration=CouponDuration.REPEATING, periods=2, limit=1)
    with pytest.raises(errors.CouponNotForThis):
        begin("stripe", code="weekly", interval="week")
    assert (discounting.coupons, discounting.opened_with, discounting.known.session) == ({}, "", "")
    assert (uses(), Subscription.objects.get().status) == (0, "expired")  # in the way of no other


def test_other_terms_under_the_same_code_are_another_coupon_there(on_sale) -> None:
    ids = {
        gateway_coupons.request(Terms(code="X10", kind="percent", basis_points=points), price("premium")).id
        for points in (1_000, 1_000, 2_000)
    }
    assert len(ids) == 2


def test_coupon_of_credits_alone_is_none_of_the_gateways(discounting) -> None:
    make_coupon(kind=CouponKind.CREDITS, credits=40)
    found = begin("stripe").subscription
    assert (discounting.coupons, discounting.opened_with) == ({}, "")
    discounting.bills("in_1", 999, 0)
    heard(discounting, found)
    assert (balances.of(found.user).available, state()) == (540, [("redeemed", True)])

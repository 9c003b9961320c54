"""Invoices of a renewing gateway that nobody was charged for: the customer's balance there paid, or carries them."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from billing import renewals, subscription_states, subscriptions
from billing.gateways.subscribing import InvoiceState, SubscriptionState
from billing.gateways.tax_figures import TaxFigures, TaxReason
from billing.models import Case, GatewayPrice, Payment, Subscription
from billing.models.coupons import CouponDuration, CouponKind
from billing.models.subscriptions import SubscriptionStatus
from billing.tests.couponing import make_coupon, state, uses
from billing.tests.renewing import END, RenewingGateway, begin, lapsed, paid_once, read, write
from billing.tests.subscribers import BEGIN, fresh, price
from billing.tests.test_coupons_in_plans import begin as begin_with_coupon
from billing.tests.test_coupons_in_plans import heard
from credits import balances
from credits.models import Grant
from ledger import checks
from ledger.money import Money
from ledger.tests.books import on

pytestmark = pytest.mark.django_db
LATER = END + timedelta(days=30)


def settled(renewing: RenewingGateway, invoice: str = "in_1", start: datetime = BEGIN, end: datetime = END) -> None:
    """Paid there, and nothing of it was charged."""
    renewing.is_paid(invoice, start, end, minor=0)
    total = Money(999, "EUR")
    renewing.invoices[invoice] = replace(renewing.invoices[invoice], total=total)


def told(renewing: RenewingGateway, found: Subscription, **changes: Any) -> Subscription:
    renewing.known = replace(renewing.known, **changes)
    write(found, "paid", found.timeline.count(), subject="invoice")
    read()
    return fresh(found)


def test_plan_begins_that_the_balance_has_paid(renewing) -> None:
    found = begin()
    settled(renewing)
    for _ in range(2):
        ours = told(renewing, found)
    assert (ours.status, ours.paid_until, balances.of(found.user).available) == ("active", END, 500)
    period = ours.paid_periods.get()
    assert (period.key, period.payment, period.amount_minor) == ("stripe:in_1", None, 0)
    assert (Payment.objects.count(), checks.faults()) == (0, {})


def test_page_is_not_given_up_whose_invoice_the_balance_has_paid(renewing, clock) -> None:
    found = begin()
    settled(renewing)
    clock.move_to(BEGIN + timedelta(hours=25))
    assert renewals.expire_due().abandoned == 0
    assert (fresh(found).status, renewing.known.state) == ("active", SubscriptionState.ACTIVE)


def test_renewal_that_the_balance_has_paid_is_found_before_the_plan_would_end(renewing, clock) -> None:
    found = paid_once(renewing)
    settled(renewing, "in_2", END, LATER)
    clock.move_to(lapsed(found))
    assert renewals.expire_due().total == 0
    assert (fresh(found).status, fresh(found).paid_until) == ("active", LATER)
    assert (renewing.known.state, Payment.objects.count()) == (SubscriptionState.ACTIVE, 1)


def test_dearer_plan_begins_whose_difference_is_too_little_to_charge(renewing) -> None:
    found = paid_once(renewing)
    GatewayPrice.objects.create(gateway="stripe", price=price("elite"), gateway_id="price_2")
    settled(renewing, "in_2", BEGIN, END)
    renewing.invoices["in_2"] = replace(renewing.invoices["in_2"], price="price_2", total=Money(33, "EUR"))
    ours = told(renewing, found)
    assert (ours.price.plan.code, ours.paid_until, Payment.objects.count()) == ("elite", END, 1)


@pytest.mark.parametrize("total", [0, -500])
def test_invoice_of_which_nothing_was_due_is_no_period(renewing, total) -> None:
    found = begin()
    settled(renewing)
    renewing.invoices["in_1"] = replace(renewing.invoices["in_1"], total=Money(total, "EUR"))
    assert (told(renewing, found).status, found.paid_periods.count()) == ("incomplete", 0)


def test_invoice_that_is_open_is_no_period(renewing) -> None:
    found = begin()
    settled(renewing)
    renewing.invoices["in_1"] = replace(renewing.invoices["in_1"], state=InvoiceState.OPEN)
    assert (told(renewing, found).status, found.paid_periods.count()) == ("incomplete", 0)


def test_invoice_that_the_balance_paid_is_a_case_when_it_is_told_after_the_end(renewing) -> None:
    found = paid_once(renewing)
    subscriptions.cancel_now(subscription=fresh(found))
    settled(renewing, "in_2", END, LATER)
    for _ in range(2):
        ours = told(renewing, found, state=SubscriptionState.CANCELLED)
    assert (ours.status, ours.paid_until) == ("cancelled", END)
    assert list(Case.objects.values_list("kind", "subscription", "facts__invoice")) == [("mismatch", found.pk, "in_2")]


def test_coupon_of_an_invoice_that_the_balance_paid_is_used(discounting) -> None:
    make_coupon()
    found = begin_with_coupon("stripe").subscription
    discounting.bills("in_1", paid=0, discount=100)
    discounting.invoices["in_1"] = replace(discounting.invoices["in_1"], total=Money(899, "EUR"))
    ours = told(discounting, found)
    assert (ours.status, state(), uses()) == ("active", [("redeemed", True)], 1)
    subscriptions.cancel_now(subscription=ours)
    assert (state(), uses(), checks.faults()) == ([("redeemed", True)], 1, {})


@pytest.mark.parametrize(
    ("total", "tax"),
    [
        (1_998, 100),  # half of it came from the balance
        (999, 200),
        (1_500, 133),  # 133.2: what is left of a cent was not taken
        (500, 200),  # the customer's debt of before was paid with it: no tax is in that
    ],
)
def test_tax_of_what_came_is_its_share_where_the_balance_has_paid_the_rest(renewing, total: int, tax: int) -> None:
    begun = begin()
    renewing.is_paid()
    figures = TaxFigures(tax=Money(200, "EUR"), reason=TaxReason.TAXED, basis_points=2_000, country="FR")
    renewing.invoices["in_1"] = replace(renewing.invoices["in_1"], total=Money(total, "EUR"), tax=figures)
    told(renewing, begun)
    payment = Payment.objects.get()
    assert (payment.amount_minor, payment.tax_minor, payment.details["tax"]["minor"]) == (999, tax, tax)
    assert (on("revenue:plans:EUR"), on("tax:EUR")) == (999 - tax, tax)
    assert checks.faults() == {}


CREDITS: dict[str, Any] = {"kind": CouponKind.CREDITS, "credits": 100}
SHARE: dict[str, Any] = {"credits": 100, "duration": CouponDuration.REPEATING, "periods": 2}


def of_the_coupon(found: Subscription) -> list[tuple[int, str, str]]:
    rows = Grant.objects.filter(purse__user=found.user, source="promotion")
    return list(rows.values_list("amount", "source", "reason"))


@pytest.mark.parametrize(("terms", "discount"), [(CREDITS, 0), (SHARE, 100)])
def test_credits_of_a_coupon_come_once_though_the_balance_pays_the_first_invoice(discounting, terms, discount) -> None:
    make_coupon(**terms)
    found = begin_with_coupon("stripe").subscription
    discounting.bills("in_1", paid=0, discount=discount)
    discounting.invoices["in_1"] = replace(discounting.invoices["in_1"], total=Money(999 - discount, "EUR"))
    for number in range(2):
        heard(discounting, found, number)
    assert (state(), balances.of(found.user).available) == ([("redeemed", True)], 600)
    discounting.bills("in_2", paid=999 - discount, discount=discount)
    discounting.known = replace(discounting.known, period_start=END, period_end=LATER)
    heard(discounting, found, 2)
    settled(discounting, "in_3", LATER, LATER + timedelta(days=30))
    heard(discounting, found, 3)
    assert of_the_coupon(found) == [(100, "promotion", "WELCOME10")]
    assert (found.paid_periods.count(), Payment.objects.count(), checks.faults()) == (3, 1, {})


def test_credits_of_a_coupon_do_not_come_again_with_a_balance_after_a_payment(discounting) -> None:
    make_coupon(**CREDITS)
    found = begin_with_coupon("stripe").subscription
    discounting.bills("in_1", paid=999, discount=0)
    heard(discounting, found)
    settled(discounting, "in_2", END, LATER)
    heard(discounting, found, 1)
    assert (found.paid_periods.count(), Payment.objects.count()) == (2, 1)
    assert of_the_coupon(found) == [(100, "promotion", "WELCOME10")]


def test_credits_of_a_coupon_come_where_the_balance_pays_for_a_plan_that_was_given_up(discounting) -> None:
    """Its use was free again, and is taken again."""
    make_coupon(**CREDITS)
    found = begin_with_coupon("stripe").subscription
    subscription_states.end(subscription_id=found.pk, status=SubscriptionStatus.EXPIRED, why="unpaid")
    assert state() == [("released", False)]
    settled(discounting)
    heard(discounting, found)
    assert (fresh(found).status, state(), uses()) == ("active", [("redeemed", True)], 1)
    assert (of_the_coupon(found), checks.faults()) == ([(100, "promotion", "WELCOME10")], {})

"""Another plan when money for the old one has gone back: of the old plan only what is still paid for it is credited."""

from typing import Any

import pytest
from django.utils import timezone

from billing import errors, plan_changes, refunds
from billing.gateways.subscribing import DisputeState
from billing.models import Case, Payment, Refund, Subscription
from billing.tests.refunding import disputed
from billing.tests.subscribers import end_of, fresh, make_plan, pay, price, subscribed
from billing.tests.test_changes_paid_ahead import PAYPAL, changed, figures, renewed, to_the_half
from credits import usage
from ledger.money import Money

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock", "on_sale")]


def payment_of(found: Subscription, number: int = 0) -> Payment:
    payment = list(found.paid_periods.order_by("id"))[number].payment
    assert payment is not None
    return payment


def give_back(found: Subscription, number: int = 0, minor: int | None = None) -> Refund:
    amount = Money(minor, "EUR") if minor else None
    return refunds.request(payment=payment_of(found, number), amount=amount, reason="Sorry.")


@pytest.mark.parametrize(("minor", "credit"), [(None, 0), (500, 499)])
def test_what_has_gone_back_of_a_period_is_not_credited(stripe, minor, credit) -> None:
    found = subscribed(stripe)
    give_back(found, minor=minor)
    assert figures(found) == (1_999, credit)


def test_refund_that_did_not_arrive_takes_nothing(paypal) -> None:
    found = subscribed(paypal)
    Refund.objects.filter(pk=give_back(found).pk).update(status="failed")
    assert figures(found) == (1_999, 999)


@pytest.mark.parametrize(("state", "credit"), [
    (DisputeState.NEEDS_RESPONSE, 0), (DisputeState.LOST, 0), (DisputeState.WON, 999),
])  # fmt: skip
def test_what_the_bank_has_taken_back_is_not_credited(paypal, state, credit) -> None:
    found = subscribed(paypal)
    disputed(payment_of(found), state)
    assert figures(found) == (1_999, credit)


@pytest.mark.parametrize("number", [0, 1])
def test_period_in_advance_and_the_one_under_way_lose_what_was_their_own(paypal, number) -> None:
    found = subscribed(paypal)
    renewed(paypal, found)
    give_back(found, number)
    assert figures(found) == (2 * 1_999, 999)


def test_what_has_gone_back_is_taken_of_the_time_that_is_left(stripe, clock, settings) -> None:
    settings.SUBSCRIPTION_PRORATION = "time"
    found = subscribed(stripe)
    give_back(found, minor=500)
    to_the_half(found, clock, end_of(found))
    assert figures(found) == (1_000, 249)


def test_what_was_spent_is_taken_of_what_is_still_paid(stripe) -> None:
    found = subscribed(stripe)
    give_back(found, minor=500)
    usage.spend(user=found.user, key="half", amount=250)
    assert figures(found) == (1_999, 249)


def test_refund_before_a_change_counts_in_that_change_and_not_in_the_next(paypal) -> None:
    make_plan("studio", {"month": 2_999})
    found = subscribed(paypal)
    give_back(found)
    changed(paypal, found, "elite", "month")
    assert payment_of(found, 1).amount_minor == 1_999
    assert figures(found, "studio") == (2_999, 1_999)


@pytest.mark.parametrize(("number", "credit"), [(0, 1_000), (1, 999)])
def test_refund_after_a_change_leaves_what_the_other_payment_paid(paypal, number, credit) -> None:
    """9.99 for Premium, and 10.00 more for Elite."""
    make_plan("studio", {"month": 2_999})
    found = subscribed(paypal)
    changed(paypal, found, "elite", "month")
    give_back(found, number)
    assert figures(found, "studio") == (2_999, credit)


def test_refund_of_a_change_is_taken_of_the_periods_in_advance_too(paypal) -> None:
    make_plan("studio", {"month": 2_999})
    found = subscribed(paypal)
    renewed(paypal, found)
    changed(paypal, found, "elite", "month")
    give_back(found, 2)
    assert figures(found, "studio") == (2 * 2_999, 2 * 999)


def test_refund_of_what_another_interval_has_taken_is_taken_of_its_period(paypal) -> None:
    make_plan("gold", {"month": 500, "year": 6_500}, catalogue="other")
    make_plan("studio", {"year": 13_000}, catalogue="other")
    found = subscribed(paypal, code="gold")
    renewed(paypal, found)
    changed(paypal, found, "gold", "year")
    give_back(found, 1)
    assert figures(found, "studio", "year") == (13_000, 6_000)


def test_change_that_was_priced_before_a_refund_gives_nothing(paypal) -> None:
    found = subscribed(paypal)
    waiting = plan_changes.change(subscription=found, price=price("elite"), wishes=PAYPAL).payment
    assert waiting is not None
    give_back(found)
    with pytest.raises(errors.AttemptLive):  # PayPal takes nothing back
        plan_changes.change(subscription=fresh(found), price=price("elite"), wishes=PAYPAL)
    pay(paypal, waiting)
    assert fresh(found).price.plan.code == "premium"
    assert list(Case.objects.filter(kind="mismatch").values_list("payment", flat=True)) == [waiting.pk]


def test_change_that_was_priced_without_money_that_did_not_arrive_is_done(paypal) -> None:
    found = subscribed(paypal)
    refund = give_back(found)
    waiting: Any = plan_changes.change(subscription=found, price=price("elite"), wishes=PAYPAL).payment
    Refund.objects.filter(pk=refund.pk).update(status="failed", ended_at=timezone.now())
    pay(paypal, waiting)
    assert (waiting.amount_minor, fresh(found).price.plan.code) == (1_999, "elite")

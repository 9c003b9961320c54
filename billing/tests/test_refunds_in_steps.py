"""Gateways that take no amount between their steps: what goes back keeps them, and who asks for another is told."""

from typing import Any

import pytest

from billing import errors, gateway_refunds, refund_sending, refunds
from billing.gateways.base import AmountRule
from billing.models import Payment, Refund
from billing.models.refunds import RefundPolicy, RefundStatus
from billing.tests import shop
from billing.tests.fakes import RefundingGateway
from billing.tests.refunding import ask_for
from credits import usage
from ledger import checks
from ledger.money import Money
from rest.tests.callers import post, service

pytestmark = pytest.mark.django_db
WHOLE = AmountRule(minimum_minor=100, step_minor=100, wire_exponent=0)


@pytest.fixture
def paid(stand_in: Any) -> Payment:
    """3000 forints for 275 credits, where only whole ones are taken."""
    gateway = stand_in(RefundingGateway("paypal", currencies={"HUF": WHOLE}))
    shop.make_price(shop.make_pack(), "HUF", 300_000)
    return shop.paid(gateway, currency="HUF")


def test_proportional_refund_is_rounded_down_to_what_the_gateway_takes(paid) -> None:
    usage.spend(user=paid.user, amount=100, key="s-1")
    assert refunds.preview(payment=paid).amount.minor == 190_900
    made = ask_for(paid)
    assert (made.amount_minor, sum(made.lines.values())) == (190_900, 174)  # 174.99 of the credits
    refund_sending.work_through()
    made.refresh_from_db()
    assert made.status == RefundStatus.SUCCEEDED
    assert checks.faults() == {}


def test_refusal_of_a_policy_offers_what_the_gateway_takes(paid) -> None:
    usage.spend(user=paid.user, amount=100, key="s-1")
    with pytest.raises(errors.CreditsSpent) as refusal:
        refunds.preview(payment=paid, policy=RefundPolicy.UNSPENT_ONLY)
    assert refusal.value.refundable == 190_900


@pytest.mark.parametrize(("minor", "nearest"), [(150, [100, 200]), (50, [100]), (299_999, [299_900, 300_000])])
def test_amount_between_the_steps_is_refused_with_those_beside_it(paid, minor: int, nearest: list[int]) -> None:
    for begins in (ask_for, lambda payment, minor: refunds.preview(payment=payment, amount=Money(minor, "HUF"))):
        with pytest.raises(errors.RefundBetweenSteps) as refusal:
            begins(paid, minor)
        assert refusal.value.nearest_amounts == nearest
    assert not Refund.objects.exists()


def test_service_is_told_the_nearest_amounts(paid) -> None:
    body = {"payment": str(paid.pk), "reason": "not delivered", "amount": 150}
    answer = post("refunds", service("request_refund"), body)
    assert (answer.status_code, answer.json()["code"]) == (422, "refund_between_steps")
    assert (answer.json()["nearest_amounts"], answer.json()["currency"]) == ([100, 200], "HUF")


def test_what_is_left_of_an_odd_amount_goes_back_as_far_as_the_gateway_takes_it(paid) -> None:
    """Somebody gave 0.50 back in its dashboard, which our rules say cannot be."""
    made = gateway_refunds.book(attempt=paid.attempts.get(), amount=Money(50, "HUF"), ids={"refund": "re_dash"})
    assert made.amount_minor == 50
    assert ask_for(paid).amount_minor == 299_900
    with pytest.raises(errors.RefundBetweenSteps) as refusal:
        ask_for(paid)
    assert refusal.value.nearest_amounts == []


def test_people_who_send_it_by_hand_keep_no_steps(stand_in) -> None:
    gateway = stand_in(RefundingGateway("cinetpay", currencies={"HUF": WHOLE}, refund=False))
    shop.make_price(shop.make_pack(), "HUF", 300_000)
    payment = shop.paid(gateway, currency="HUF")
    assert ask_for(payment, 150).status == RefundStatus.MANUAL

"""A refund that waits to be sent while a dispute about the same money is heard of: the bank is to give it once."""

from datetime import timedelta

import pytest
from django.utils import timezone

from billing import refund_sending
from billing.gateways.errors import Unavailable
from billing.gateways.subscribing import DisputeState
from billing.models import Case, Refund
from billing.models.refunds import RefundStatus
from billing.tests import shop
from billing.tests.fakes import RefundingGateway
from billing.tests.refunding import ask_for, disputed
from billing.tests.test_sale_payments import rules, seller, sold
from ledger import checks
from ledger.tests.books import on
from wallets.tests import people
from wallets.tests.people import parts

__all__ = ["rules"]
pytestmark = pytest.mark.django_db
OPEN, WON, LOST = DisputeState.NEEDS_RESPONSE, DisputeState.WON, DisputeState.LOST


def sweep(**later: float) -> str:
    refund_sending.work_through(timezone.now() + timedelta(**later or {"days": 1}))
    return Refund.objects.get().status


def sent(gateway: RefundingGateway) -> int:
    return sum(each.startswith("refund ") for each in gateway.asked)


def test_refund_is_not_sent_while_a_dispute_is_open_and_is_when_it_is_won(stripe) -> None:
    payment = shop.paid(stripe)
    stripe.refuses_refund = Unavailable("down", gateway="stripe")
    ask_for(payment)
    assert (sweep(minutes=1), sent(stripe)) == (RefundStatus.REQUESTED, 1)
    stripe.refuses_refund = None
    disputed(payment, OPEN)
    assert (sweep(), sent(stripe)) == (RefundStatus.REQUESTED, 1)
    assert Refund.objects.filter(next_try_at__gt=timezone.now()).exists()
    disputed(payment, WON)
    assert (sweep(minutes=1), sent(stripe)) == (RefundStatus.SUCCEEDED, 2)
    assert (shop.credits_of(payment.user), on("gateway:stripe:EUR")) == (0, 0)
    assert checks.faults() == {}


@pytest.mark.parametrize("first", [OPEN, LOST])
def test_refund_is_not_sent_after_the_dispute_was_lost(stripe, first: DisputeState) -> None:
    payment = shop.paid(stripe)
    ask_for(payment)
    for state in (first, LOST):
        disputed(payment, state)
    assert (sweep(), sent(stripe)) == (RefundStatus.CANCELLED, 0)
    assert (shop.credits_of(payment.user), on("loss:EUR"), on("gateway:stripe:EUR")) == (0, -999, 0)
    assert (sweep(), sent(stripe)) == (RefundStatus.CANCELLED, 0)
    assert checks.faults() == {}


def test_refund_of_a_sale_that_is_not_sent_leaves_it_to_the_dispute(stripe) -> None:
    payment = sold(stripe)
    ask_for(payment)
    disputed(payment, LOST)
    assert (sweep(), sent(stripe)) == (RefundStatus.CANCELLED, 0)
    assert people.everything() == {}
    assert checks.faults() == {}


def test_refund_of_a_sale_is_sent_when_the_dispute_is_won(stripe) -> None:
    payment = sold(stripe)
    ask_for(payment)
    disputed(payment, OPEN)
    disputed(payment, WON)
    assert sweep(minutes=1) == RefundStatus.SUCCEEDED
    assert (parts(seller(payment))["pending"], on("loss:EUR")) == (0, 0)
    assert checks.faults() == {}


def test_nobody_is_asked_to_look_at_what_waits_for_a_dispute(stripe, settings) -> None:
    settings.GATEWAY_ASK_UNTIL_SECONDS = 0
    payment = shop.paid(stripe)
    ask_for(payment)
    disputed(payment, OPEN)
    sweep()
    assert list(Case.objects.values_list("kind", flat=True)) == ["dispute"]

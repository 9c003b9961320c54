"""Payments that somebody takes back before they are paid, or asks about without waiting for a letter."""

from datetime import timedelta

import pytest
from django.utils import timezone

from billing import asking, errors
from billing.gateways import registry
from billing.gateways.base import PaymentState
from billing.gateways.errors import Declined
from billing.models import Payment
from billing.models.payments import PaymentStatus
from billing.tests import shop
from billing.tests.test_payments import states

pytestmark = pytest.mark.django_db


def test_cancelled_payment_is_cancelled_at_its_gateway(stripe) -> None:
    payment = asking.cancel(shop.buy())
    assert payment.status == PaymentStatus.CANCELLED
    assert stripe.sold[stripe.only].state is PaymentState.CANCELLED


def test_payment_that_no_gateway_heard_of_is_cancelled_here_alone(stripe) -> None:
    """The process died before it brought it to one."""
    payment = shop.buy()
    payment.attempts.all().delete()
    stripe.asked.clear()
    assert asking.cancel(payment).status == PaymentStatus.CANCELLED
    assert stripe.asked == []


def test_payment_that_was_paid_meanwhile_is_not_cancelled(stripe) -> None:
    payment = shop.buy()
    stripe.pays()
    with pytest.raises(errors.PaymentOver):
        asking.cancel(payment)
    assert Payment.objects.get().status == PaymentStatus.SUCCEEDED
    assert shop.credits_of(payment.user) == 275


def test_gateway_that_knows_no_way_back_cannot_be_cancelled(gateways) -> None:
    payment = shop.buy(gateways=["cinetpay"], currency="XOF")
    with pytest.raises(errors.CannotCancel):
        asking.cancel(payment)
    assert Payment.objects.get().status == PaymentStatus.PENDING


@pytest.mark.parametrize("act", [asking.cancel, asking.refresh])
def test_silent_gateway_changes_nothing(stripe, act) -> None:
    payment = shop.buy()
    stripe.silent = True
    with pytest.raises(errors.GatewaySilent):
        act(payment)
    assert Payment.objects.get().status == PaymentStatus.PENDING


def test_payment_that_can_still_be_paid_is_not_said_to_be_cancelled(stripe, monkeypatch) -> None:
    payment = shop.buy()
    monkeypatch.setattr(stripe, "cancel_checkout", stripe.fetch_payment)
    with pytest.raises(errors.CannotCancel):
        asking.cancel(payment)
    assert Payment.objects.get().status == PaymentStatus.PENDING
    assert states(payment) == [("stripe", "requires_action")]


def test_refusal_to_cancel_that_nobody_explains_leaves_it_open(stripe, monkeypatch) -> None:
    payment = shop.buy()

    def refuse_and_fall_silent(known):
        stripe.silent = True
        raise Declined("no", gateway="stripe")

    monkeypatch.setattr(stripe, "cancel_checkout", refuse_and_fall_silent)
    with pytest.raises(errors.CannotCancel):
        asking.cancel(payment)
    assert Payment.objects.get().status == PaymentStatus.PENDING


def test_gateway_that_is_ours_no_more_does_not_stop_the_sweep(stripe, monkeypatch) -> None:
    gone, other = shop.buy(gateways=["cinetpay"], currency="XOF"), shop.buy()
    now = timezone.now()
    gone.attempts.update(next_ask_at=now - timedelta(minutes=2))
    other.attempts.update(next_ask_at=now - timedelta(minutes=1))
    stripe.pays()
    monkeypatch.delitem(registry.BUILDERS, "cinetpay")
    monkeypatch.setattr(registry, "NAMES", ("stripe", "paypal"))
    registry.forget()
    assert asking.ask_due(now) == 2
    assert [Payment.objects.get(pk=each.pk).status for each in (gone, other)] == ["pending", "succeeded"]


def test_refresh_of_what_is_paid_asks_nobody(stripe) -> None:
    payment = shop.paid(stripe)
    stripe.asked.clear()
    assert asking.refresh(payment).status == PaymentStatus.SUCCEEDED
    assert stripe.asked == []

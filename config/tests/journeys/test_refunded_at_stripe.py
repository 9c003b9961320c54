"""Somebody gives money back in Stripe's dashboard, and the only letter of it that we hear is the charge's."""

from typing import Any

import pytest

from billing import inbox, refund_sending, refunds, tasks
from billing.gateways import registry
from billing.gateways.base import Hint, Trust
from billing.gateways.subjects import Subject
from billing.models import GatewayLetter, Payment, Refund
from config.tests.journeys.shop import Shop
from config.tests.journeys.subscriber import visit
from ledger import checks
from ledger.tests.books import on

BOUNCES = "4000000000005126"  # its bank sends what is refunded back


@pytest.fixture
def payment(shop: Shop) -> Payment:
    shop.play(shop.checkout("stripe", "EUR").json())
    shop.hear("stripe")
    return Payment.objects.get()


def give_back(payment: Payment, minor: int) -> None:
    adapter: Any = registry.get("stripe")
    intent = payment.attempts.get().gateway_ids["payment_intent"]
    adapter.api.refunds.create({"payment_intent": intent, "amount": minor})


def hear_of_the_charge_alone(shop: Shop) -> None:
    shop.sandbox.letters("stripe")
    GatewayLetter.objects.filter(subject="refund").delete()
    tasks.drain_inbox()


def test_refund_is_booked_by_the_letter_of_the_charge(shop: Shop, payment: Payment) -> None:
    give_back(payment, 999)
    hear_of_the_charge_alone(shop)
    refund = Refund.objects.get()
    assert (refund.status, refund.origin, refund.amount_minor) == ("succeeded", "gateway", 999)
    assert shop.balance() == 0
    assert on("revenue:packs:EUR") == 0
    assert checks.faults() == {}


def test_each_of_several_refunds_is_booked_once_beside_letters_of_its_own(shop: Shop, payment: Payment) -> None:
    give_back(payment, 100)
    hear_of_the_charge_alone(shop)
    give_back(payment, 200)
    shop.hear("stripe")  # all of its letters
    give_back(payment, 300)
    hear_of_the_charge_alone(shop)
    assert sorted(Refund.objects.values_list("amount_minor", "status")) == [
        (100, "succeeded"), (200, "succeeded"), (300, "succeeded"),
    ]  # fmt: skip
    assert on("revenue:packs:EUR") == 999 - 600
    assert checks.faults() == {}


def test_refund_of_ours_is_not_booked_again(shop: Shop, payment: Payment) -> None:
    refunds.request(payment=payment, reason="not delivered")
    refund_sending.work_through()
    hear_of_the_charge_alone(shop)
    assert Refund.objects.get().status == "succeeded"
    assert on("revenue:packs:EUR") == 0


def test_refund_of_ours_whose_reply_was_lost_is_known_by_our_reference(shop: Shop, payment: Payment) -> None:
    refunds.request(payment=payment, reason="not delivered")
    shop.sandbox.turn("stripe", drop_after=1.0)
    refund_sending.work_through()
    shop.sandbox.turn("stripe", drop_after=0.0)
    assert Refund.objects.get().status == "unknown"
    hear_of_the_charge_alone(shop)
    assert Refund.objects.get().status == "succeeded"
    assert checks.faults() == {}


def test_refund_that_bounced_before_we_heard_of_it_took_nothing(shop: Shop, settings: Any) -> None:
    settings.CHECKOUT_SUCCESS_URL = f"{settings.BASE_URL}/"  # where the browser is led back to, and finds a page
    begun = shop.checkout("stripe", "EUR").json()
    visit(begun["next_action"]["url"], number=BOUNCES, name="Ada", email="ada@shop.example")
    shop.hear("stripe")
    give_back(Payment.objects.get(), 999)
    shop.sandbox.advance(2 * 86_400)
    hear_of_the_charge_alone(shop)
    assert (Refund.objects.count(), shop.balance()) == (0, 275)


def test_authorisation_that_is_let_go_is_no_refund(shop: Shop) -> None:
    """Stripe calls the charge refunded then, though nothing was ever paid."""
    shop.checkout("stripe", "EUR")
    told = Hint(
        event_id="evt_1",
        kind="charge.refunded",
        subject=Subject.MONEY_BACK,
        trust=Trust.SIGNED,
        reference=Payment.objects.get().attempts.get().reference,
    )
    inbox.store("stripe", [told])
    tasks.drain_inbox()
    assert (GatewayLetter.objects.get(event_id="evt_1").state, Refund.objects.count()) == ("done", 0)

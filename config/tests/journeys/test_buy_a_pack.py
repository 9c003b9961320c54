"""A buyer pays for a pack at each gateway, or does not; seen over HTTP, with the gateways in the sandbox."""

from datetime import timedelta

import pytest
from django.utils import timezone

from billing import refund_sending, tasks
from config.tests.journeys.shop import Shop
from ledger import checks
from ledger.tests.books import on
from rest.tests.callers import post, service

GATEWAYS = [("stripe", "EUR"), ("paypal", "EUR"), ("cinetpay", "XOF"), ("mtn_momo", "XAF"), ("orange_money", "XOF")]
NOBODY = "http://127.0.0.1:1"  # nothing listens there: the connection is refused
every = pytest.mark.parametrize(("gateway", "currency"), GATEWAYS)


@every
def test_pack_is_bought(shop: Shop, gateway, currency) -> None:
    begun = shop.checkout(gateway, currency)
    assert begun.status_code == 201, begun.content
    shop.play(begun.json())
    shop.hear(gateway)
    payment = shop.get(f"payments/{begun.json()['payment']['id']}")
    assert (payment["status"], payment["gateway"]) == ("succeeded", gateway)
    assert shop.balance() == 275
    grants = [(each["source"], each["amount"]) for each in shop.get("credits/balance")["grants"]]
    assert sorted(grants) == [("bonus", 25), ("pack", 250)]
    [ours] = shop.sandbox.books(gateway)["payments"]
    assert (ours["amount_minor"], ours["state"]) == (payment["amount"], "paid")
    assert checks.faults() == {}


@every
def test_refused_payment_brings_nothing(shop: Shop, gateway, currency) -> None:
    begun = shop.checkout(gateway, currency).json()
    shop.play(begun, "decline")
    shop.hear(gateway)
    shop.post(f"payments/{begun['payment']['id']}/refresh")
    assert shop.get(f"payments/{begun['payment']['id']}/status")["status"] != "succeeded"
    assert shop.balance() == 0
    assert checks.faults() == {}


@every
def test_letter_that_never_came_is_made_up_for_by_asking(shop: Shop, gateway, currency) -> None:
    shop.sandbox.turn(gateway, notify={"drop": 1.0})
    begun = shop.checkout(gateway, currency).json()
    shop.play(begun)
    assert shop.get(f"payments/{begun['payment']['id']}")["status"] == "pending"
    answer = shop.post(f"payments/{begun['payment']['id']}/refresh")
    assert (answer.status_code, answer.json()["status"]) == (200, "succeeded")
    assert shop.balance() == 275


def test_reply_that_was_lost_leads_to_one_payment(shop: Shop) -> None:
    gateway, currency = "stripe", "EUR"
    shop.sandbox.turn(gateway, drop_after=1.0)
    begun = shop.checkout(gateway, currency).json()
    assert (begun["payment"]["status"], begun["next_action"]) == ("pending", {"type": "none"})
    shop.sandbox.turn(gateway, drop_after=0.0)
    path = f"payments/{begun['payment']['id']}"
    assert shop.post(f"{path}/refresh").json()["attempts"][0]["state"] in ("requires_action", "pending")
    shop.play(shop.get(f"{path}/status"))
    shop.hear(gateway)
    assert shop.get(path)["status"] == "succeeded"
    assert shop.balance() == 275
    assert [each["state"] for each in shop.sandbox.books(gateway)["payments"]] == ["paid"]
    assert checks.faults() == {}


def test_gateway_that_is_away_is_followed_by_the_next(shop: Shop, settings) -> None:
    settings.STRIPE_API_BASE = NOBODY
    begun = shop.checkout("stripe", "EUR", gateways=["stripe", "paypal"]).json()
    assert [(each["gateway"], each["state"]) for each in begun["payment"]["attempts"]] == [
        ("stripe", "failed"),
        ("paypal", "requires_action"),
    ]
    shop.play(begun)
    shop.hear("paypal")
    assert shop.balance() == 275
    assert checks.faults() == {}


def test_every_gateway_away_is_said_and_charges_nothing(shop: Shop, settings) -> None:
    settings.STRIPE_API_BASE = settings.PAYPAL_API_BASE = NOBODY
    answer = shop.checkout("stripe", "EUR", gateways=["stripe", "paypal"])
    assert (answer.status_code, answer.json()["code"]) == (503, "gateways_down")
    assert shop.sandbox.books("stripe")["payments"] == []
    assert shop.balance() == 0


@pytest.mark.parametrize(("gateway", "currency"), [("stripe", "EUR"), ("paypal", "EUR"), ("mtn_momo", "XAF")])
def test_bought_pack_is_given_back(shop: Shop, gateway, currency) -> None:
    begun = shop.checkout(gateway, currency).json()
    shop.play(begun)
    shop.hear(gateway)
    server = service("request_refund")
    asked = post("refunds", server, {"payment": begun["payment"]["id"], "reason": "not delivered"})
    assert (asked.status_code, asked.json()["status"], shop.balance()) == (201, "requested", 0)
    tasks.work_through_refunds()
    shop.hear(gateway)
    shop.sandbox.advance(3_600)
    refund_sending.work_through(timezone.now() + timedelta(days=1))
    told = shop.get(f"refunds/{asked.json()['id']}")
    assert (told["status"], told["credits_taken"]) == ("succeeded", 275)
    [refund] = shop.sandbox.books(gateway)["refunds"]
    assert refund["amount_minor"] == begun["payment"]["amount"]
    assert on(f"gateway:{gateway}:{currency}") == -_kept(gateway, currency)
    assert shop.balance() == 0
    assert checks.faults() == {}


def _kept(gateway: str, currency: str) -> int:
    """What the gateway keeps as its fee: our cost, whatever goes back."""
    return on(f"fees:{gateway}:{currency}")

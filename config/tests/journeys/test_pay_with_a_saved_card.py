"""A pack is paid with a saved card while its owner is there; seen over HTTP, with Stripe in the sandbox."""

from collections import Counter
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest
import time_machine
from django.utils import timezone

from billing import tasks
from billing.models import Attempt, Payment, SavedMethod
from config.tests.journeys.shop import Shop
from config.tests.journeys.subscriber import FAILING, GOOD, visit
from events.models import Event
from ledger import checks
from ledger.tests.races import run_together

pytestmark = pytest.mark.usefixtures("at_stripe")
ASKS_ALWAYS = "4000002760003184"


def kept(shop: Shop, number: str = GOOD) -> int:
    """Given on Stripe's page; a bank that asks there is told what it wants to hear."""
    begun = shop.post("payment-methods", {"currency": "EUR"}, **{"idempotency-key": f"card-{number}"}).json()
    page = begun["next_action"]["url"]
    visit(page, number=number, name="Ada", email="ada@shop.example")
    if number == ASKS_ALWAYS:
        visit(page.replace("/pages/checkout/", "/pages/challenge/"), act="pay")
    shop.hear("stripe")
    [told] = shop.get("payment-methods")["results"]
    return int(told["id"])


def buy(shop: Shop, card: int, key: str = "key-1") -> Any:
    wish = {"pack": "medium", "currency": "EUR", "payment_method": card}
    return shop.post("checkouts", wish, **{"idempotency-key": key})


def charges(shop: Shop) -> list[dict[str, Any]]:
    asked = [each for each in shop.sandbox.requests("stripe") if each["method"] == "POST"]
    return [each for each in asked if each["path"] == "/v1/payment_intents"]


def paid(shop: Shop) -> int:
    return len([each for each in shop.sandbox.books("stripe")["payments"] if each["state"] == "paid"])


def test_card_is_charged_at_once_and_its_letter_changes_nothing(shop: Shop) -> None:
    answer = buy(shop, kept(shop))
    assert (answer.status_code, answer.json()["payment"]["status"], shop.balance()) == (201, "succeeded", 275)
    [asked] = charges(shop)
    sent = {name: values[0] for name, values in parse_qs(asked["body"]).items()}
    assert ("off_session" in sent, sent["return_url"].endswith(f"?payment={Payment.objects.get().pk}")) == (False, True)
    again = buy(shop, SavedMethod.objects.get().pk)
    assert (again.content, again["Idempotency-Replayed"]) == (answer.content, "true")
    shop.hear("stripe")
    assert (len(charges(shop)), paid(shop), shop.balance()) == (1, 1, 275)
    assert checks.faults() == {}


def test_bank_that_asks_has_a_page_of_its_own_and_the_payment_waits_for_it(shop: Shop) -> None:
    told = buy(shop, kept(shop, ASKS_ALWAYS)).json()
    assert (told["payment"]["status"], told["next_action"]["type"], shop.balance()) == ("pending", "redirect", 0)
    visit(told["next_action"]["url"], act="pay")
    shop.hear("stripe")
    assert (Payment.objects.get().status, shop.balance(), paid(shop)) == ("succeeded", 275, 1)
    assert checks.faults() == {}


def test_buyer_who_does_not_convince_their_bank_has_not_paid(shop: Shop) -> None:
    card = kept(shop, ASKS_ALWAYS)
    visit(buy(shop, card).json()["next_action"]["url"], act="fail")
    shop.hear("stripe")
    assert (Payment.objects.get().status, shop.balance(), paid(shop)) == ("failed", 0, 0)
    assert Event.objects.get(type="payment.failed").data["reason"] == "authentication_required"


def test_page_of_the_bank_that_nobody_opens_ends_with_its_time(shop: Shop) -> None:
    url = buy(shop, kept(shop, ASKS_ALWAYS)).json()["next_action"]["url"]
    with time_machine.travel(timezone.now() + timedelta(days=2)):
        tasks.expire_checkouts()
    assert Payment.objects.get().status == "expired"
    visit(url, act="pay")
    shop.hear("stripe")
    assert (paid(shop), shop.balance()) == (0, 0)


def test_declined_card_is_said_so_and_another_way_is_open(shop: Shop) -> None:
    card = kept(shop, FAILING)
    answer = buy(shop, card)
    assert (answer.status_code, answer.json()["code"], answer.json()["reason"]) == (
        402,
        "method_refused",
        "payer_declined",
    )
    shop.hear("stripe")
    assert (Payment.objects.get().status, Event.objects.filter(type="payment.failed").count()) == ("failed", 1)
    assert buy(shop, card).json()["payment"]["status"] == "failed"  # the same key is the same payment
    assert len(charges(shop)) == 1
    shop.play(shop.checkout("stripe", "EUR", "key-2").json())
    shop.hear("stripe")
    assert shop.balance() == 275
    assert checks.faults() == {}


def test_lost_answer_is_found_by_the_sweep_and_never_charged_again(shop: Shop) -> None:
    card = kept(shop)
    shop.sandbox.turn("stripe", drop_after=1.0, notify={"drop": 1.0})
    told = buy(shop, card).json()
    assert (told["payment"]["status"], told["next_action"]) == ("pending", {"type": "none"})
    assert buy(shop, card).json() == told
    assert buy(shop, card, "key-2").json()["code"] == "attempt_live"
    shop.sandbox.turn("stripe", drop_after=0.0)
    Attempt.objects.update(next_ask_at=timezone.now())
    tasks.ask_gateways()
    assert (shop.get(f"payments/{told['payment']['id']}")["status"], shop.balance()) == ("succeeded", 275)
    assert (len(charges(shop)), paid(shop)) == (1, 1)
    assert checks.faults() == {}


def test_two_at_once_with_one_key_are_charged_once(shop: Shop) -> None:
    card = kept(shop)
    codes = Counter(answer.status_code for answer in run_together(2, lambda: buy(shop, card)))
    assert codes in (Counter({201: 1, 409: 1}), Counter({201: 2}))  # the second may come after the first
    assert buy(shop, card).json()["payment"]["status"] == "succeeded"
    shop.hear("stripe")
    assert (len(charges(shop)), paid(shop), shop.balance(), Payment.objects.count()) == (1, 1, 275, 1)
    assert checks.faults() == {}

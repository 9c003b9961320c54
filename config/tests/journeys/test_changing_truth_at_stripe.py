"""Stripe's own letters, signed and with all they bear, while what they tell of changes; none comes by itself."""

import hashlib
import hmac
import random
import time
import urllib.request
from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from billing import inbox, tasks
from billing.models import GatewayLetter, Payment
from config.tests.journeys.subscriber import Subscriber
from credits import calendar
from credits.models import Grant
from ledger import checks

OURS = {"active": "active", "past_due": "past_due", "canceled": "cancelled"}


class Bag:
    """What Stripe has written, and the postman has not brought yet."""

    def __init__(self, ada: Subscriber, chance: random.Random) -> None:
        self.ada, self.chance = ada, chance
        self.letters: list[dict[str, Any]] = []
        self.brought: list[dict[str, Any]] = []
        self.door = Client()

    def fill(self) -> None:
        known = {each["id"] for each in self.letters + self.brought}
        self.letters += [each for each in ask("GET", "events?limit=100")["data"] if each["id"] not in known]
        self.chance.shuffle(self.letters)

    def bring(self, count: int) -> None:
        """Each is read at once, some come twice; what is about the plan itself has us agree with Stripe."""
        for _ in range(count):
            letter = self.letters.pop()
            self.brought.append(letter)
            for _ in range(self.chance.choice([1, 2])):
                self.hand_in(letter)
            tasks.drain_inbox()
            if is_of_the_plan(letter):
                assert self.ours() == self.theirs(), letter["type"]

    def hand_in(self, letter: dict[str, Any]) -> None:
        body, moment = orjson.dumps(letter), int(time.time())
        secret = settings.STRIPE_WEBHOOK_SECRETS[0].encode()
        signed = hmac.new(secret, b"%d." % moment + body, hashlib.sha256).hexdigest()
        headers = {"stripe-signature": f"t={moment},v1={signed}"}
        answer = self.door.post("/webhooks/stripe", body, content_type="application/json", headers=headers)
        assert answer.status_code == 200

    def ours(self) -> tuple[str, bool]:
        seen = self.ada.seen
        return seen["status"], seen["cancel_at_period_end"]

    def theirs(self) -> tuple[str, bool]:
        said = ask("GET", f"subscriptions/{self.ada.ours.gateway_id}")
        return OURS[said["status"]], said["cancel_at_period_end"]


def ask(method: str, path: str, body: bytes | None = None) -> Any:
    """As somebody does who works at Stripe's own dashboard."""
    key = {"Authorization": f"Bearer {settings.STRIPE_SECRET_KEY}"}
    asked = urllib.request.Request(f"{settings.STRIPE_API_BASE}/v1/{path}", data=body, method=method, headers=key)
    with urllib.request.urlopen(asked, timeout=20) as answer:
        return orjson.loads(answer.read())


def is_of_the_plan(letter: dict[str, Any]) -> bool:
    return str(letter["type"]).startswith("customer.subscription.")


@pytest.mark.parametrize("seed", range(2))
def test_letters_of_stripe_in_any_order_while_the_truth_changes(ada: Subscriber, seed: int) -> None:
    """Half of what is written by then comes after each change; the rest when all is over, and then the plan's again."""
    ada.shop.sandbox.turn("stripe", notify={"drop": 1.0})
    bag = Bag(ada, random.Random(seed))  # noqa: S311 - the same orders in every run

    def changed() -> None:
        bag.fill()
        bag.bring(len(bag.letters) // 2)

    ada.shop.play(ada.subscribe())
    changed()
    [plan] = ask("GET", "subscriptions?limit=2")["data"]
    place = f"subscriptions/{plan['id']}"
    ask("POST", place, b"cancel_at_period_end=true")
    changed()
    ask("POST", place, b"cancel_at_period_end=false")
    card = ask("POST", "payment_methods/pm_card_chargeCustomerFail/attach", f"customer={plan['customer']}".encode())
    ask("POST", place, f"default_payment_method={card['id']}".encode())
    changed()
    ada.clock.shift(timedelta(days=32))
    ada.shop.sandbox.advance(timedelta(days=32).total_seconds())
    changed()
    ask("DELETE", place)
    bag.fill()
    bag.bring(len(bag.letters))
    for letter in filter(is_of_the_plan, list(bag.brought)):
        bag.hand_in(letter | {"id": f"{letter['id']}again"})
    for days in range(3):
        inbox.drain(timezone.now() + timedelta(days=days))
    calendar.grant_due(at=timezone.now())
    assert {(each["type"], each["data"]["object"]["status"]) for each in filter(is_of_the_plan, bag.brought)} == {
        ("customer.subscription.created", "incomplete"),
        ("customer.subscription.updated", "active"),
        ("customer.subscription.updated", "past_due"),
        ("customer.subscription.deleted", "canceled"),
    }
    assert (bag.ours(), ada.seen["end_reason"]) == (("cancelled", False), "at_gateway")
    assert (Payment.objects.count(), ada.shop.balance(), Grant.objects.count()) == (1, 5 * 500, 5)
    assert not GatewayLetter.objects.exclude(state__in=["done", "ignored"]).exists()
    assert checks.faults() == {}

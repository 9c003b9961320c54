"""Buying over HTTP, with a web server, a stream server, a worker and the sandbox in processes of their own."""

import contextlib
import hashlib
import hmac
import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import redis
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone

from billing import inbox, tasks
from billing.models import Attempt, GatewayLetter, Payment
from billing.tests.subscribers import make_plan
from config.tests.journeys.shop import WRITES_TO_ONE_ADDRESS, make_pack, sandbox_environment
from config.tests.processes import WORKER, free_port, running
from config.tests.streams import LONG, SentEvents, call, database_url, stream, token_of, web
from credits.models import Grant, GrantRule
from events.models import Event, Message
from events.tasks import dispatch
from ledger import checks
from sandbox.testing import Sandbox

ANSWERS_THEN_LOSES = 0  # the seed of a dial by which the first of two replies comes through and the second is lost


@dataclass(frozen=True, kw_only=True)
class House:
    """The ports of the processes, and one buyer per test."""

    web: int
    stream: int
    sandbox: Sandbox
    buyer: str

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        status, told = call(self.web, method, path, token_of(self.buyer), body, **headers)
        assert status < 300, told
        return told

    def checkout(self, *gateways: str, currency: str) -> Any:
        wish = {"pack": "medium", "currency": currency, "gateways": gateways, "phone": "+237670000001"}
        return self.call("POST", "checkouts", wish, Idempotency_Key=str(uuid4()))

    def events(self) -> SentEvents:
        return SentEvents(self.stream, token_of(self.buyer))

    def status(self, begun: Any) -> str:
        return str(self.call("GET", f"payments/{begun['payment']['id']}")["status"])

    def balance(self) -> int:
        return int(self.call("GET", "credits/balance")["available"])


@pytest.fixture(scope="module")
def transactional_db(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """In the place of the usual one: emptied once, behind all, since the stream remembers how far it has read."""
    with django_db_blocker.unblock():
        make_pack()
        yield
        call_command("flush", verbosity=0, interactive=False, reset_sequences=False)
        connection.close()


@pytest.fixture(scope="module")
def processes(
    transactional_db: None, sandbox_process: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[int]]:
    """One set of them for the whole file: they take longer to start than a purchase takes."""
    folder, port = tmp_path_factory.mktemp("processes"), free_port()
    knows = sandbox_environment(sandbox_process) | {"BASE_URL": f"http://127.0.0.1:{port}"}
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(2) as pool:
        stack.enter_context(running(WORKER, folder / "worker.log", DATABASE_URL=database_url(), **knows))
        servers = [web(folder, port=port, **knows), stream(folder, **knows)]
        yield list(pool.map(stack.enter_context, servers))
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        client.delete(*client.keys(settings.REDIS_PREFIX + "*"))


@pytest.fixture(autouse=True)
def own_redis_keys() -> None:
    """In the place of the usual one: its keys are also the queues on which the worker of this file listens."""


@pytest.fixture
def house(processes: list[int], transactional_db: None, sandbox: Sandbox) -> House:
    web_port, stream_port = processes
    for gateway in WRITES_TO_ONE_ADDRESS:
        sandbox.configure(gateway, webhook_url=f"http://127.0.0.1:{web_port}/webhooks/{gateway}")
    return House(web=web_port, stream=stream_port, sandbox=sandbox, buyer=f"buyer-{uuid4()}")


def is_delivered_once(house: House, begun: Any) -> None:
    assert (house.status(begun), house.balance()) == ("succeeded", 275)
    grants = Grant.objects.of(User.objects.get(username=house.buyer))
    assert sorted(grants.values_list("source", "amount")) == [("bonus", 25), ("pack", 250)]
    assert checks.faults() == {}


def charged(house: House, gateway: str) -> list[tuple[int, str]]:
    return [(each["amount_minor"], each["state"]) for each in house.sandbox.books(gateway)["payments"]]


@pytest.mark.parametrize(("gateway", "currency", "minor"), [
    ("stripe", "EUR", 999),
    ("paypal", "EUR", 999),
    ("cinetpay", "XOF", 6_500),
    ("mtn_momo", "XAF", 6_500),
    ("orange_money", "XOF", 6_500),
])  # fmt: skip
def test_pack_is_bought_and_the_stream_tells_of_it(house: House, gateway: str, currency: str, minor: int) -> None:
    with house.events() as events:
        begun = house.checkout(gateway, currency=currency)
        house.sandbox.play(begun["next_action"])
        heard = events.until("credits.balance")
    # It also tells by their old names what older clients wait for.
    told = [each for each in heard if "_" not in each["type"] and each["type"] != "stream.ready"]
    assert [each["type"] for each in told] == [
        "payment.succeeded",
        "credits.granted",
        "credits.granted",
        "credits.balance",
    ]
    assert told[0]["data"]["payment"] == begun["payment"]["id"]
    assert [each["data"]["amount"] for each in told[1:3]] == [250, 25]
    assert charged(house, gateway) == [(minor, "paid")]
    is_delivered_once(house, begun)


def test_first_credits_of_a_plan_come_without_the_sweep(house: House) -> None:
    """No beat runs here: what the worker grants it was woken for."""
    GrantRule.objects.create(code="weekly", catalogue="companions", amount=500, every="week", catch_up="all")
    make_plan("premium", {"month": 999}, grant_rules=["weekly"])
    wish = {"plan": "premium", "currency": "EUR", "gateways": ["paypal"]}
    begun = house.call("POST", "subscription", wish, Idempotency_Key=str(uuid4()))
    house.sandbox.play(begun["next_action"])
    wait_until(lambda: house.balance() == 500)
    assert checks.faults() == {}


def test_card_that_wants_to_know_who_is_there_pays_after_it_was_told(house: House) -> None:
    with house.events() as events:
        begun = house.checkout("stripe", currency="EUR")
        house.sandbox.play(begun["next_action"], "challenge")
        events.until("payment.succeeded")
    is_delivered_once(house, begun)


def test_refused_prompt_ends_the_payment_and_brings_nothing(house: House) -> None:
    begun = house.checkout("mtn_momo", currency="XAF")
    house.sandbox.play(begun["next_action"], "decline")
    wait_until(lambda: house.status(begun) != "pending")
    assert (house.status(begun), house.balance()) == ("cancelled", 0)
    assert [state for _, state in charged(house, "mtn_momo")] == ["declined"]
    assert checks.faults() == {}


def test_abandoned_page_is_closed_by_the_worker(house: House) -> None:
    begun = house.checkout("stripe", currency="EUR")
    house.sandbox.play(begun["next_action"], "abandon")
    Payment.objects.filter(pk=begun["payment"]["id"]).update(expires_at=timezone.now() - timedelta(seconds=1))
    tasks.expire_checkouts.delay()
    wait_until(lambda: house.status(begun) == "expired")
    assert [state for _, state in charged(house, "stripe")] in ([], ["expired"], ["cancelled"])
    assert house.balance() == 0
    assert checks.faults() == {}


def test_reply_that_is_lost_after_the_capture_is_one_charge_and_one_delivery(house: House) -> None:
    house.sandbox.turn("paypal", notify={"drop": 1.0})
    begun = house.checkout("paypal", currency="EUR")
    house.sandbox.play(begun["next_action"])
    house.sandbox.turn("paypal", seed=ANSWERS_THEN_LOSES, drop_after=0.5)
    refresh = f"payments/{begun['payment']['id']}/refresh"
    status, told = call(house.web, "POST", refresh, token_of(house.buyer), {})
    assert (status, told["code"]) == (503, "gateway_unsure")
    [lost] = [each for each in house.sandbox.requests("paypal") if each["path"].endswith("/capture")]
    assert (lost["acted_with_status"], lost["dial"]) == (201, "drop_after")
    house.sandbox.turn("paypal", drop_after=0.0)
    with house.events() as events:
        Attempt.objects.filter(payment=begun["payment"]["id"]).update(next_ask_at=timezone.now())
        tasks.ask_gateways.delay()
        events.until("payment.succeeded")
    assert charged(house, "paypal") == [(999, "paid")]
    is_delivered_once(house, begun)


def test_letter_that_comes_fifty_times_from_eight_sides_is_one_delivery(house: House) -> None:
    house.sandbox.turn("stripe", notify={"drop": 1.0})
    begun = house.checkout("stripe", currency="EUR")
    house.sandbox.play(begun["next_action"])
    letter = signed_letter(house, "checkout.session.completed")
    with house.events() as events, ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: deliver(house.web, letter), range(50))) == {200}
        events.until("payment.succeeded")
    wait_until(lambda: not of_letter(letter).filter(state="pending").exists())
    assert [letter.state for letter in of_letter(letter)] == ["done"]
    is_delivered_once(house, begun)


def test_purchase_that_is_told_from_every_side_at_once_is_one_delivery_and_one_receipt(
    house: House, tmp_path: Path
) -> None:
    """Two kinds of letters about it, of which the first killed whoever stored it; its buyer who asks; an operator who
    replays. All of them at once, again and again."""
    house.sandbox.turn("stripe", notify={"drop": 1.0})
    begun = house.checkout("stripe", currency="EUR")
    house.call("PATCH", "customer", {"email": f"{house.buyer}@example.com"})
    house.sandbox.play(begun["next_action"])
    told = [signed_letter(house, kind) for kind in ("checkout.session.completed", "payment_intent.succeeded")]
    with web(tmp_path, application="config.tests.doomed_web:application") as doomed:
        with pytest.raises((ConnectionError, HTTPException)):
            deliver(doomed, told[0])
        assert of_letter(told[0]).count() == 1  # stored, and Stripe has no answer: it sends it again

    def act(number: int) -> int:
        match number % 4:
            case 0 | 1 as which:
                return deliver(house.web, told[which])
            case 2:
                refresh = f"payments/{begun['payment']['id']}/refresh"
                return call(house.web, "POST", refresh, token_of(house.buyer), {})[0]
            case _:
                with contextlib.closing(connection):
                    for letter in [letter for sent in told for letter in of_letter(sent)]:
                        inbox.replay(letter)
                tasks.drain_inbox.delay()
                return 200

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(act, range(48))) == {200}
    for sent in told:  # and once more when all is over
        wait_until(of_letter(sent).filter(state="done").exists)
        assert inbox.replay(of_letter(sent).get())
    tasks.drain_inbox.delay()
    wait_until(lambda: [letter.state for sent in told for letter in of_letter(sent)] == ["done", "done"])
    assert charged(house, "stripe") == [(999, "paid")]
    is_delivered_once(house, begun)
    assert Event.objects.filter(user__username=house.buyer, type="payment.succeeded").count() == 1
    dispatch.delay()
    mine = Message.objects.filter(user__username=house.buyer)
    wait_until(lambda: set(mine.values_list("state", flat=True)) == {"sent"})
    assert list(mine.values_list("kind", "address")) == [("receipt", f"{house.buyer}@example.com")]


Letter = tuple[bytes, dict[str, str]]


def signed_letter(house: House, kind: str) -> Letter:
    """The letter that Stripe would have sent of what was paid, signed as Stripe signs."""
    address = f"{house.sandbox.base('stripe')}/v1/events?type={kind}"
    asked = urllib.request.Request(address, headers={"Authorization": f"Bearer {settings.STRIPE_SECRET_KEY}"})
    with urllib.request.urlopen(asked, timeout=LONG) as answer:
        [event] = json.load(answer)["data"]
    body, now = json.dumps(event).encode(), int(time.time())
    secret = settings.STRIPE_WEBHOOK_SECRETS[0].encode()
    signature = hmac.new(secret, f"{now}.".encode() + body, hashlib.sha256).hexdigest()
    return body, {"Stripe-Signature": f"t={now},v1={signature}", "Content-Type": "application/json"}


def deliver(port: int, letter: Letter) -> int:
    body, headers = letter
    client = HTTPConnection("127.0.0.1", port, timeout=LONG)
    with contextlib.closing(client):
        client.request("POST", "/webhooks/stripe", body, headers)
        return client.getresponse().status


def of_letter(letter: Letter) -> QuerySet[GatewayLetter]:
    return GatewayLetter.objects.filter(event_id=json.loads(letter[0])["id"])


def wait_until(is_so: Callable[[], bool]) -> None:
    pause, until = threading.Event(), time.monotonic() + LONG
    while not is_so():
        assert time.monotonic() < until, "It never came."
        pause.wait(0.02)

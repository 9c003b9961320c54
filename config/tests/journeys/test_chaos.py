"""A very bad day at all five gateways: replies lost after acting, letters doubled, reordered, forged and lost.

One clock for the shop and the sandbox, moved by the test: what a schedule says is asked when it says so, and the sweeps
do the rest, as they would on that day and the two after it.
"""

import contextlib
import logging
import os
import random
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.db import connections
from django.test import RequestFactory
from django.utils import timezone

from billing import asking, checkout, pricing, tasks
from billing.checkout import Wishes
from billing.errors import GatewaysDown, GatewaySilent
from billing.gateways import registry
from billing.models import Attempt, Case, Customer, GatewayLetter, Payment, Refund
from billing.models.payments import AttemptState, PaymentStatus
from billing.pricing import Purchase
from billing.webhooks import WebhookView
from config.tests.journeys.shop import Shop, connect
from config.tests.journeys.test_buy_a_pack import GATEWAYS
from credits import balances
from ledger import checks
from ledger.tests.books import on
from sandbox.testing import Sandbox

SEED = 20
# CHAOS_PURCHASES=500 python3 manage.py test config/tests/journeys/test_chaos.py takes two minutes.
PURCHASES = int(os.environ.get("CHAOS_PURCHASES", "60"))
LOST = 0.3
PRESSES = 10
ACTS = ["pay"] * 7 + ["decline", "abandon", "nothing"]
MINUTES = [2, 20, *range(61, 76, 2), *range(120, 26 * 60, 120)]  # when the sweeps come round


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    logging.disable(logging.ERROR)  # thousands of lines that nobody reads
    with time_machine.travel(timezone.now(), tick=True) as traveller:
        yield traveller
    logging.disable(logging.NOTSET)


@pytest.fixture
def shop(sandbox: Sandbox, transactional_db: None, settings) -> Iterator[Shop]:
    """Our view at an address of its own, without the middleware and with one connection: a thousand letters come."""
    server = HTTPServer(("127.0.0.1", 0), Letterbox)
    server.request_queue_size = 64

    def serve() -> None:
        try:
            server.serve_forever(poll_interval=0.05)
        finally:
            connections.close_all()

    thread = threading.Thread(target=serve)
    thread.start()
    connect(sandbox, settings, f"http://127.0.0.1:{server.server_port}")
    yield Shop(sandbox=sandbox, user=User())
    server.shutdown()
    thread.join()
    server.server_close()
    registry.forget()


LETTERS, READ = RequestFactory(), WebhookView.as_view()


class Letterbox(BaseHTTPRequestHandler):
    """Hands what comes to the view as it is."""

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        headers = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in self.headers.items()}
        kind = self.headers.get("Content-Type", "")
        request = LETTERS.generic(self.command, self.path, body, content_type=kind, **headers)  # type: ignore[arg-type]
        _, _, gateway, *token = self.path.split("/")
        self.send_response(READ(request, gateway, *token).status_code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST = do_PUT = answer  # noqa: N815 - the library calls them so

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
        """Not every letter needs a line."""


def test_bad_day_loses_and_doubles_nothing(shop: Shop, clock: time_machine.Traveller, settings) -> None:
    settings.GATEWAY_BREAKER_FAILURES = 1_000_000  # it would end the bad day at once
    settings.GATEWAY_ASK_LATE_SECONDS = [3_600, 86_400]
    for number, (gateway, _) in enumerate(GATEWAYS):
        notify = {"duplicate": LOST, "reorder": LOST, "forge": LOST, "drop": LOST}
        shop.sandbox.turn(gateway, seed=SEED + number, drop_after=LOST, notify=notify)
    assert set(buy_all(shop)) == set(ACTS)
    sweep_for_days(shop, clock)

    assert not Payment.objects.filter(status=PaymentStatus.PENDING).exclude(cases__isnull=False).exists()
    assert not Attempt.objects.live().exclude(cases__isnull=False).exists()
    assert not GatewayLetter.objects.filter(state="pending").exists()
    # A letter may be given up: it is only a hint, and all that it could have told is known by now.
    assert not GatewayLetter.objects.filter(state="dead").exclude(error__startswith="Uncertain").exists()
    assert doubles_without_an_end() == []
    for gateway, currency in GATEWAYS:
        assert ours_of(gateway, currency) == theirs_of(shop, gateway), gateway
    paid = Payment.objects.filter(status=PaymentStatus.SUCCEEDED).select_related("user")
    assert paid.count() > PURCHASES // 3
    assert [row.pk for row in paid if balances.of(row.user).available != 275] == []
    assert checks.faults() == {}


def buy_all(shop: Shop) -> "Counter[str]":
    """Each buyer buys once; whoever got no page asks for it later, and some never come back."""
    chance, acted, waiting = random.Random(SEED), Counter[str](), []  # noqa: S311 - repeatable on purpose
    buyers = User.objects.bulk_create(User(username=f"buyer-of-{number}") for number in range(PURCHASES))
    Customer.objects.bulk_create(Customer(user=buyer) for buyer in buyers)
    packs = {currency: pricing.pack("medium", currency, "en") for _, currency in GATEWAYS}
    for number, buyer in enumerate(buyers):
        gateway, currency = GATEWAYS[number % len(GATEWAYS)]
        payment = begin(buyer, packs[currency], gateway)
        act = chance.choice(ACTS)
        acted[act] += 1
        if act == "nothing":
            continue
        if page := page_of(payment):
            shop.sandbox.play(page, act)
        else:
            waiting.append((payment, act))
    assert len(waiting) > PURCHASES // 10  # otherwise the day was not bad
    for payment, act in waiting:
        if page := found_page(payment):
            shop.sandbox.play(page, act)
    return acted


def begin(user: User, purchase: Purchase, gateway: str) -> Payment:
    """A buyer for whom no gateway could be reached is told so, and presses the button once more."""
    fallbacks = [name for name, taken in GATEWAYS if taken == purchase.amount.unit and name != gateway]
    wishes = Wishes(gateways=[gateway, *fallbacks], phone="+237670000001")
    for _ in range(PRESSES):
        with contextlib.suppress(GatewaysDown):
            return checkout.start(user=user, purchase=purchase, wishes=wishes)
    raise AssertionError("No gateway was reached.")


def page_of(payment: Payment) -> dict[str, Any]:
    attempt = payment.attempts.last()
    assert attempt is not None
    shown: dict[str, Any] = attempt.next_action
    return shown


def found_page(payment: Payment) -> dict[str, Any]:
    """Where the buyer acts, once the gateway has answered; three questions may be lost as well."""
    page: dict[str, Any] = {}
    for _ in range(3):
        with contextlib.suppress(GatewaySilent):
            asking.refresh(payment)
        if page := page_of(payment):
            break
    return page


def sweep_for_days(shop: Shop, clock: time_machine.Traveller) -> None:
    passed = 0
    for minutes in MINUTES:
        moved = timedelta(minutes=minutes - passed)
        passed = minutes
        clock.shift(moved)
        shop.sandbox.advance(moved.total_seconds())
        shop.sandbox.letters()
        for sweep in (tasks.drain_inbox, tasks.ask_gateways, tasks.expire_checkouts, tasks.work_through_refunds):
            sweep()


def doubles_without_an_end() -> list[str]:
    """Buyers who paid twice, and whose second payment neither went back nor stands before operators."""
    return [
        str(attempt.pk)
        for attempt in Attempt.objects.filter(state=AttemptState.SURPLUS)
        if not Refund.objects.counted().filter(attempt=attempt).exists()
        and not Case.objects.filter(attempt=attempt).exists()
    ]


def ours_of(gateway: str, currency: str) -> tuple[int, int]:
    """How many were paid, and what the gateway has had of buyers; its fees are between it and us."""
    settled = Attempt.objects.filter(gateway=gateway, state__in=[AttemptState.SUCCEEDED, AttemptState.SURPLUS])
    held = on(f"gateway:{gateway}:{currency}") + on(f"fees:{gateway}:{currency}")
    return settled.count(), -held


def theirs_of(shop: Shop, gateway: str) -> tuple[int, int]:
    books = shop.sandbox.books(gateway)
    paid = [each["amount_minor"] for each in books["payments"] if each["state"] == "paid"]
    back = [each["amount_minor"] for each in books["refunds"] if each["state"] == "paid"]
    return len(paid), sum(paid) - sum(back)

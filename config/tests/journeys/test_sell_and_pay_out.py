"""Sellers' money, all the way over HTTP: sold, split, cleared, asked for, approved in the admin and paid out, once."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.utils import timezone

from billing import payout_sending, tasks
from billing.gateways import registry
from billing.gateways.base import PayoutRef
from billing.models import GatewaySetting
from config.tests.journeys.shop import Shop
from config.tests.processes import kill_group
from ledger import checks, transfers
from ledger.tests.books import new_key, on
from ledger.tests.races import run_all
from ledger.transfers import Reserve
from rest.tests.callers import customer, post, service
from rest.tests.callers import get as ask
from rest.tests.operators import page, signed_in, submit
from sandbox.testing import Sandbox
from wallets import destinations, sales
from wallets.models import Sale, Withdrawal
from wallets.tests import people

NOBODY = "http://127.0.0.1:1"  # nothing listens there: the connection is refused
TICKET = {"seller": "organizer-1", "type": "ticket_sale", "reference": "seat 7", "amount": 10_000}
NUMBER = {"type": "mobile_money", "phone": "+237670000001", "operator": "MTN"}


@pytest.fixture
def market(shop: Shop) -> Shop:
    """Tickets at ten percent; MTN pays before CinetPay does, which could as well."""
    people.make_type()
    people.make_rule(basis_points=1_000)
    GatewaySetting.objects.create(name="mtn_momo", priority=10)
    return shop


def test_seller_is_paid_for_what_was_sold(market: Shop, settings: Any) -> None:
    settings.PAYPAL_API_BASE = NOBODY
    server = service("start_checkout", acts_for=market.user)
    refused = post("checkouts", server, {"currency": "EUR", "gateways": ["paypal", "cinetpay"], "sale": TICKET})
    assert (refused.status_code, refused.json()["code"]) == (503, "gateways_down")
    # CinetPay takes no euros and PayPal no francs: the shop asks for the price that it has in francs.
    begun = post("checkouts", server, {"currency": "XAF", "gateways": ["paypal", "cinetpay"], "sale": TICKET}).json()
    assert [each["gateway"] for each in begun["payment"]["attempts"]] == ["cinetpay"]
    market.play(begun)
    market.hear("cinetpay")
    assert market.get(f"payments/{begun['payment']['id']}")["status"] == "succeeded"
    [sale] = Sale.objects.select_related("wallet__seller__user")
    assert (sale.net_minor, sale.commission_minor) == (9_000, 1_000)

    organizer = customer(sale.wallet.seller.user)
    assert _balance(organizer)["pending"] == 9_000
    wish = {"amount": 9_000, "currency": "XAF", "destination": NUMBER}
    early = post("wallets/withdrawals", organizer, wish)
    assert (early.status_code, early.json()["code"]) == (402, "insufficient_funds")
    sales.release_due(timezone.now() + timedelta(days=8))
    made = post("wallets/withdrawals", organizer, wish).json()
    assert (made["status"], made["waits_for"]) == ("requested", "approval")

    finance = signed_in("finance")
    assert submit(finance, page("wallets_withdrawal_approve", made["id"])).status_code == 302
    tasks.work_through_payouts()
    assert _withdrawal(organizer, made)["waits_for"] == "gateway"
    market.sandbox.advance(60)
    market.hear("mtn_momo")
    assert submit(finance, page("wallets_withdrawal_ask", made["id"])).status_code == 302
    assert _withdrawal(organizer, made)["status"] == "paid"
    [paid] = market.sandbox.books("mtn_momo")["payouts"]
    assert (paid["amount_minor"], paid["currency"], paid["state"]) == (9_000, "XAF", "paid")
    assert "mtn_momo" in finance.get(page("wallets_withdrawal_change", made["id"])).content.decode()
    assert (_balance(organizer)["available"], on("gateway:mtn_momo:XAF")) == (0, 9_000)
    assert checks.faults() == {}


@pytest.mark.parametrize(
    ("gateway", "goal", "lost"),
    [
        ("paypal", people.PAYPAL, 1.0),
        ("cinetpay", destinations.parse(kind="mobile_money", value="+237690000001", operator="ORANGE"), 0.5),
        ("mtn_momo", destinations.parse(kind="mobile_money", value="+237670000001", operator="MTN"), 1.0),
    ],
)
def test_reply_that_was_lost_leads_to_one_payout(market: Shop, settings: Any, gateway, goal, lost) -> None:
    currency = "EUR" if gateway == "paypal" else "XAF"
    settings.WALLETS_WITHDRAWAL_AUTOMATIC_UP_TO_MINOR = {currency: 10_000}
    user = people.make_user()
    people.sell_cleared(user, 10_000, currency)
    withdrawal = people.ask(user, 5_000, currency, destination=goal)
    settings.PAYOUT_RETRY_SECONDS = 0
    settings.GATEWAY_BREAKER_FAILURES = 10_000
    adapter: Any = registry.get(gateway)
    adapter.fetch_payout(
        PayoutRef(reference="0" * 32, amount=withdrawal.payout, ids={"batch": "none"})
    )  # has a token now
    # CinetPay is told the receiver before the money moves: there the first reply must come back.
    market.sandbox.turn(gateway, drop_after=lost, seed=3)
    for _ in range(4):
        payout_sending.send(withdrawal)
    assert len(market.sandbox.books(gateway)["payouts"]) == 1
    withdrawal.refresh_from_db()
    assert withdrawal.status == "uncertain"
    market.sandbox.turn(gateway, drop_after=0.0)
    market.sandbox.advance(120)
    payout_sending.work_through(timezone.now() + timedelta(hours=2))
    withdrawal.refresh_from_db()
    [paid] = market.sandbox.books(gateway)["payouts"]
    assert (withdrawal.status, withdrawal.gateway, paid["amount_minor"]) == ("paid", gateway, 5_000)
    assert checks.faults() == {}


def _balance(who: dict[str, str]) -> Any:
    [balance] = ask("wallets/balance", who).json()["wallets"]
    return balance


def _withdrawal(who: dict[str, str], made: dict[str, Any]) -> Any:
    return ask(f"wallets/withdrawals/{made['id']}", who).json()


# ---------------------------------------------------------------- many workers

# Two hundred withdrawals take 40 seconds of a slow machine, which the suite has not every time; the whole proof is
# PAYOUT_SELLERS=20 python3 manage.py test config/tests/journeys/test_sell_and_pay_out.py
SELLERS, EACH, WORKERS = int(os.environ.get("PAYOUT_SELLERS", "6")), 10, 10


@pytest.fixture
def crowd(market: Shop, settings: Any) -> list[Withdrawal]:
    """Ten approved withdrawals of each seller, all of different amounts."""
    settings.WALLETS_ONE_OPEN_WITHDRAWAL = False
    settings.WALLETS_WITHDRAWAL_AUTOMATIC_UP_TO_MINOR = {"XAF": 1_000_000}
    settings.PAYOUT_RETRY_SECONDS = 0
    settings.GATEWAY_BREAKER_FAILURES = 10_000
    GatewaySetting.objects.create(name="cinetpay", is_enabled=False)
    users = [people.make_user() for _ in range(SELLERS)]
    for user in users:
        people.sell(user, 1_000_000, "XAF")
    sales.release_due(people.FAR_AWAY)
    first = [people.ask(user, 1_000, "XAF", destination=_number(place)) for place, user in enumerate(users)]
    return [*first, *(_another(each, 1_000 + place) for place, each in enumerate(first * (EACH - 1), start=1))]


def _number(place: int) -> Any:
    return destinations.parse(kind="mobile_money", value=f"+2376700000{place:02}", operator="MTN")


def _another(first: Withdrawal, minor: int) -> Withdrawal:
    """Approved like the first one of the same seller: asked for two hundred times it would take too long."""
    facts = {"wallet": first.wallet, "destination": first.destination, "not_before": first.not_before}
    made = Withdrawal.objects.create(
        key=new_key("wish"), amount_minor=minor, status="approved", is_automatic=True, **facts
    )
    transfers.hold(key=made.hold_key, reserves=[Reserve(first.wallet.available, made.amount)])
    return made


@pytest.fixture
def victim(market: Shop) -> Iterator["subprocess.Popen[str]"]:
    """A real process on the database of this test, to be killed."""
    name = connection.settings_dict["NAME"]
    base, _, query = os.environ["DATABASE_URL"].partition("?")
    url = f"{base.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")
    told = {"DATABASE_URL": url, "MTN_MOMO_API_BASE": market.sandbox.base("mtn_momo"), "PAYOUT_RETRY_SECONDS": "0"}
    process = subprocess.Popen(
        [sys.executable, "-m", "config.tests.payout_worker"],
        cwd=django_settings.BASE_DIR,
        env={**os.environ, **told, "GATEWAY_TRIES": "1", "GATEWAY_BREAKER_FAILURES": "10000"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    try:
        yield process
    finally:
        kill_group(process)
        process.communicate()


def test_withdrawals_are_each_paid_once_by_ten_workers_of_whom_one_is_killed(
    market: Shop, victim: "subprocess.Popen[str]", crowd: list[Withdrawal], settings: Any
) -> None:
    assert victim.stdout is not None
    assert victim.stdin is not None
    assert victim.stdout.readline() == "ready\n"
    market.sandbox.turn("mtn_momo", drop_after=0.3, seed=7)
    victim.stdin.write("go\n")
    victim.stdin.flush()
    while len(_paid_out(market.sandbox)) < 5:
        assert victim.poll() is None  # each look is a call of the sandbox, which takes its time
    assert stopped_while_it_sends(victim).status == "sending"
    acts: list[Callable[[], object]] = [payout_sending.work_through] * (WORKERS - 1)
    run_all([*acts, lambda: kill_group(victim)])
    assert Withdrawal.objects.filter(status="approved").count() < len(crowd)

    settings.GATEWAY_NOT_FOUND_PAYOUT_SECONDS = 0  # as if a quarter of an hour had gone by
    market.sandbox.advance(3_600)
    for _ in range(20):
        payout_sending.work_through(timezone.now() + timedelta(days=1))
        if not Withdrawal.objects.open().exists():
            break
    assert Counter(Withdrawal.objects.values_list("status", flat=True)) == {"paid": len(crowd)}
    there = Counter((each["reference"], each["amount_minor"], each["state"]) for each in _paid_out(market.sandbox))
    assert there == Counter((each.pk.hex, each.amount_minor, "paid") for each in crowd)
    assert on("gateway:mtn_momo:XAF") == sum(each.amount_minor for each in crowd)
    assert checks.faults() == {}


def stopped_while_it_sends(victim: "subprocess.Popen[str]") -> Withdrawal:
    """It stands still with this one in hand, and is never woken: so it dies in its work, and not between two."""
    while True:
        os.killpg(victim.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, victim.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        if (found := Withdrawal.objects.filter(status="sending").first()) is not None:
            return found
        assert victim.poll() is None, "It has nothing more to send."
        os.killpg(victim.pid, signal.SIGCONT)


def _paid_out(sandbox: Sandbox) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = sandbox.books("mtn_momo")["payouts"]
    return [each | {"reference": each["reference"].replace("-", "")} for each in found]

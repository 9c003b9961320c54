"""Orange's answers that its sandbox does not give by itself: orders it does not show, pages that are none."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from billing.gateways import orange_money
from billing.gateways.base import CheckoutRequest, PaymentRef, PaymentState
from billing.gateways.errors import Declined, FailureCategory, Unavailable, Uncertain
from billing.gateways.http import Limits
from billing.gateways.references import fingerprint, short
from billing.tests.gateways import contenders, wire
from billing.tests.gateways.contenders import CONTENDERS
from ledger.money import Money

ORANGE = next(each for each in CONTENDERS if each.name == "orange_money")
OURS = "0" * 31 + "1"
NOON = datetime(2026, 5, 12, 12, 0, tzinfo=UTC)
TOKEN = wire.answer(body=b'{"access_token": "t1", "expires_in": 3600}')
PAGE = {"payment_url": "https://orange.example/pay/1", "pay_token": "p1", "notif_token": "n1"}
KNOWN = PaymentRef(reference=OURS, amount=Money(5_000, "XOF"), ids={"pay_token": "p1"})


def adapter(url: str, environment: str = "ci") -> orange_money.OrangeMoney:
    configuration = orange_money.Configuration(
        base_url=url, environment=environment, currency="XOF", country="CI", client_id="id", client_secret="secret",
        merchant_key="key",
    )  # fmt: skip
    return orange_money.OrangeMoney(configuration, Limits(connect_seconds=1, read_seconds=2, slow_read_seconds=2))


def said(fields: Any, status: str = "200 OK") -> wire.Behaviour:
    return wire.answer(status, json.dumps(fields).encode())


def fetched(answer: wire.Behaviour) -> Any:
    with wire.listening(TOKEN, answer) as server:
        return adapter(server.url).fetch_payment(KNOWN)


def wish(**changes: Any) -> CheckoutRequest:
    return replace(contenders.checkout(ORANGE, ours=OURS), **changes)


def test_order_that_orange_does_not_know_is_not_found_and_keeps_its_token() -> None:
    found = fetched(said({"code": 60}, "404 Not Found"))
    assert (found.state, found.ids) == (PaymentState.NOT_FOUND, {"pay_token": "p1"})


def test_order_that_we_may_not_see_is_neither_lost_nor_paid() -> None:
    with pytest.raises(Unavailable) as refused:
        fetched(said({"code": 42}, "403 Forbidden"))
    assert (refused.value.category, refused.value.code) == (FailureCategory.CONFIGURATION, "42")
    with pytest.raises(Uncertain):  # not as documented, whatever its body says
        fetched(said({"status": "SUCCESS"}, "203 Non-Authoritative Information"))


@pytest.mark.parametrize(
    ("field", "name"), [("success_url", "return_url"), ("cancel_url", "cancel_url"), ("notify_url", "notif_url")]
)
def test_address_that_is_longer_than_orange_takes_is_refused_before_any_call(field: str, name: str) -> None:
    longest = "https://shop.example/".ljust(orange_money.LONGEST_URL, "x")
    with wire.listening(TOKEN, said(PAGE, "201 Created")) as server:
        assert adapter(server.url).open_checkout(wish(**{field: longest})).state is PaymentState.REQUIRES_ACTION
        assert json.loads(server.received.pop().partition(b"\r\n\r\n")[2])[name] == longest
        server.received.clear()
        with pytest.raises(Declined) as refused:
            adapter(server.url).open_checkout(wish(**{field: longest + "x"}))
        assert server.received == []
    assert (refused.value.category, refused.value.code) == (FailureCategory.INVALID_REQUEST, name)


@pytest.mark.parametrize(("environment", "currency"), [("ci", "XOF"), ("dev", "OUV")])
def test_page_is_ordered_in_oranges_words(environment: str, currency: str) -> None:
    """In their sandbox one currency stands for whatever the shop has."""
    with wire.listening(TOKEN, said(PAGE, "201 Created")) as server:
        adapter(server.url, environment).open_checkout(wish())
    head, _, body = server.received[-1].partition(b"\r\n\r\n")
    assert head.startswith(f"POST /orange-money-webpay/{environment}/v1/webpayment ".encode())
    assert json.loads(body) == {
        "merchant_key": "key",
        "currency": currency,
        "order_id": short(OURS),
        "amount": 5_000,
        "lang": "fr",
        "reference": "Tirelire",
        "return_url": contenders.RETURN_URL,
        "cancel_url": contenders.RETURN_URL,
        "notif_url": "http://127.0.0.1:9/nobody",
    }


def test_page_is_remembered_by_what_proves_its_letters() -> None:
    with wire.listening(TOKEN, said(PAGE, "201 Created")) as server, time_machine.travel(NOON, tick=False):
        opened = adapter(server.url).open_checkout(wish())
    assert opened.next_action is not None
    assert opened.next_action.url == PAGE["payment_url"]
    assert opened.next_action.expires_at == NOON + timedelta(minutes=10)
    assert opened.ids == {"order": short(OURS), "pay_token": "p1", "notif_token_sha256": fingerprint("n1")}


@pytest.mark.parametrize(
    "changes",
    [
        {"payment_url": 5},
        {"payment_url": "javascript:alert(1)"},
        {"pay_token": ""},  # nobody could ask about it
        {"notif_token": ""},  # no letter of it could be believed
    ],
)
def test_page_that_cannot_be_paid_or_followed_is_uncertain(changes: dict[str, Any]) -> None:
    with wire.listening(TOKEN, said({**PAGE, **changes}, "201 Created")) as server, pytest.raises(Uncertain) as doubt:
        adapter(server.url).open_checkout(wish())
    assert doubt.value.code == "unreadable"

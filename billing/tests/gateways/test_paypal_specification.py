"""Every request of the PayPal adapter against PayPal's published OpenAPI files, so that it and our sandbox cannot be
wrong together. The files stand beside the project, in ../shared/specs/paypal, and are not copied into it."""

import copy
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from billing.gateways.base import Destination, DestinationKind, Letter, Line, PayoutRef, RefundRef, RefundRequest
from billing.gateways.errors import InvalidLetter
from billing.gateways.paypal import translation
from billing.tests.gateways import contenders
from billing.tests.gateways.contenders import CONTENDERS
from ledger.money import Money
from sandbox import paypal_schema
from sandbox.testing import Sandbox

PAYPAL = next(each for each in CONTENDERS if each.name == "paypal")
LONGEST_REQUEST_ID = 108
CALLS = {  # those that carry what we say
    r"/v2/checkout/orders",
    r"/v2/checkout/orders/[A-Z0-9]+/capture",
    r"/v2/payments/captures/[A-Z0-9]+/refund",
    r"/v1/payments/payouts",
    r"/v1/notifications/verify-webhook-signature",
}


@pytest.fixture(scope="module")
def specification() -> paypal_schema.Specification:
    known = paypal_schema.specification()
    if known is None:
        pytest.skip("PayPal's OpenAPI files are not here (../shared/specs/paypal): no request was held against them.")
    return known


def wrong(specification: paypal_schema.Specification, path: str, body: Any) -> list[str]:
    operation = specification.operation("POST", path)
    assert operation is not None, path
    return list(operation.problems_of_body(body))


@pytest.fixture
def requests(sandbox: Sandbox) -> list[dict[str, Any]]:
    """Everything that the adapter sends in a life: with and without lines, refunds, payouts, letters."""
    adapter = contenders.paypal_in(sandbox)
    asking = contenders.paypal_in(sandbox, webhook_check="ask", webhook_id="8PT597110X687430LKGECATA")
    lines = (Line(name="Pack " + "x" * 200, quantity=2, unit_price=Money(1_250, "EUR"), description="y" * 300),)
    request = contenders.checkout(PAYPAL)
    for each in (request, _with(request, lines=lines), _with(request, amount=Money(2_000, "HUF"), description="")):
        opened = adapter.open_checkout(each)
    request = contenders.checkout(PAYPAL)
    opened = adapter.open_checkout(request)
    sandbox.play(contenders.shown(opened.next_action))
    payment = contenders.remembered(request, opened)
    payment = contenders.learned(payment, adapter.capture(payment))
    refund = RefundRequest(reference=contenders.reference(), payment=payment, amount=PAYPAL.part, reason="z" * 300)
    adapter.send_refund(refund)
    adapter.fetch_refund(RefundRef(reference=refund.reference, payment=payment, amount=refund.amount))
    for to in (PAYPAL.payout_to, Destination(kind=DestinationKind.ACCOUNT, value="PAYERAB12CD34")):
        payout = contenders.payout(PAYPAL, to=to)
        sent = adapter.send_payout(payout)
        adapter.fetch_payout(PayoutRef(reference=payout.reference, amount=payout.amount, ids=sent.ids))
    with pytest.raises(InvalidLetter):
        asking.read_letter(_letter())
    return sandbox.requests("paypal")


def _with(request: Any, **changes: Any) -> Any:
    return type(request)(**{**{name: getattr(request, name) for name in request.__slots__}, **changes,
                            "reference": contenders.reference()})  # fmt: skip


def _letter() -> Letter:
    headers = {
        "paypal-auth-algo": "SHA256withRSA",
        "paypal-cert-url": "https://api.sandbox.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-a5cafa77",
        "paypal-transmission-id": "69cd13f0-d67a-11e5-baa3-778b53f4ae55",
        "paypal-transmission-sig": "bm90IGEgc2lnbmF0dXJl",
        "paypal-transmission-time": contenders.moment_ago(60),
    }
    body = b'{"id": "WH-1", "event_type": "PAYMENT.CAPTURE.COMPLETED", "resource": {"id": "C1", "price": 1.10}}'
    return Letter(method="POST", headers=headers, body=body)


def sent(requests: list[dict[str, Any]]) -> Iterator[tuple[str, Any]]:
    for request in requests:
        if request["method"] == "POST" and request["path"] != "/v1/oauth2/token":
            yield request["path"], json.loads(request["body"])


def test_every_request_is_as_paypal_publishes_it(
    specification: paypal_schema.Specification, requests: list[dict[str, Any]]
) -> None:
    seen = set()
    for path, body in sent(requests):
        assert wrong(specification, path, body) == [], path
        seen.add(next(pattern for pattern in CALLS if re.fullmatch(pattern, path)))
    assert seen == CALLS


def test_every_order_of_money_carries_a_key_of_its_own(requests: list[dict[str, Any]]) -> None:
    keys = [
        each["headers"]["paypal-request-id"]
        for each in requests
        if each["method"] == "POST" and "oauth2" not in each["path"] and "verify" not in each["path"]
    ]
    assert len(keys) == len(set(keys)) == 8
    assert max(len(key) for key in keys) <= LONGEST_REQUEST_ID


def test_event_is_handed_to_the_verify_call_to_the_byte(requests: list[dict[str, Any]]) -> None:
    [asked] = [each for each in requests if "verify" in each["path"]]
    assert asked["body"].endswith(f'"webhook_event": {_letter().body.decode()}}}')


def _without_amount(body: dict[str, Any]) -> None:
    del body["purchase_units"][0]["amount"]


def _without_units(body: dict[str, Any]) -> None:
    del body["purchase_units"]


def _without_intent(body: dict[str, Any]) -> None:
    del body["intent"]


def _without_quantity(body: dict[str, Any]) -> None:
    del body["purchase_units"][0]["items"][0]["quantity"]


def _misspelt(body: dict[str, Any]) -> None:
    body["purchase_units"][0]["customId"] = body["purchase_units"][0].pop("custom_id")


def _number_for_text(body: dict[str, Any]) -> None:
    body["purchase_units"][0]["amount"]["value"] = 25


@pytest.mark.parametrize(
    "spoil", [_without_amount, _without_units, _without_intent, _without_quantity, _misspelt, _number_for_text]
)
def test_order_that_is_spoilt_on_purpose_is_found(
    specification: paypal_schema.Specification, spoil: Callable[[dict[str, Any]], None]
) -> None:
    lines = (Line(name="Pack", quantity=2, unit_price=Money(1_250, "EUR")),)
    body = translation.order_to_them(_with(contenders.checkout(PAYPAL), lines=lines), "Shop")
    assert wrong(specification, "/v2/checkout/orders", body) == []
    spoilt = copy.deepcopy(body)
    spoil(spoilt)
    assert wrong(specification, "/v2/checkout/orders", spoilt) != []


@pytest.mark.parametrize("name", ["amount", "receiver"])
def test_payout_that_is_spoilt_on_purpose_is_found(specification: paypal_schema.Specification, name: str) -> None:
    body = translation.payout_to_them(contenders.payout(PAYPAL))
    assert wrong(specification, "/v1/payments/payouts", body) == []
    del body["items"][0][name]
    assert wrong(specification, "/v1/payments/payouts", body) != []

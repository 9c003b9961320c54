"""Requests that our PayPal took are held against the files of the real one."""

import json
from typing import Any

import pytest

from sandbox import paypal_schema
from sandbox.testing import Sandbox
from sandbox.tests.clients import PayPal

PAYOUT = "/v1/payments/payouts"
ORDER = {"intent": "CAPTURE", "purchase_units": [{"amount": {"currency_code": "EUR", "value": "5.00"}}]}


def asked(method: str, path: str, body: Any = None, **more: Any) -> dict[str, Any]:
    text = "" if body is None else json.dumps(body)
    known = {"method": method, "path": path, "query": {}, "headers": {}, "body": text, "acted_with_status": 201}
    return known | more


@pytest.fixture(autouse=True)
def _files() -> None:
    if paypal_schema.folder() is None:
        pytest.skip("NO PAYPAL REQUEST WAS CHECKED: ../shared/specs/paypal is not here")


@pytest.mark.parametrize(
    ("request_", "word"),
    [
        (asked("POST", "/v2/checkout/orders", {**ORDER, "colour": "red"}), "'colour' was unexpected"),
        (asked("POST", "/v2/checkout/orders", {"intent": "CAPTURE"}), "'purchase_units' is a required property"),
        (asked("POST", "/v2/checkout/orders", ORDER, headers={"PayPal-Request-Id": "x" * 109}), "paypal-request-id"),
        (asked("POST", "/v2/checkout/orders/5O1/colour"), "unknown path"),
        (asked("DELETE", "/v2/checkout/orders/5O1"), "unknown path"),
        (asked("GET", f"{PAYOUT}/B1", query={"page_size": "many"}), "page_size: 'many' is not of type 'integer'"),
        (asked("GET", f"{PAYOUT}/B1", query={"colour": "red"}), "unknown query parameter colour"),
        (asked("POST", "/v1/payments/payouts-item/I1/cancel", {"colour": "red"}), "no body is taken"),
    ],
)
def test_what_the_files_do_not_know_is_found(request_: dict[str, Any], word: str) -> None:
    """If this fails, the check behind the fixture `sandbox` proves nothing."""
    [problem] = paypal_schema.problems([request_])
    assert word in problem


def test_what_is_right_and_what_was_refused_is_no_problem() -> None:
    right = asked("POST", "/v2/checkout/orders", ORDER, headers={"paypal-request-id": "x" * 108})
    read = asked("GET", f"{PAYOUT}/B1", query={"page_size": "10", "total_required": "true"}, acted_with_status=200)
    refused = asked("POST", "/v2/checkout/orders", {"colour": "red"}, acted_with_status=422)
    assert paypal_schema.problems([right, read, refused]) == []


def test_what_the_running_sandbox_takes_too_lightly_is_found(sandbox: Sandbox) -> None:
    """It forgives the field; the fixture's check would not."""
    PayPal(sandbox).post("/v2/checkout/orders", {**ORDER, "colour": "red"}).raise_for_status()
    [problem] = paypal_schema.problems(sandbox.requests("paypal"))
    sandbox.reset()
    assert "'colour' was unexpected" in problem

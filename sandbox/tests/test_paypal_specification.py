"""What PayPal in the box answers, held against PayPal's published OpenAPI files, which are read where they stand."""

import json
from typing import Any

import pytest
import requests
from jsonschema import Draft4Validator

from sandbox import paypal_schema
from sandbox.testing import Sandbox
from sandbox.tests.clients import PayPal, redirect


@pytest.fixture(scope="module")
def specifications() -> list[dict[str, Any]]:
    place = paypal_schema.folder()
    if place is None:
        pytest.skip("PayPal's OpenAPI files are not here (../shared/specs/paypal): nothing was held against them.")
    return [_without_wordings(json.loads((place / f"{name}.json").read_text())) for name in paypal_schema.NAMES]


def _without_wordings(document: Any) -> Any:
    """The files fix the descriptions of errors word by word, and differently in each call: only the issue counts."""
    if isinstance(document, list):
        return [_without_wordings(each) for each in document]
    if not isinstance(document, dict):
        return document
    cleaned = {name: _without_wordings(each) for name, each in document.items()}
    if "issue" in cleaned and isinstance(cleaned.get("description"), dict):
        cleaned["description"] = {"type": "string"}
    return cleaned


class Rulebook:
    """Finds the schema of an operation's answer and says what does not fit."""

    def __init__(self, specifications: list[dict[str, Any]]) -> None:
        self.specifications = specifications

    def faults(self, method: str, path: str, reply: requests.Response) -> list[str]:
        for document in self.specifications:
            if operation := document["paths"].get(path, {}).get(method):
                answers = operation["responses"]
                status = str(reply.status_code)
                assert status in answers or status >= "400", f"{method} {path} never answers {status}"
                answer = answers.get(status, answers.get("default"))
                return self._faults_of(document, answer, reply.json())
        raise AssertionError(f"{method} {path} stands in none of the files")

    def _faults_of(self, document: dict[str, Any], answer: dict[str, Any], content: Any) -> list[str]:
        while "$ref" in answer:
            answer = document["components"]["responses"][answer["$ref"].rsplit("/", 1)[1]]
        schema = {**answer["content"]["application/json"]["schema"], "components": document["components"]}
        if "$ref" in schema:  # a reference hides what stands beside it
            schema = {"allOf": [{"$ref": schema["$ref"]}], "components": document["components"]}
        found = Draft4Validator(schema).iter_errors(content)
        return [f"{'/'.join(str(part) for part in fault.path)}: {fault.message[:200]}" for fault in found]


@pytest.fixture
def rulebook(specifications: list[dict[str, Any]]) -> Rulebook:
    return Rulebook(specifications)


ORDERS = "/v2/checkout/orders"
REFUND = "/v2/payments/captures/{capture_id}/refund"


@pytest.mark.parametrize("prefer", ["return=representation", "return=minimal"])
def test_an_order_on_its_whole_way(sandbox: Sandbox, paypal: PayPal, rulebook: Rulebook, prefer: str) -> None:
    paypal.session.headers["Prefer"] = prefer
    made = paypal.order(description="Order 77", invoice_id="i1")
    order_id = made.json()["id"]
    assert rulebook.faults("post", ORDERS, made) == []
    assert rulebook.faults("get", f"{ORDERS}/{{id}}", paypal.get(f"{ORDERS}/{order_id}")) == []
    sandbox.play(redirect(made.json()["links"][0]["href"]))
    assert rulebook.faults("get", f"{ORDERS}/{{id}}", paypal.get(f"{ORDERS}/{order_id}")) == []
    captured = paypal.capture(order_id)
    assert rulebook.faults("post", f"{ORDERS}/{{id}}/capture", captured) == []
    whole = paypal.get(f"{ORDERS}/{order_id}")
    assert rulebook.faults("get", f"{ORDERS}/{{id}}", whole) == []
    capture_id = whole.json()["purchase_units"][0]["payments"]["captures"][0]["id"]
    capture = paypal.get(f"/v2/payments/captures/{capture_id}")
    assert rulebook.faults("get", "/v2/payments/captures/{capture_id}", capture) == []
    refund = paypal.post(REFUND.format(capture_id=capture_id), {"amount": {"currency_code": "EUR", "value": "5.00"}})
    assert rulebook.faults("post", REFUND, refund) == []
    read = paypal.get(f"/v2/payments/refunds/{refund.json()['id']}")
    assert rulebook.faults("get", "/v2/payments/refunds/{refund_id}", read) == []


def test_refusals(sandbox: Sandbox, paypal: PayPal, rulebook: Rulebook) -> None:
    unknown = paypal.get(f"{ORDERS}/UNKNOWN")
    assert rulebook.faults("get", f"{ORDERS}/{{id}}", unknown) == []
    assert rulebook.faults("post", ORDERS, paypal.order("1.005")) == []
    assert rulebook.faults("post", ORDERS, paypal.post(ORDERS, {"intent": "STEAL"})) == []
    too_early = paypal.capture(paypal.order().json()["id"])
    assert rulebook.faults("post", f"{ORDERS}/{{id}}/capture", too_early) == []
    capture_id = paypal.paid(sandbox)["id"]
    too_much = {"amount": {"currency_code": "EUR", "value": "99.00"}}
    refund = paypal.post(REFUND.format(capture_id=capture_id), too_much)
    assert rulebook.faults("post", REFUND, refund) == []
    paypal.session.headers["Authorization"] = "Bearer wrong"
    assert rulebook.faults("post", ORDERS, paypal.order()) == []


@pytest.mark.parametrize("receiver", ["c@example.org", "unclaimed@example.org", "blocked@example.org"])
def test_a_payout(sandbox: Sandbox, paypal: PayPal, rulebook: Rulebook, receiver: str) -> None:
    made = paypal.payout(receiver)
    assert rulebook.faults("post", "/v1/payments/payouts", made) == []
    assert rulebook.faults("post", "/v1/payments/payouts", paypal.payout(receiver)) == []
    sandbox.advance(1)
    batch = paypal.get(f"/v1/payments/payouts/{made.json()['batch_header']['payout_batch_id']}?total_required=true")
    assert rulebook.faults("get", "/v1/payments/payouts/{id}", batch) == []
    item = paypal.get(f"/v1/payments/payouts-item/{batch.json()['items'][0]['payout_item_id']}")
    assert rulebook.faults("get", "/v1/payments/payouts-item/{payout_item_id}", item) == []


def test_listeners_and_events(sandbox: Sandbox, paypal: PayPal, rulebook: Rulebook) -> None:
    start = "/v1/notifications"
    hook = {"url": "https://shop.example/hook", "event_types": [{"name": "*"}]}
    made = paypal.post(f"{start}/webhooks", hook)
    assert rulebook.faults("post", f"{start}/webhooks", made) == []
    assert rulebook.faults("get", f"{start}/webhooks", paypal.get(f"{start}/webhooks")) == []
    assert rulebook.faults("get", f"{start}/webhooks-event-types", paypal.get(f"{start}/webhooks-event-types")) == []
    paypal.paid(sandbox)
    told = paypal.get(f"{start}/webhooks-events")
    assert rulebook.faults("get", f"{start}/webhooks-events", told) == []
    event = paypal.get(f"{start}/webhooks-events/{told.json()['events'][0]['id']}")
    assert rulebook.faults("get", f"{start}/webhooks-events/{{event_id}}", event) == []


def test_a_wrong_answer_is_noticed(paypal: PayPal, rulebook: Rulebook) -> None:
    """The canary: the rulebook is no rubber stamp."""
    made = paypal.order()
    made._content = made.content.replace(b"PAYER_ACTION_REQUIRED", b"PAYER_ASLEEP")
    assert any("PAYER_ASLEEP" in fault for fault in rulebook.faults("post", ORDERS, made))

"""PayPal in the box, spoken to as its documentation says."""

import json
from typing import Any

import pytest
import requests

from sandbox.testing import Refused, Sandbox
from sandbox.tests.clients import PayPal, approved, press, redirect


def issues(reply: requests.Response) -> list[str]:
    return [detail["issue"] for detail in reply.json()["details"]]


# ---------------------------------------------------------------- orders


def test_wrong_credentials_get_no_token(sandbox: Sandbox) -> None:
    reply = requests.post(
        f"{sandbox.base('paypal')}/v1/oauth2/token",
        auth=("sandbox-client", "wrong"),
        data={"grant_type": "client_credentials"},
        timeout=5,
    )
    assert (reply.status_code, reply.json()["error"]) == (401, "invalid_client")


def test_a_token_runs_out(sandbox: Sandbox, paypal: PayPal) -> None:
    sandbox.advance(32_401)
    reply = paypal.order()
    assert (reply.status_code, reply.json()["name"]) == (401, "AUTHENTICATION_FAILURE")


def test_an_approved_order_is_captured_and_its_money_counted(sandbox: Sandbox, paypal: PayPal) -> None:
    made = paypal.order()
    assert (made.status_code, made.json()["status"]) == (201, "PAYER_ACTION_REQUIRED")
    assert made.json()["links"][0]["rel"] == "payer-action"
    assert made.headers["Paypal-Debug-Id"]
    played = sandbox.play(redirect(made.json()["links"][0]["href"]))
    assert played["redirect_to"] == f"http://127.0.0.1/r?token={made.json()['id']}&PayerID=PAYERSANDB2X3"
    assert paypal.get(f"/v2/checkout/orders/{made.json()['id']}").json()["status"] == "APPROVED"
    captured = paypal.capture(made.json()["id"])
    assert (captured.status_code, captured.json()["status"]) == (201, "COMPLETED")
    capture = captured.json()["purchase_units"][0]["payments"]["captures"][0]
    assert capture["amount"] == {"currency_code": "EUR", "value": "25.00"}
    assert capture["seller_receivable_breakdown"]["paypal_fee"]["value"] == "1.08"
    assert capture["seller_receivable_breakdown"]["net_amount"]["value"] == "23.92"
    (line,) = sandbox.books("paypal")["payments"]
    assert (line["reference"], line["amount_minor"], line["currency"], line["state"]) == ("pay_1", 2500, "EUR", "paid")


def test_an_order_without_payment_source_has_the_older_shape(paypal: PayPal) -> None:
    content = {"intent": "CAPTURE", "purchase_units": [{"amount": {"currency_code": "EUR", "value": "1.00"}}]}
    made = paypal.post("/v2/checkout/orders", content).json()
    assert (made["status"], made["links"][0]["rel"]) == ("CREATED", "approve")


def test_a_repeated_request_id_makes_one_order(sandbox: Sandbox, paypal: PayPal) -> None:
    first, second = paypal.order(key="a1"), paypal.order(key="a1")
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["id"] == second.json()["id"]
    assert len(sandbox.books("paypal")["payments"]) == 1


def test_a_payment_source_needs_a_request_id(paypal: PayPal) -> None:
    content = {**_content("1.00", "EUR"), "payment_source": {"paypal": {}}}
    reply = paypal.session.post(f"{paypal.base}/v2/checkout/orders", json=content, timeout=5)
    assert (reply.status_code, issues(reply)) == (400, ["PAYPAL_REQUEST_ID_REQUIRED"])


def _content(value: str, currency: str, **unit: Any) -> dict[str, Any]:
    amount = {"currency_code": currency, "value": value, **unit.pop("amount", {})}
    return {"intent": "CAPTURE", "purchase_units": [{"amount": amount, **unit}]}


EURO = {"currency_code": "EUR", "value": "1.00"}


@pytest.mark.parametrize(
    ("content", "status", "issue"),
    [
        (_content("5000", "XOF"), 422, "INVALID_CURRENCY_CODE"),
        (_content("10.5", "JPY"), 422, "DECIMAL_PRECISION"),
        (_content("10.50", "HUF"), 422, "DECIMAL_PRECISION"),
        (_content("1.005", "EUR"), 422, "DECIMAL_PRECISION"),
        (_content("0.00", "EUR"), 422, "CANNOT_BE_ZERO_OR_NEGATIVE"),
        (_content("-1.00", "EUR"), 400, "INVALID_PARAMETER_SYNTAX"),
        (_content("2.00", "EUR", amount={"breakdown": {"item_total": EURO}}), 422, "AMOUNT_MISMATCH"),
        (
            _content("1.00", "EUR", items=[{"name": "a", "quantity": "1", "unit_amount": EURO}]),
            422,
            "ITEM_TOTAL_MISMATCH",
        ),
        (_content("1.00", "EUR", invoice_id="i" * 128), 400, "INVALID_STRING_LENGTH"),
        ({**_content("1.00", "EUR"), "intent": "STEAL"}, 400, "INVALID_PARAMETER_VALUE"),
        ({"intent": "CAPTURE", "purchase_units": []}, 400, "MISSING_REQUIRED_PARAMETER"),
        ({"intent": "CAPTURE", "purchase_units": [{"amount": EURO}] * 2}, 422, "DUPLICATE_REFERENCE_ID"),
    ],
)
def test_an_order_that_paypal_would_refuse_is_refused(
    sandbox: Sandbox, paypal: PayPal, content: dict[str, Any], status: int, issue: str
) -> None:
    reply = paypal.post("/v2/checkout/orders", content)
    assert (reply.status_code, issues(reply)) == (status, [issue])
    assert sandbox.books("paypal")["payments"] == []


def test_an_order_that_nobody_approved_cannot_be_captured(sandbox: Sandbox, paypal: PayPal) -> None:
    reply = paypal.capture(paypal.order().json()["id"])
    assert (reply.status_code, issues(reply)) == (422, ["ORDER_NOT_APPROVED"])
    assert sandbox.books("paypal")["payments"][0]["state"] == "open"


def test_a_refused_card_sends_the_payer_back_to_the_same_order(sandbox: Sandbox, paypal: PayPal) -> None:
    order_id = approved(paypal, sandbox, "decline")
    reply = paypal.capture(order_id)
    assert (reply.status_code, issues(reply)) == (422, ["INSTRUMENT_DECLINED"])
    page = next(link["href"] for link in reply.json()["links"] if link["rel"] == "redirect")
    assert sandbox.books("paypal")["payments"][0]["state"] == "declined"
    sandbox.play(redirect(page))
    assert paypal.capture(order_id).json()["status"] == "COMPLETED"


def test_an_order_is_captured_once(sandbox: Sandbox, paypal: PayPal) -> None:
    order_id = approved(paypal, sandbox)
    first, replay, again = (
        paypal.capture(order_id, key="c"),
        paypal.capture(order_id, key="c"),
        paypal.capture(order_id),
    )
    assert (first.status_code, replay.status_code) == (201, 200)
    assert replay.json() == first.json()
    assert (again.status_code, issues(again)) == (422, ["ORDER_ALREADY_CAPTURED"])


def test_an_invoice_is_paid_once(sandbox: Sandbox, paypal: PayPal) -> None:
    paypal.paid(sandbox, invoice_id="i1", key="1")
    reply = paypal.capture(approved(paypal, sandbox, invoice_id="i1", key="2"))
    assert issues(reply) == ["DUPLICATE_INVOICE_ID"]


def test_who_leaves_goes_to_the_cancel_address_and_owes_nothing(sandbox: Sandbox, paypal: PayPal) -> None:
    made = paypal.order().json()
    played = sandbox.play(redirect(made["links"][0]["href"]), "abandon")
    assert played["redirect_to"] == f"http://127.0.0.1/c?token={made['id']}"
    assert paypal.get(f"/v2/checkout/orders/{made['id']}").json()["status"] == "PAYER_ACTION_REQUIRED"


def test_an_order_expires_after_three_hours_and_is_then_unknown(sandbox: Sandbox, paypal: PayPal) -> None:
    made = paypal.order().json()
    sandbox.advance(3 * 3_600 + 1)
    reply = paypal.get(f"/v2/checkout/orders/{made['id']}")
    assert (reply.status_code, issues(reply)) == (404, ["INVALID_RESOURCE_ID"])
    assert sandbox.books("paypal")["payments"][0]["state"] == "expired"
    with pytest.raises(Refused):
        sandbox.play(redirect(made["links"][0]["href"]))


def test_an_echeck_arrives_after_three_days(sandbox: Sandbox, paypal: PayPal) -> None:
    made = paypal.order().json()
    press(made["links"][0]["href"], "echeck")
    capture = paypal.capture(made["id"]).json()["purchase_units"][0]["payments"]["captures"][0]
    assert (capture["status"], capture["status_details"]) == ("PENDING", {"reason": "ECHECK"})
    assert "seller_receivable_breakdown" not in capture
    sandbox.advance(3 * 86_400)
    paypal = PayPal(sandbox)
    assert paypal.get(f"/v2/payments/captures/{capture['id']}").json()["status"] == "COMPLETED"


def test_the_sandbox_header_of_paypal_chooses_the_refusal(paypal: PayPal, sandbox: Sandbox) -> None:
    mock = {"PayPal-Mock-Response": json.dumps({"mock_application_codes": "TRANSACTION_REFUSED"})}
    reply = paypal.capture(approved(paypal, sandbox), **mock)
    assert (reply.status_code, issues(reply)) == (422, ["TRANSACTION_REFUSED"])


def test_the_page_shows_shop_and_amount_and_leads_back(paypal: PayPal) -> None:
    made = paypal.order(description="<b>Ticket</b>").json()
    page = requests.get(made["links"][0]["href"], timeout=5).text
    assert "<strong>Shop</strong>" in page
    assert "25.00\u00a0EUR" in page
    assert "&lt;b&gt;Ticket&lt;/b&gt;" in page
    reply = press(made["links"][0]["href"], "pay")
    assert (reply.status_code, reply.headers["Location"].partition("?")[0]) == (303, "http://127.0.0.1/r")


# ---------------------------------------------------------------- refunds


def test_a_refund_without_amount_gives_everything_back(sandbox: Sandbox, paypal: PayPal) -> None:
    capture = paypal.paid(sandbox)
    made = paypal.post(f"/v2/payments/captures/{capture['id']}/refund", {})
    assert (made.status_code, made.json()["status"]) == (201, "COMPLETED")
    assert made.json()["amount"] == {"currency_code": "EUR", "value": "25.00"}
    assert paypal.get(f"/v2/payments/captures/{capture['id']}").json()["status"] == "REFUNDED"
    assert paypal.get(f"/v2/payments/refunds/{made.json()['id']}").json() == made.json()


def test_partial_refunds_add_up_and_never_exceed(sandbox: Sandbox, paypal: PayPal) -> None:
    path = f"/v2/payments/captures/{paypal.paid(sandbox)['id']}/refund"
    ten = {"amount": {"currency_code": "EUR", "value": "10.00"}}
    assert [paypal.post(path, ten).status_code for _ in range(2)] == [201, 201]
    too_much = paypal.post(path, ten)
    assert (too_much.status_code, issues(too_much)) == (422, ["REFUND_AMOUNT_EXCEEDED"])
    assert paypal.post(path, {}).json()["amount"]["value"] == "5.00"
    assert issues(paypal.post(path, {})) == ["CAPTURE_FULLY_REFUNDED"]
    assert [line["amount_minor"] for line in sandbox.books("paypal")["refunds"]] == [1000, 1000, 500]


def test_a_repeated_refund_gives_back_once(sandbox: Sandbox, paypal: PayPal) -> None:
    path = f"/v2/payments/captures/{paypal.paid(sandbox)['id']}/refund"
    five = {"amount": {"currency_code": "EUR", "value": "5.00"}}
    assert paypal.post(path, five, key="r").json() == paypal.post(path, five, key="r").json()
    assert len(sandbox.books("paypal")["refunds"]) == 1


def test_a_refund_in_another_currency_is_refused(sandbox: Sandbox, paypal: PayPal) -> None:
    path = f"/v2/payments/captures/{paypal.paid(sandbox)['id']}/refund"
    reply = paypal.post(path, {"amount": {"currency_code": "USD", "value": "5.00"}})
    assert issues(reply) == ["REFUND_CAPTURE_CURRENCY_MISMATCH"]
    assert sandbox.books("paypal")["refunds"] == []


# ---------------------------------------------------------------- payouts


@pytest.mark.parametrize(
    ("receiver", "outcome", "state"),
    [
        ("c@example.org", ("SUCCESS", None), "paid"),
        ("unclaimed@example.org", ("UNCLAIMED", "RECEIVER_UNREGISTERED"), "unclaimed"),
        ("locked@example.org", ("FAILED", "RECEIVER_ACCOUNT_LOCKED"), "failed"),
        ("pending@example.org", ("PENDING", None), "pending"),
    ],
)
def test_a_payout_ends_as_its_receiver_says(
    sandbox: Sandbox, paypal: PayPal, receiver: str, outcome: tuple[str, str | None], state: str
) -> None:
    made = paypal.payout(receiver)
    assert (made.status_code, made.json()["batch_header"]["batch_status"]) == (201, "PENDING")
    sandbox.advance(1)
    batch = paypal.get(f"/v1/payments/payouts/{made.json()['batch_header']['payout_batch_id']}").json()
    assert batch["batch_header"]["batch_status"] == "SUCCESS"
    (item,) = batch["items"]
    assert (item["transaction_status"], item.get("errors", {}).get("name")) == outcome
    (line,) = sandbox.books("paypal")["payouts"]
    assert (line["reference"], line["amount_minor"], line["state"]) == ("po_1", 4000, state)


def test_a_batch_id_pays_once_and_names_the_first_batch(sandbox: Sandbox, paypal: PayPal) -> None:
    first = paypal.payout("c@example.org").json()["batch_header"]["payout_batch_id"]
    again = paypal.payout("c@example.org")
    assert (again.status_code, again.json()["name"]) == (400, "USER_BUSINESS_ERROR")
    assert again.json()["links"][0]["href"].endswith(first)
    assert len(sandbox.books("paypal")["payouts"]) == 1


def test_an_unclaimed_payout_can_be_taken_back(sandbox: Sandbox, paypal: PayPal) -> None:
    batch_id = paypal.payout("unclaimed@example.org").json()["batch_header"]["payout_batch_id"]
    sandbox.advance(1)
    item = paypal.get(f"/v1/payments/payouts/{batch_id}").json()["items"][0]["payout_item_id"]
    assert paypal.post(f"/v1/payments/payouts-item/{item}/cancel", {}).json()["transaction_status"] == "RETURNED"
    assert paypal.post(f"/v1/payments/payouts-item/{item}/cancel", {}).json()["name"] == "ITEM_ALREADY_CANCELLED"

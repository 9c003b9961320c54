"""PayPal in the box, spoken to as its documentation says."""

import base64
import json
import zlib
from typing import Any

import pytest
import requests
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from sandbox.testing import Refused, Sandbox
from sandbox.tests.clients import PayPal, press, redirect
from sandbox.tests.conftest import Received, Shop


def issues(reply: requests.Response) -> list[str]:
    return [detail["issue"] for detail in reply.json()["details"]]


def approved(paypal: PayPal, sandbox: Sandbox, act: str = "pay", **order: Any) -> str:
    made = paypal.order(**order).json()
    sandbox.play(redirect(made["links"][0]["href"]), act)
    return str(made["id"])


@pytest.fixture
def paypal(sandbox: Sandbox) -> PayPal:
    return PayPal(sandbox)


@pytest.fixture
def listening(sandbox: Sandbox, shop: Shop) -> Shop:
    sandbox.configure("paypal", webhook_url=f"{shop.url}/webhooks/paypal")
    return shop


def events(shop: Shop, sandbox: Sandbox) -> list[dict[str, Any]]:
    return [json.loads(letter.body) for letter in shop.posted(sandbox, "paypal")]


def is_signed(letter: Received, webhook_id: str = "WH-SANDBOX") -> bool:
    """PayPal's offline verification: CRC32 of the raw body, RSA under the certificate of the letter."""
    headers = letter.headers
    certificate = x509.load_pem_x509_certificate(requests.get(headers["paypal-cert-url"], timeout=5).content)
    key = certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    parts = [headers["paypal-transmission-id"], headers["paypal-transmission-time"], webhook_id]
    message = "|".join([*parts, str(zlib.crc32(letter.body))])
    signature = base64.b64decode(headers["paypal-transmission-sig"])
    try:
        key.verify(signature, message.encode(), padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True


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


# ---------------------------------------------------------------- webhooks


def test_what_happens_is_told_with_a_valid_signature(sandbox: Sandbox, paypal: PayPal, listening: Shop) -> None:
    capture = paypal.paid(sandbox)
    letters = listening.posted(sandbox, "paypal")
    told = [json.loads(letter.body) for letter in letters]
    assert [each["event_type"] for each in told] == ["CHECKOUT.ORDER.APPROVED", "PAYMENT.CAPTURE.COMPLETED"]
    assert told[1]["resource"]["id"] == capture["id"]
    assert told[1]["resource"]["custom_id"] == "pay_1"
    assert all(is_signed(letter) for letter in letters)
    assert not is_signed(letters[0], webhook_id="WH-OF-SOMEBODY-ELSE")


def test_a_registered_listener_hears_what_it_asked_for(sandbox: Sandbox, paypal: PayPal, shop: Shop) -> None:
    kinds = [{"name": "PAYMENT.CAPTURE.COMPLETED"}]
    hook = paypal.post("/v1/notifications/webhooks", {"url": f"{shop.url}/hook", "event_types": kinds}).json()
    paypal.paid(sandbox)
    (letter,) = shop.posted(sandbox, "paypal")
    assert is_signed(letter, hook["id"])


@pytest.mark.parametrize(("changed", "status"), [("", "SUCCESS"), ("body", "FAILURE"), ("webhook_id", "FAILURE")])
def test_paypal_verifies_its_own_letters(
    sandbox: Sandbox, paypal: PayPal, listening: Shop, changed: str, status: str
) -> None:
    paypal.order(description="Café")
    paypal.paid(sandbox, description="Café")
    letter = listening.posted(sandbox, "paypal")[0]
    parts = {
        "auth_algo": letter.headers["paypal-auth-algo"],
        "cert_url": letter.headers["paypal-cert-url"],
        "transmission_id": letter.headers["paypal-transmission-id"],
        "transmission_sig": letter.headers["paypal-transmission-sig"],
        "transmission_time": letter.headers["paypal-transmission-time"],
        "webhook_id": "WH-OTHER" if changed == "webhook_id" else "WH-SANDBOX",
    }
    event = letter.body.replace(b"pay_1", b"pay_2") if changed == "body" else letter.body
    body = json.dumps(parts).encode()[:-1] + b', "webhook_event": ' + event + b"}"
    reply = paypal.session.post(
        f"{paypal.base}/v1/notifications/verify-webhook-signature",
        data=body,
        headers={"Content-Type": "application/json"},
        timeout=5,
    )
    assert reply.json() == {"verification_status": status}


def test_a_letter_that_is_not_taken_comes_again(sandbox: Sandbox, paypal: PayPal, listening: Shop) -> None:
    listening.status = 500
    approved(paypal, sandbox)
    assert len(listening.posted(sandbox, "paypal")) == 1
    listening.status = 200
    sandbox.advance(11)
    first, second = listening.posted(sandbox, "paypal")
    assert first.body == second.body
    sandbox.advance(3 * 86_400)
    assert len(listening.posted(sandbox, "paypal")) == 2


@pytest.mark.parametrize(
    ("dials", "kinds"),
    [
        ({"drop": 1.0}, []),
        ({"duplicate": 1.0}, ["APPROVED", "APPROVED", "COMPLETED", "COMPLETED"]),
        ({"reorder": 1.0}, ["APPROVED", "COMPLETED"]),
    ],
)
def test_letters_are_lost_or_doubled_as_the_dials_say(
    sandbox: Sandbox, paypal: PayPal, listening: Shop, dials: dict[str, float], kinds: list[str]
) -> None:
    sandbox.turn("paypal", notify=dials)
    paypal.paid(sandbox)
    sandbox.advance(3)
    assert sorted(told["event_type"].rsplit(".", 1)[1] for told in events(listening, sandbox)) == kinds


def test_a_held_back_letter_is_overtaken_by_the_next(sandbox: Sandbox, paypal: PayPal, listening: Shop) -> None:
    sandbox.turn("paypal", notify={"reorder": 1.0})
    order_id = approved(paypal, sandbox)
    sandbox.turn("paypal", notify={"reorder": 0.0})
    paypal.capture(order_id)
    kinds = [told["event_type"] for told in events(listening, sandbox)]
    assert kinds == ["PAYMENT.CAPTURE.COMPLETED", "CHECKOUT.ORDER.APPROVED"]


def test_a_delayed_letter_waits_for_its_time(sandbox: Sandbox, paypal: PayPal, listening: Shop) -> None:
    sandbox.turn("paypal", notify={"delay_ms": 60_000})
    approved(paypal, sandbox)
    assert listening.posted(sandbox, "paypal") == []
    sandbox.advance(60)
    assert len(listening.posted(sandbox, "paypal")) == 1


def test_a_forger_claims_a_success_under_another_key(sandbox: Sandbox, paypal: PayPal, listening: Shop) -> None:
    sandbox.turn("paypal", notify={"forge": 1.0})
    paypal.order()
    (letter,) = listening.posted(sandbox, "paypal")
    told = json.loads(letter.body)
    assert (told["event_type"], told["resource"]["status"]) == ("PAYMENT.CAPTURE.COMPLETED", "COMPLETED")
    assert not is_signed(letter)
    assert sandbox.books("paypal")["payments"][0]["state"] == "open"


def test_a_wrong_amount_is_told_under_a_true_signature(sandbox: Sandbox, paypal: PayPal, listening: Shop) -> None:
    sandbox.turn("paypal", notify={"wrong_amount": 1.0})
    paypal.paid(sandbox)
    letter = listening.posted(sandbox, "paypal")[1]
    assert json.loads(letter.body)["resource"]["amount"]["value"] == "250.00"
    assert is_signed(letter)

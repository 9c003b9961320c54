"""PayPal's letters: signed, verified, repeated, and spoilt by the dials."""

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
from sandbox.tests.clients import PayPal, approved
from sandbox.tests.conftest import Received, Shop


@pytest.fixture
def listening(sandbox: Sandbox, shop: Shop) -> Shop:
    sandbox.configure("paypal", webhook_url=f"{shop.url}/webhooks/paypal")
    return shop


def events(shop: Shop, sandbox: Sandbox) -> list[dict[str, Any]]:
    return [json.loads(letter.body) for letter in shop.posted(sandbox, "paypal")]


def is_signed(letter: Received, webhook_id: str = "WHSANDBOX") -> bool:
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
        "webhook_id": "WHOTHER" if changed == "webhook_id" else "WHSANDBOX",
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


def test_letters_are_told_once_the_last_of_them_is_answered(sandbox: Sandbox, paypal: PayPal, listening: Shop) -> None:
    listening.may_answer.clear()
    approved(paypal, sandbox)
    known = sandbox.control("GET", "/_letters?gateway=paypal")
    assert (known["waiting"], known["letters"]) == (1, [])
    listening.may_answer.set()
    assert [line["status"] for line in sandbox.letters("paypal")] == [200]


@pytest.mark.parametrize("seconds", ["-1", "soon", "61"])
def test_nobody_waits_for_letters_without_end(sandbox: Sandbox, seconds: str) -> None:
    with pytest.raises(Refused, match="wait_seconds"):
        sandbox.control("GET", f"/_letters?wait_seconds={seconds}")


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

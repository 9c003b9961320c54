"""Letters that anybody can write: what cannot be kept or read is refused at the door, and never a mistake of ours."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from billing import inbox
from billing.gateways import registry
from billing.gateways.base import Hint, Trust
from billing.gateways.subjects import Subject
from billing.models import GatewayLetter
from billing.tests.gateways import contenders

pytestmark = pytest.mark.django_db

REFERENCE = uuid.UUID(int=7).hex
SIGNED = {
    "paypal-auth-algo": "SHA256withRSA",
    "paypal-cert-url": "https://api.paypal.com/v1/notifications/certs/CERT-1",
    "paypal-transmission-id": "tid-1",
    "paypal-transmission-sig": "c2lnbg==",
}
HUGE = b'{"a":' + b"9" * 5000 + b"}"  # Python reads no number of so many digits


class Nowhere:
    """In the place of a sandbox: none of these letters gets a gateway asked."""

    def base(self, gateway: str) -> str:
        return "http://127.0.0.1:9"


@pytest.fixture
def door(made_anew: None, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    nowhere: Any = Nowhere()
    makers = {
        "mtn_momo": lambda: contenders.mtn_momo_in(nowhere),
        "orange_money": lambda: contenders.orange_money_in(nowhere),
        "cinetpay": lambda: contenders.cinetpay_in(nowhere),
        "cinetpay_v1": lambda: contenders.cinetpay_v1_in(nowhere),
        "paypal": lambda: contenders.paypal_in(nowhere),
    }
    monkeypatch.setattr(registry, "BUILDERS", makers)

    def send(
        path: str, body: bytes, *, content_type: str = "application/json", headers: dict[str, str] | None = None
    ) -> int:
        answer = Client().post(f"/webhooks/{path}", body, content_type=content_type, headers=headers or {})
        return int(answer.status_code)

    return send


def test_letters_that_can_be_kept_are_kept(door) -> None:
    """Without this the refusals below would prove nothing."""
    assert door("mtn_momo", json.dumps({"externalId": REFERENCE, "status": "FAILED"}).encode()) == 200
    assert door("orange_money/t1", b'{"notif_token": "n1"}') == 200
    assert door("cinetpay_v1", b'{"merchant_transaction_id": "x", "notify_token": "n1"}') == 200
    form = "application/x-www-form-urlencoded"
    assert door("cinetpay", b"client_transaction_id=x&transaction_id=t1", content_type=form) == 200
    assert GatewayLetter.objects.count() == 4


@pytest.mark.parametrize("mark", [r"\ud800", r"\u0000"])
@pytest.mark.parametrize(
    ("path", "letter"),
    [
        ("mtn_momo", {"externalId": REFERENCE, "status": "MARK"}),
        ("orange_money/t1", {"notif_token": "MARK"}),
        ("orange_money/t1", {"notif_token": "n1", "status": "MARK"}),
        ("cinetpay_v1", {"merchant_transaction_id": "x", "notify_token": "MARK"}),
    ],
)
def test_half_characters_and_nul_in_json_are_refused(door, path, letter, mark) -> None:
    assert door(path, json.dumps(letter).replace("MARK", mark).encode()) == 400
    assert not GatewayLetter.objects.exists()


@pytest.mark.parametrize("path", ["mtn_momo", "orange_money/t1", "cinetpay_v1", "mtn_momo/t1"])
def test_numbers_that_nobody_can_read_are_refused(door, path) -> None:
    assert door(path, HUGE) == 400
    assert not GatewayLetter.objects.exists()


@pytest.mark.parametrize("name", ["transaction_id", "treatment_status"])
def test_nul_in_a_form_is_refused(door, name) -> None:
    form = "application/x-www-form-urlencoded"
    assert door("cinetpay", f"client_transaction_id=x&{name}=%00".encode(), content_type=form) == 400
    assert not GatewayLetter.objects.exists()


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("paypal-cert-url", "https://["),
        ("paypal-cert-url", "https://[::1"),
        ("paypal-transmission-sig", "é"),
        ("paypal-transmission-time", "é"),
    ],
)
def test_headers_of_no_sense_are_refused(door, header, value) -> None:
    headers = SIGNED | {"paypal-transmission-time": contenders.moment_ago(60)} | {header: value}
    assert door("paypal", b"{}", headers=headers) == 400
    assert not GatewayLetter.objects.exists()


@pytest.mark.parametrize("mark", ["\ud800", "\0"])
def test_what_a_proven_letter_carries_is_kept_without_what_cannot_be(mark) -> None:
    """A buyer may have typed it into a gateway's form; the letter still says what happened."""
    carried = {f"n{mark}": [f"A{mark}", 2**70, -1.5, True, None]}
    hint = Hint(event_id="e1", kind="k", subject=Subject.DISPUTE, trust=Trust.SIGNED, object=carried)
    assert inbox.store("stripe", [hint]) == 1
    assert GatewayLetter.objects.get().facts == {"n\ufffd": ["A\ufffd", str(2**70), -1.5, True, None]}

"""CinetPay's codes and its signature, which stands over sixteen values with nothing between them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from billing.gateways.base import Letter, PaymentRef, PaymentState
from billing.gateways.cinetpay import CinetPay, letters
from billing.gateways.cinetpay.configuration import Configuration
from billing.gateways.errors import InvalidLetter, Uncertain
from billing.gateways.http import Limits
from billing.gateways.references import short
from billing.tests.gateways import contenders, wire
from billing.tests.gateways.contenders import CONTENDERS
from ledger.money import Money

CINETPAY = next(each for each in CONTENDERS if each.name == "cinetpay")
OURS = "0" * 31 + "1"
VALUES = ["123456", "ORD-0001", "2026-01-02 03:04:05", "5000", "XOF", "sig0001", "OM", "0700000000", "225", "fr", "V4",
          "SINGLE", "PAYMENT", "meta", "Order 1", "SUCCES"]  # fmt: skip
FORM = dict(zip(letters.SIGNED_FIELDS, VALUES, strict=True))


def adapter(url: str = "http://127.0.0.1:9") -> CinetPay:
    configuration = Configuration(
        generation="checkout_v2", base_url=url, transfer_base_url=url, v1_base_url=url, api_key="key",
        site_id="123456", secret_key="cp_secret_test", transfer_password="", api_password="",
    )  # fmt: skip
    return CinetPay(configuration, Limits(connect_seconds=1, read_seconds=2, slow_read_seconds=2))


def letter(form: dict[str, str], signature: str) -> Letter:
    return Letter(method="POST", headers={"x-token": signature}, body=urlencode(form).encode())


def test_signature_is_the_documented_one() -> None:
    assert letters.token(FORM, "cp_secret_test") == "409aa9da86f7b3babb10da78f8cf4dd9559637bbd54d0e8b2bac1c2ae163b605"


def test_signed_letter_names_the_payment_and_nothing_else() -> None:
    form = {**FORM, "cpm_trans_id": short(OURS)}
    [hint] = adapter().read_letter(letter(form, letters.token(form, "cp_secret_test").upper()))
    assert (hint.reference, hint.amount) == (OURS, None)


@pytest.mark.parametrize("name", letters.SIGNED_FIELDS)
def test_any_value_that_was_changed_is_noticed(name: str) -> None:
    signature = letters.token(FORM, "cp_secret_test")
    with pytest.raises(InvalidLetter):
        adapter().read_letter(letter({**FORM, name: FORM[name] + "0"}, signature))


def test_letter_about_another_site_is_refused() -> None:
    form = {**FORM, "cpm_site_id": "654321"}
    with pytest.raises(InvalidLetter, match="another site"):
        adapter().read_letter(letter(form, letters.token(form, "cp_secret_test")))


def test_ping_says_nothing() -> None:
    assert adapter().read_letter(Letter(method="GET", headers={}, body=b"")) == []


def fetched(body: str, *, age: timedelta = timedelta(0)) -> Any:
    payment = PaymentRef(reference=OURS, amount=Money(5_000, "XOF"), created_at=datetime.now(UTC) - age)
    with wire.listening(wire.answer(body=body.encode())) as server:
        return adapter(server.url).fetch_payment(payment)


@pytest.mark.parametrize("code", ['"662"', "662", '"663"'])
def test_buyer_who_has_not_paid_yet_has_until_the_link_is_over(code: str) -> None:
    body = f'{{"code": {code}, "data": {{"status": "WAITING_FOR_CUSTOMER"}}}}'
    assert fetched(body).state is PaymentState.REQUIRES_ACTION
    assert fetched(body, age=timedelta(hours=2)).state is PaymentState.EXPIRED


def test_payment_under_way_does_not_expire() -> None:
    body = '{"code": "623", "data": {"status": "PENDING"}}'
    assert fetched(body, age=timedelta(hours=2)).state is PaymentState.PENDING


@pytest.mark.parametrize("amount", ['"5000"', '"5000.0"', "5000"])
def test_paid_amount_is_read_however_it_is_written(amount: str) -> None:
    body = f'{{"code": "00", "data": {{"status": "ACCEPTED", "amount": {amount}, "currency": "XOF"}}}}'
    found = fetched(body)
    assert (found.state, found.amount) == (PaymentState.SUCCEEDED, Money(5_000, "XOF"))


@pytest.mark.parametrize(
    "body",
    [
        '{"code": "00", "data": {"status": "REFUSED", "amount": "5000", "currency": "XOF"}}',
        '{"code": "00", "data": {"status": "ACCEPTED"}}',
        '{"code": "00"}',
        '{"code": "999", "message": "NEW_WORD"}',
        '{"message": "no code"}',
        '{"code": "624", "message": "PROCESSING_ERROR"}',
        "<html>",
    ],
)
def test_answer_that_does_not_say_paid_twice_over_is_no_success(body: str) -> None:
    with pytest.raises(Uncertain):
        fetched(body)


@pytest.mark.parametrize(
    "body", [b'{"code": "201"}', b'{"code": "201", "data": {"payment_url": 5}}', b'{"code": "-1"}']
)
def test_page_that_cannot_be_read_is_uncertain(body: bytes) -> None:
    with wire.listening(wire.answer(body=body)) as server, pytest.raises(Uncertain):
        adapter(server.url).open_checkout(contenders.checkout(CINETPAY))

"""CinetPay's codes and its signature, which stands over sixteen values with nothing between them."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from billing.gateways.base import Destination, DestinationKind, Letter, PaymentRef, PaymentState
from billing.gateways.cinetpay import CinetPay, letters
from billing.gateways.cinetpay.checkout_v2 import REFUSED, WRONG_ACCOUNT
from billing.gateways.cinetpay.configuration import Configuration
from billing.gateways.errors import Declined, FailureCategory, InvalidLetter, Unavailable, Uncertain
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


def adapter(url: str = "http://127.0.0.1:9", **changes: Any) -> CinetPay:
    told: dict[str, Any] = {
        "generation": "checkout_v2", "base_url": url, "transfer_base_url": url, "v1_base_url": url, "api_key": "key",
        "site_id": "123456", "secret_key": "cp_secret_test", "transfer_password": "", "api_password": "", **changes,
    }  # fmt: skip
    configuration = Configuration(**told)
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


# ---------------------------------------------------------------- what it refuses


def said(code: str, **more: Any) -> wire.Behaviour:
    return wire.answer(body=json.dumps({"code": code, **more}).encode())


@pytest.mark.parametrize("code", WRONG_ACCOUNT)
def test_key_or_site_that_is_refused_is_our_configuration(code: str) -> None:
    acts: list[Any] = [
        lambda paying: paying.check_health(),
        lambda paying: paying.open_checkout(contenders.checkout(CINETPAY)),
        lambda paying: paying.fetch_payment(PaymentRef(reference=OURS, amount=Money(5_000, "XOF"))),
    ]
    with wire.listening(said(code)) as server:
        for act in acts:
            with pytest.raises(Unavailable) as refused:
                act(adapter(server.url))
            assert (refused.value.category, refused.value.code) == (FailureCategory.CONFIGURATION, code)


def test_account_is_in_health_that_is_told_of_a_transaction_that_nobody_made() -> None:
    with wire.listening(said("723", message="TRANSACTION_NOT_FOUND")) as server:
        adapter(server.url).check_health()


@pytest.mark.parametrize("code", REFUSED)
def test_page_that_is_refused_is_declined_only_when_no_such_transaction_is_there(code: str) -> None:
    refusal = said(code, message="MINIMUM", description="of +2250700000001")
    with wire.listening(refusal, said("723")) as server, pytest.raises(Declined) as declined:
        adapter(server.url).open_checkout(contenders.checkout(CINETPAY))
    assert (declined.value.category, declined.value.code) == (FailureCategory.INVALID_REQUEST, code)
    assert str(declined.value) == "MINIMUM: of ***"
    for answer in (said("662", data={"status": "WAITING_FOR_CUSTOMER"}), wire.hang_up):
        with wire.listening(refusal, answer) as server, pytest.raises(Uncertain) as doubt:
            adapter(server.url).open_checkout(contenders.checkout(CINETPAY))
        assert doubt.value.category is FailureCategory.DUPLICATE


def test_account_without_transfers_pays_nobody_out() -> None:
    to = Destination(kind=DestinationKind.PHONE, value="+2250700000001")
    with wire.listening(said("0")) as server, pytest.raises(Declined) as refused:
        adapter(server.url).send_payout(contenders.payout(CINETPAY, to=to))
    assert (refused.value.category, server.received) == (FailureCategory.NOT_SUPPORTED, [])


def test_account_that_pays_to_telephones_pays_to_no_mail_address() -> None:
    to = Destination(kind=DestinationKind.EMAIL, value="awa@example.org")
    with wire.listening(said("0")) as server, pytest.raises(Declined) as refused:
        adapter(server.url, transfer_password="password").send_payout(contenders.payout(CINETPAY, to=to))
    assert (refused.value.category, server.received) == (FailureCategory.NOT_SUPPORTED, [])


def test_currency_that_cinetpay_does_not_know_is_not_declared() -> None:
    capabilities = adapter(currencies=("XOF", "EUR", "CDF"), transfer_password="password").capabilities
    assert [*capabilities.currencies] == [*capabilities.payout_currencies] == ["XOF", "CDF"]
    assert capabilities.currencies["CDF"].minimum_minor == 40_000  # of cents, which it has by ISO

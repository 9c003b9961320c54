"""CinetPay's API v1: what each of its codes means, and what is refused before anything is sent."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from billing.gateways.base import (
    Buyer,
    CheckoutRequest,
    Destination,
    DestinationKind,
    PaymentRef,
    PaymentState,
    PayoutRef,
    PayoutState,
)
from billing.gateways.cinetpay import CinetPay
from billing.gateways.cinetpay.api_v1 import CATEGORIES, DECLINED, LONGEST_URL, PAYMENT_STATES, PAYOUT_STATES
from billing.gateways.cinetpay.configuration import Configuration
from billing.gateways.errors import Declined, FailureCategory, Unavailable, Uncertain
from billing.gateways.http import Limits
from billing.gateways.references import fingerprint, short
from billing.tests.gateways import contenders, wire
from billing.tests.gateways.contenders import CONTENDERS
from ledger.money import Money

CINETPAY = next(each for each in CONTENDERS if each.name == "cinetpay v1")
OURS = "0" * 31 + "1"
NOON = datetime(2026, 5, 12, 12, 0, tzinfo=UTC)
AMOUNT = Money(5_000, "XOF")
TOKEN = {"code": 200, "access_token": "t1", "expires_in": 86_400}
UNKNOWN = ["31337", "200", ""]  # the second says that we were heard, and nothing of the money


def adapter(url: str, **changes: Any) -> CinetPay:
    configuration = Configuration(
        generation="v1", base_url=url, transfer_base_url=url, v1_base_url=url, api_key="key", site_id="",
        secret_key="", transfer_password="", api_password="password", **changes,
    )  # fmt: skip
    return CinetPay(configuration, Limits(connect_seconds=1, read_seconds=2, slow_read_seconds=2))


def told(act: Any, *answers: dict[str, Any], **changes: Any) -> tuple[Any, list[dict[str, Any]]]:
    """What comes of it, and the bodies that were sent after the token was asked for."""
    replies = [wire.answer(body=json.dumps(answer).encode()) for answer in (TOKEN, *answers)]
    with wire.listening(*replies) as server:
        found = act(adapter(server.url, **changes))
    return found, [json.loads(each.partition(b"\r\n\r\n")[2] or b"{}") for each in server.received[1:]]


def wish(**changes: Any) -> CheckoutRequest:
    return replace(contenders.checkout(CINETPAY, ours=OURS), **changes)


def opened(answer: dict[str, Any], request: CheckoutRequest | None = None, **changes: Any) -> Any:
    return told(lambda paying: paying.open_checkout(request or wish()), answer, **changes)


def page(**changes: Any) -> dict[str, Any]:
    known = {"code": 200, "merchant_transaction_id": short(OURS), "notify_token": "n1"}
    return {**known, "payment_url": "https://cinetpay.example/pay/1", **changes}


def fetched(answer: dict[str, Any]) -> Any:
    found, _ = told(lambda paying: paying.fetch_payment(PaymentRef(reference=OURS, amount=AMOUNT)), answer)
    return found


def paid_out(*answers: dict[str, Any]) -> Any:
    found, _ = told(lambda paying: paying.send_payout(contenders.payout(CINETPAY, ours=OURS)), *answers)
    return found


def fetched_payout(answer: dict[str, Any]) -> Any:
    found, _ = told(lambda paying: paying.fetch_payout(PayoutRef(reference=OURS, amount=AMOUNT)), answer)
    return found


# ---------------------------------------------------------------- payments


@pytest.mark.parametrize("code", DECLINED)
@pytest.mark.parametrize("act", [opened, paid_out])
def test_what_is_declined_moved_nothing(act: Any, code: str) -> None:
    with pytest.raises(Declined) as refused:
        act({"code": int(code), "message": "No.", "description": "Of +2250700000001 not."})
    assert (refused.value.category, refused.value.code) == (DECLINED[code], code)
    assert str(refused.value) == "Of *** not."


@pytest.mark.parametrize("act", [opened, paid_out])
def test_account_that_is_refused_is_our_configuration(act: Any) -> None:
    with pytest.raises(Unavailable) as refused:
        act({"code": 2011})
    assert refused.value.category is FailureCategory.CONFIGURATION


@pytest.mark.parametrize("act", [opened, paid_out])
def test_code_that_we_do_not_know_may_have_moved_money(act: Any) -> None:
    with pytest.raises(Uncertain) as doubt:
        act({"code": 31_337})
    assert doubt.value.code == "31337"


def test_page_is_ordered_and_opened_in_cinetpays_words() -> None:
    with time_machine.travel(NOON, tick=False):
        found, [sent] = opened(page(), wish(description="x" * 300))
    assert sent == {
        "currency": "XOF",
        "merchant_transaction_id": short(OURS),
        "amount": 5_000,
        "lang": "fr",
        "designation": "x" * 255,
        "client_email": "awa@example.org",
        "client_first_name": "Awa",
        "client_last_name": "Kone",
        "client_phone_number": "+237670000001",
        "channel": "PUSH",
        "success_url": contenders.RETURN_URL,
        "failed_url": contenders.RETURN_URL,
        "notify_url": "http://127.0.0.1:9/nobody",
    }
    assert found.ids == {"transaction": short(OURS), "notify_token_sha256": fingerprint("n1")}
    assert (found.state, found.next_action.url) == (PaymentState.REQUIRES_ACTION, "https://cinetpay.example/pay/1")
    assert found.next_action.expires_at == NOON + timedelta(hours=1)


def test_buyer_who_told_little_is_asked_of_little() -> None:
    _, [sent] = opened(page(), wish(description="", buyer=Buyer(id="buyer-1", email="awa@example.org", locale="en")))
    assert (sent["designation"], sent["lang"], "client_phone_number" in sent) == ("Payment", "en", False)


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("Awa Marie Kone", "Awa", "Marie Kone"),
        ("Awa", "Awa", "Awa"),  # there must be two
        ("A Kone", "Kone", "Kone"),  # of two letters at least
        (" ", "Client", "Client"),
    ],
)
def test_two_names_are_made_of_whatever_was_told(name: str, first: str, last: str) -> None:
    _, [sent] = opened(page(), wish(buyer=Buyer(id="buyer-1", name=name, email="awa@example.org")))
    assert (sent["client_first_name"], sent["client_last_name"]) == (first, last)


@pytest.mark.parametrize("url", [5, "", "javascript:alert(1)"])
def test_page_without_an_address_is_none_that_a_buyer_could_pay_on(url: object) -> None:
    with pytest.raises(Uncertain) as doubt:
        opened(page(payment_url=url))
    assert doubt.value.code == "unreadable"


@pytest.mark.parametrize(
    ("field", "name"), [("success_url", "success_url"), ("cancel_url", "failed_url"), ("notify_url", "notify_url")]
)
def test_address_that_is_longer_than_cinetpay_takes_is_refused_before_any_call(field: str, name: str) -> None:
    longest = "https://shop.example/".ljust(LONGEST_URL, "x")
    _, [sent] = opened(page(), wish(**{field: longest}))
    assert sent[name] == longest
    with wire.listening(wire.answer()) as server, pytest.raises(Declined) as refused:
        adapter(server.url).open_checkout(wish(**{field: longest + "x"}))
    assert (refused.value.category, refused.value.code) == (FailureCategory.INVALID_REQUEST, name)
    assert server.received == []


def test_buyer_without_a_mail_address_pays_under_ours_or_not_at_all() -> None:
    nameless = wish(buyer=Buyer(id="buyer-1"))
    _, [sent] = opened(page(), nameless, contact_email="pay@shop.example")
    assert (sent["client_email"], sent["client_first_name"]) == ("pay@shop.example", "Client")
    with wire.listening(wire.answer()) as server, pytest.raises(Declined) as refused:
        adapter(server.url).open_checkout(nameless)
    assert (refused.value.category, refused.value.code) == (FailureCategory.INVALID_PAYER, "client_email")
    assert server.received == []


@pytest.mark.parametrize("code", PAYMENT_STATES)
def test_each_code_of_a_payment_is_known(code: str) -> None:
    found = fetched({"code": int(code), "merchant_transaction_id": short(OURS)})
    assert (found.state, found.amount) == (PAYMENT_STATES[code], AMOUNT)
    assert (found.failure.category if found.failure else None) == CATEGORIES.get(code)


def test_payment_that_is_known_already_is_asked_about() -> None:
    known = {"code": 100, "merchant_transaction_id": short(OURS)}
    found, _ = told(lambda paying: paying.open_checkout(wish()), {"code": 1_200}, known)
    assert (found.state, found.next_action) == (PaymentState.SUCCEEDED, None)
    with pytest.raises(Uncertain) as doubt:
        told(lambda paying: paying.open_checkout(wish()), {"code": 1_200}, {"code": 404})
    assert doubt.value.category is FailureCategory.DUPLICATE


def test_payment_that_they_never_heard_of_is_not_found() -> None:
    assert fetched({"code": 404}).state is PaymentState.NOT_FOUND


@pytest.mark.parametrize("code", UNKNOWN)
def test_asking_without_a_code_that_we_know_is_uncertain(code: str) -> None:
    with pytest.raises(Uncertain):
        fetched({"code": code, "merchant_transaction_id": short(OURS)})


def test_answer_about_another_payment_says_nothing_of_ours() -> None:
    with pytest.raises(Uncertain) as doubt:
        fetched({"code": 100, "merchant_transaction_id": short("0" * 31 + "2")})
    assert doubt.value.code == "reference_mismatch"


# ---------------------------------------------------------------- payouts


@pytest.mark.parametrize(("operator", "told_as"), [("Wave", "WAVE_CI"), ("orange", "OM_CI"), ("", None), ("?", None)])
def test_transfer_is_ordered_in_cinetpays_words(operator: str, told_as: str | None) -> None:
    to = Destination(kind=DestinationKind.PHONE, value="+2250700000001", operator=operator)
    request = contenders.payout(CINETPAY, ours=OURS, to=to)
    _, [sent] = told(lambda paying: paying.send_payout(request), {"code": 200, "transaction_id": "T1"})
    assert sent.pop("payment_method", None) == told_as
    assert sent == {
        "currency": "XOF",
        "merchant_transaction_id": short(OURS),
        "phone_number": "+2250700000001",
        "amount": 5_000,
        "reason": "Withdrawal",
        "notify_url": "http://127.0.0.1:9/nobody",
    }


def test_transfer_that_was_only_taken_is_under_way() -> None:
    found = paid_out({"code": 200, "transaction_id": "T1", "amount": 5_000, "fee_amount": "50"})
    assert (found.state, found.ids["transfer"], found.failure) == (PayoutState.PENDING, "T1", None)
    assert (found.amount, found.fee) == (AMOUNT, Money(50, "XOF"))


def test_transfer_that_was_taken_without_a_name_is_uncertain() -> None:
    with pytest.raises(Uncertain):
        paid_out({"code": 200})


def test_state_that_is_told_at_once_counts() -> None:
    found = paid_out({"code": 2_005, "transaction_id": "T1"})
    assert (found.state, found.failure.category) == (PayoutState.FAILED, FailureCategory.INSUFFICIENT_FUNDS)


def test_transfer_that_is_known_already_is_asked_about() -> None:
    assert paid_out({"code": 1_200}, {"code": 2_002, "transaction_id": "T1"}).state is PayoutState.IN_TRANSIT
    with pytest.raises(Uncertain) as doubt:
        paid_out({"code": 1_200}, {"code": 404})
    assert doubt.value.category is FailureCategory.DUPLICATE


@pytest.mark.parametrize("code", PAYOUT_STATES)
def test_each_code_of_a_transfer_is_known(code: str) -> None:
    found = fetched_payout({"code": int(code), "transaction_id": "T1"})
    assert (found.state, found.failure.category if found.failure else None) == (
        PAYOUT_STATES[code],
        CATEGORIES.get(code),
    )


@pytest.mark.parametrize("code", UNKNOWN)
def test_asking_after_a_transfer_without_a_code_that_we_know_is_uncertain(code: str) -> None:
    with pytest.raises(Uncertain):
        fetched_payout({"code": code, "transaction_id": "T1"})


@pytest.mark.parametrize("act", [paid_out, fetched_payout])
def test_answer_about_another_transfer_says_nothing_of_ours(act: Any) -> None:
    told_of = {"code": 100, "transaction_id": "T1", "amount": 5_000}
    assert act({**told_of, "merchant_transaction_id": short(OURS)}).state is PayoutState.PAID
    with pytest.raises(Uncertain) as doubt:
        act({**told_of, "merchant_transaction_id": short("0" * 31 + "2")})
    assert doubt.value.code == "reference_mismatch"

"""The older transfer API: what each of its codes means, for money that may have gone and for money that has not."""

import json
from typing import Any
from urllib.parse import parse_qs

import pytest

from billing.gateways.base import Destination, DestinationKind, PayoutRef, PayoutRequest, PayoutState
from billing.gateways.cinetpay.configuration import Configuration
from billing.gateways.cinetpay.transfers import DECLINED, LATER, NOT_ALLOWED, STATES, Transfers
from billing.gateways.errors import Declined, FailureCategory, Unavailable, Uncertain
from billing.gateways.http import Limits
from billing.gateways.references import short
from billing.tests.gateways import wire
from ledger.money import Money

OURS = "0" * 31 + "1"
TOKEN = {"code": 0, "data": {"token": "t1"}}
ADDED = {"code": 0, "data": [[{"code": 0, "status": "success"}]]}


def transfers(url: str, **changes: Any) -> Transfers:
    configuration = Configuration(
        generation="checkout_v2", base_url=url, transfer_base_url=url, v1_base_url=url, api_key="key", site_id="123456",
        secret_key="secret", transfer_password="password", api_password="", **changes,
    )  # fmt: skip
    return Transfers(configuration, Limits(connect_seconds=1, read_seconds=2, slow_read_seconds=2))


def wish(**to: str) -> PayoutRequest:
    told = {"value": "+2250700000001", "name": "Awa Kone", **to}
    return PayoutRequest(
        reference=OURS,
        amount=Money(5_000, "XOF"),
        destination=Destination(kind=DestinationKind.PHONE, **told),
        notify_url="https://shop.example/webhooks/cinetpay",
    )


def transfer(**changes: Any) -> dict[str, Any]:
    return {"code": 0, "data": [{"transaction_id": "T1", "treatment_status": "VAL", "amount": "5000", **changes}]}


def refused(code: str) -> dict[str, Any]:
    return {"code": int(code), "message": "WORD"}


def sent(*answers: Any, request: PayoutRequest | None = None, **changes: str) -> tuple[Any, list[dict[str, Any]]]:
    """What comes of sending it, and the orders that were sent."""
    with wire.listening(*map(said, answers)) as server:
        found = transfers(server.url, **changes).send_payout(request or wish())
    bodies = [parse_qs(each.partition(b"\r\n\r\n")[2].decode()) for each in server.received]
    return found, [json.loads(body["data"][0])[0] for body in bodies if "data" in body]


def fetched(*answers: Any) -> Any:
    with wire.listening(*map(said, answers)) as server:
        return transfers(server.url).fetch_payout(PayoutRef(reference=OURS, amount=Money(5_000, "XOF")))


def said(answer: Any) -> wire.Behaviour:
    return wire.answer(body=answer if isinstance(answer, bytes) else json.dumps(answer).encode())


# ---------------------------------------------------------------- sending


def test_a_contact_is_made_and_then_the_money_is_sent_to_it() -> None:
    found, [contact, order] = sent(TOKEN, ADDED, transfer())
    assert (found.state, found.ids, found.amount) == (PayoutState.PAID, {"transfer": "T1"}, Money(5_000, "XOF"))
    assert contact == {"prefix": "225", "phone": "0700000001", "name": "Kone", "surname": "Awa"}
    assert (order["prefix"], order["phone"], order["amount"]) == ("225", "0700000001", 5_000)
    assert "payment_method" not in order


def test_wave_is_named_since_its_numbers_are_those_of_others() -> None:
    _, [_, order] = sent(TOKEN, ADDED, transfer(), request=wish(operator="Wave", value="+221770000001"))
    assert order["payment_method"] == "WAVESN"


def test_nameless_contact_is_called_by_its_number_and_gets_our_address() -> None:
    _, [contact, _] = sent(TOKEN, ADDED, transfer(), request=wish(name=""), contact_email="pay@shop.example")
    assert (contact["name"], contact["surname"]) == ("0700000001", "0700000001")
    assert contact["email"] == "pay@shop.example"


def test_contact_that_is_there_already_is_no_obstacle() -> None:
    found, _ = sent(TOKEN, refused("726"), transfer())
    assert found.state is PayoutState.PAID


@pytest.mark.parametrize("code", DECLINED)
def test_what_is_declined_moved_nothing(code: str) -> None:
    with pytest.raises(Declined) as refusal:
        sent(TOKEN, ADDED, refused(code))
    assert (refusal.value.category, refusal.value.code) == (DECLINED[code], code)


@pytest.mark.parametrize("code", NOT_ALLOWED)
def test_what_we_may_not_do_waits_for_an_operator(code: str) -> None:
    with pytest.raises(Unavailable) as refusal:
        sent(TOKEN, ADDED, refused(code))
    assert (refusal.value.category, refusal.value.code) == (FailureCategory.CONFIGURATION, code)


@pytest.mark.parametrize("code", LATER)
def test_what_is_busy_is_tried_later(code: str) -> None:
    with pytest.raises(Unavailable):
        sent(TOKEN, ADDED, refused(code))


@pytest.mark.parametrize(
    "answer", [refused("999"), {"code": 0}, {"code": 0, "data": ["word"]}, transfer(amount="much")]
)
def test_answer_that_we_do_not_understand_may_have_moved_money(answer: Any) -> None:
    with pytest.raises(Uncertain):
        sent(TOKEN, ADDED, answer)


def test_code_beside_the_transfer_counts_like_one_above_it() -> None:
    with pytest.raises(Declined):
        sent(TOKEN, ADDED, transfer(code="602"))


def test_reference_that_is_known_already_is_asked_about() -> None:
    found, _ = sent(TOKEN, ADDED, refused("805"), transfer(treatment_status="REC"))
    assert found.state is PayoutState.IN_TRANSIT


@pytest.mark.parametrize("answer", [refused("723"), refused("999"), b"<html>"])
def test_known_reference_of_which_nothing_is_told_is_uncertain(answer: Any) -> None:
    with pytest.raises(Uncertain) as doubt:
        sent(TOKEN, ADDED, refused("805"), answer)
    assert doubt.value.category is FailureCategory.DUPLICATE


# ---------------------------------------------------------------- the contact


@pytest.mark.parametrize("answer", [b"<html>", refused("999"), {"code": 0}, {"code": 0, "data": [[{"code": 999}]]}])
def test_contact_whose_answer_is_unclear_leaves_us_free_to_try_again(answer: Any) -> None:
    with pytest.raises(Unavailable):
        sent(TOKEN, answer)


def test_contact_that_is_declined_is_declined() -> None:
    with pytest.raises(Declined) as refusal:
        sent(TOKEN, refused("802"))
    assert refusal.value.category is FailureCategory.INVALID_PAYER


# ---------------------------------------------------------------- asking


@pytest.mark.parametrize("word", STATES)
def test_each_word_for_a_state_is_known(word: str) -> None:
    found = fetched(TOKEN, transfer(treatment_status=word))
    assert (found.state, found.failure is not None) == (STATES[word], word == "REJ")


def test_transfer_that_somebody_must_confirm_says_so() -> None:
    assert (
        fetched(TOKEN, transfer(treatment_status="NEW", sending_status="PENDING")).state is PayoutState.NEEDS_APPROVAL
    )


def test_transfer_that_they_never_heard_of_is_not_found() -> None:
    assert fetched(TOKEN, refused("723")).state is PayoutState.NOT_FOUND


@pytest.mark.parametrize("answer", [refused("999"), transfer(treatment_status="???"), b"<html>"])
def test_asking_without_a_clear_answer_is_uncertain(answer: Any) -> None:
    with pytest.raises(Uncertain):
        fetched(TOKEN, answer)


def test_answer_about_another_transfer_says_nothing_of_ours() -> None:
    assert fetched(TOKEN, transfer(client_transaction_id=short(OURS))).state is PayoutState.PAID
    another = transfer(client_transaction_id=short("0" * 31 + "2"))
    with pytest.raises(Uncertain) as doubt:
        fetched(TOKEN, another)
    assert doubt.value.code == "reference_mismatch"
    with pytest.raises(Uncertain):
        sent(TOKEN, ADDED, another)


# ---------------------------------------------------------------- the token


@pytest.mark.parametrize("code", ["705", "706"])
def test_stale_token_is_renewed_once(code: str) -> None:
    assert fetched(TOKEN, refused(code), TOKEN, transfer()).state is PayoutState.PAID


def test_token_that_is_refused_again_is_our_configuration() -> None:
    with pytest.raises(Unavailable) as refusal:
        fetched(TOKEN, refused("706"), TOKEN, refused("706"))
    assert refusal.value.category is FailureCategory.CONFIGURATION


def test_wrong_password_is_our_configuration() -> None:
    with pytest.raises(Unavailable) as refusal:
        fetched(refused("703"))
    assert (refusal.value.category, refusal.value.code) == (FailureCategory.CONFIGURATION, "703")


@pytest.mark.parametrize(
    "answer", [{"code": 0}, {"code": 0, "data": {"token": ""}}, {"code": 0, "data": []}, b"<html>"]
)
def test_login_without_a_token_is_tried_later(answer: Any) -> None:
    with pytest.raises(Unavailable):
        fetched(answer)

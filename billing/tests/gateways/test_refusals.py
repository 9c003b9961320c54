"""What an answer without success means: that surely nothing happened, or that nobody can say. What is wrongly taken for
the first is paid twice; what is wrongly taken for the second waits for nothing."""

from typing import Any

import orjson
import pytest

from billing.gateways import orange_money, phones
from billing.gateways.base import PaymentRef
from billing.gateways.cinetpay import api_v1
from billing.gateways.errors import Declined, FailureCategory, GatewayError, Unavailable, Uncertain
from billing.gateways.http import Reply
from billing.gateways.mtn_momo import translation as mtn_momo
from billing.gateways.paypal import errors as paypal
from billing.gateways.paypal import translation
from billing.gateways.stripe import currencies, payouts, refunds
from ledger.money import Money

REFERENCE = "ab" * 16


def reply(status: int, fields: Any = None) -> Reply:
    body = b"<html>" if fields is None else orjson.dumps(fields)
    return Reply(gateway="toy", status=status, headers={}, body=body)


def issued(word: str) -> dict[str, Any]:
    return {"name": "UNPROCESSABLE_ENTITY", "message": "No.", "details": [{"issue": word}]}


@pytest.mark.parametrize(
    ("status", "fields", "kind", "category"),
    [
        (401, {"error": "invalid_token"}, Unavailable, FailureCategory.CONFIGURATION),
        (403, issued("ANYTHING"), Unavailable, FailureCategory.CONFIGURATION),
        (422, issued("PAYEE_ACCOUNT_RESTRICTED"), Unavailable, FailureCategory.CONFIGURATION),
        (409, {"name": "RESOURCE_CONFLICT"}, Uncertain, FailureCategory.UNKNOWN),
        (422, issued("PREVIOUS_REQUEST_IN_PROGRESS"), Uncertain, FailureCategory.UNKNOWN),
        (422, issued("DUPLICATE_INVOICE_ID"), Uncertain, FailureCategory.DUPLICATE),
        (422, issued("TRANSACTION_REFUSED"), Declined, FailureCategory.PAYER_DECLINED),
        (422, issued("A_WORD_OF_TOMORROW"), Declined, FailureCategory.INVALID_REQUEST),
        (404, {"name": "RESOURCE_NOT_FOUND"}, Declined, FailureCategory.EXPIRED),
        (422, None, Uncertain, FailureCategory.UNKNOWN),
        (500, issued("TRANSACTION_REFUSED"), Uncertain, FailureCategory.UNKNOWN),
    ],
)
def test_refusal_of_paypal(status: int, fields: Any, kind: type[GatewayError], category: FailureCategory) -> None:
    found = paypal.refusal(reply(status, fields))
    assert (type(found), found.category) == (kind, category)


def test_refund_that_paypal_cannot_pay_yet_is_tried_later() -> None:
    found = paypal.refusal(reply(422, issued("REFUND_FAILED_INSUFFICIENT_FUNDS")))
    assert (type(found), found.code) == (Unavailable, "REFUND_FAILED_INSUFFICIENT_FUNDS")


@pytest.mark.parametrize(("status", "is_ours"), [(400, True), (401, True), (503, False)])
def test_token_that_paypal_refuses_is_for_an_operator(status: int, is_ours: bool) -> None:
    found = paypal.refused_credentials(reply(status, {"error": "invalid_client"}))
    assert isinstance(found, Unavailable)
    assert (found.category is FailureCategory.CONFIGURATION) == is_ours


def test_order_of_another_payment_says_nothing_of_ours() -> None:
    order = {"id": "5O1", "status": "APPROVED", "purchase_units": [{"custom_id": "cd" * 16}]}
    with pytest.raises(Uncertain) as refused:
        translation.payment_from_them(reply(200, order), REFERENCE)
    assert refused.value.code == "reference_mismatch"


@pytest.mark.parametrize(
    ("status", "fields", "kind", "category"),
    [
        (400, {"code": orange_money.ORDER_ID_USED}, Uncertain, FailureCategory.DUPLICATE),
        (401, {"code": 42}, Unavailable, FailureCategory.CONFIGURATION),
        (403, None, Unavailable, FailureCategory.CONFIGURATION),
        (400, {"code": 66, "message": "No."}, Declined, FailureCategory.INVALID_REQUEST),
        (400, None, Uncertain, FailureCategory.UNKNOWN),
        (500, {"code": 66}, Uncertain, FailureCategory.UNKNOWN),
    ],
)
def test_refusal_of_orange(status: int, fields: Any, kind: type[GatewayError], category: FailureCategory) -> None:
    found = orange_money._refusal(reply(status, fields))
    assert (type(found), found.category) == (kind, category)


def test_answer_of_orange_about_another_order_says_nothing_of_ours() -> None:
    payment = PaymentRef(reference=REFERENCE, amount=Money(500, "XOF"), ids={"pay_token": "t"})
    with pytest.raises(Uncertain) as refused:
        orange_money._payment_from_them(reply(200, {"status": "SUCCESS", "order_id": "another"}), payment)
    assert refused.value.code == "reference_mismatch"


@pytest.mark.parametrize(
    ("status", "fields", "kind"),
    [
        (403, {"code": "NOT_ALLOWED"}, Unavailable),
        (400, {"message": "No."}, Declined),
        (400, None, Uncertain),
        (500, {"code": "INTERNAL_PROCESSING_ERROR"}, Uncertain),
    ],
)
def test_refusal_of_mtn(status: int, fields: Any, kind: type[GatewayError]) -> None:
    assert type(mtn_momo.refusal(reply(status, fields))) is kind


def test_refusal_of_cinetpay_is_final_only_by_a_code_that_is_known() -> None:
    declined, account = next(iter(api_v1.DECLINED)), next(iter(api_v1.WRONG_ACCOUNT))
    kinds = [type(api_v1._refusal(reply(200, {"code": code}), code)) for code in (declined, account, "31337")]
    assert kinds == [Declined, Unavailable, Uncertain]


@pytest.mark.parametrize("phone", ["+33612345678", "+1202555"])
def test_number_of_a_country_that_nobody_reaches_is_refused(phone: str) -> None:
    with pytest.raises(Declined) as refused:
        phones.split(phone, gateway="cinetpay")
    assert (refused.value.category, refused.value.code) == (FailureCategory.INVALID_PAYER, "phone")


# ---------------------------------------------------------------- Stripe's objects


@pytest.mark.parametrize("minor", [None, "999", 9.99, True])
def test_amount_of_stripe_that_is_no_number_is_no_amount(minor: object) -> None:
    with pytest.raises(Uncertain):
        currencies.from_wire(minor, "eur")


def test_amount_of_stripe_in_no_currency_of_ours_is_no_amount() -> None:
    with pytest.raises(Uncertain):
        currencies.from_wire(999, "xxx")


def test_amount_of_stripe_is_never_rounded() -> None:
    assert currencies.from_wire(500, "ugx") == Money(5, "UGX")
    with pytest.raises(Uncertain):
        currencies.from_wire(550, "ugx")


@pytest.mark.parametrize("read", [refunds._result, payouts._of_payout])
def test_state_of_stripe_that_we_do_not_know_is_no_end(read: Any) -> None:
    with pytest.raises(Uncertain) as refused:
        read({"id": "x_1", "status": "of tomorrow", "amount": 999, "currency": "eur"})
    assert refused.value.code == "unreadable"


@pytest.mark.parametrize(
    ("reason", "category"),
    [
        ("insufficient_funds", FailureCategory.INSUFFICIENT_FUNDS),
        ("lost_or_stolen_card", FailureCategory.INVALID_PAYER),
        ("declined", FailureCategory.PAYER_DECLINED),
        ("of_tomorrow", FailureCategory.UNKNOWN),
    ],
)
def test_failed_refund_of_stripe_says_whose_fault_it_was(reason: str, category: FailureCategory) -> None:
    fields = {"id": "re_1", "status": "failed", "amount": 999, "currency": "eur", "failure_reason": reason}
    found = refunds._result(fields)
    assert found.failure is not None
    assert (found.failure.category, found.failure.code, found.amount) == (category, reason, Money(999, "EUR"))


@pytest.mark.parametrize(("is_reversed", "state"), [(False, "paid"), (True, "returned")])
def test_transfer_of_stripe_that_was_taken_back_is_returned(is_reversed: bool, state: str) -> None:
    found = payouts._of_transfer({"id": "tr_1", "amount": 400, "currency": "eur", "reversed": is_reversed})
    assert (found.state.value, found.ids) == (state, {"transfer": "tr_1"})

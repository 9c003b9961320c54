"""PayPal's answers that its sandbox does not give by itself: forgotten orders, lost ids, refusals, new words."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from billing.gateways.base import (
    Destination,
    DestinationKind,
    PaymentRef,
    PaymentState,
    PayoutRef,
    PayoutRequest,
    PayoutState,
    RefundRef,
    RefundRequest,
    RefundState,
)
from billing.gateways.errors import Declined, FailureCategory, GatewayError, Unavailable, Uncertain
from billing.gateways.http import Limits
from billing.gateways.paypal import RESEND_WINDOW, Configuration, PayPal
from billing.gateways.paypal.translation import APPROVAL_WINDOW
from billing.gateways.subscribing import DisputeState
from billing.tests.gateways import contenders, wire
from billing.tests.gateways.contenders import CONTENDERS
from ledger.money import Money

PAYPAL = next(each for each in CONTENDERS if each.name == "paypal")
OURS = "0" * 31 + "1"
AMOUNT = Money(999, "EUR")
VALUE = {"currency_code": "EUR", "value": "9.99"}
TOKEN = ("200 OK", {"access_token": "t1", "expires_in": 3_600})
LOST = ("404 Not Found", {"name": "RESOURCE_NOT_FOUND"})
FORBIDDEN = ("403 Forbidden", {"name": "NOT_AUTHORIZED"})
BROKEN = ("500 Internal Server Error", {"name": "INTERNAL_SERVER_ERROR"})
Answer = tuple[str, dict[str, Any]]


def adapter(url: str = "http://127.0.0.1:9", **changes: str) -> PayPal:
    told: dict[str, Any] = {
        "base_url": url,
        "client_id": "id",
        "client_secret": "secret",
        "webhook_id": "WH-1",
        **changes,
    }
    return PayPal(Configuration(**told), Limits(connect_seconds=1, read_seconds=2, slow_read_seconds=2))


def asked(act: Callable[[PayPal], Any], *answers: Answer) -> Any:
    replies = [wire.answer(status, json.dumps(body).encode()) for status, body in answers]
    with wire.listening(*replies) as server:
        return act(adapter(server.url))


def ok(**body: Any) -> Answer:
    return "200 OK", body


def no(issue: str, status: str = "422 Unprocessable Entity") -> Answer:
    return status, {"name": "UNPROCESSABLE_ENTITY", "message": "No.", "details": [{"issue": issue}]}


def payment(*, age: timedelta = timedelta(0), **ids: str) -> PaymentRef:
    return PaymentRef(reference=OURS, amount=AMOUNT, ids=ids, created_at=datetime.now(UTC) - age)


def order(status: str = "CREATED", **payments: Any) -> Answer:
    unit = {"custom_id": OURS, "amount": VALUE, **({"payments": payments} if payments else {})}
    return ok(id="O1", status=status, purchase_units=[unit])


CAPTURED = {"id": "C1", "status": "COMPLETED", "amount": VALUE}


# ---------------------------------------------------------------- payments


def test_page_that_is_missing_is_no_order_that_a_buyer_could_pay() -> None:
    request = replace(contenders.checkout(PAYPAL, ours=OURS), amount=AMOUNT)
    with pytest.raises(Uncertain, match="without a page"):
        asked(lambda paypal: paypal.open_checkout(request), TOKEN, order())


@pytest.mark.parametrize(
    ("answer", "error", "category"),
    [
        (no("CURRENCY_NOT_SUPPORTED"), Declined, FailureCategory.INVALID_REQUEST),
        (no("PAYEE_ACCOUNT_RESTRICTED"), Unavailable, FailureCategory.CONFIGURATION),
        (no("DUPLICATE_INVOICE_ID"), Uncertain, FailureCategory.DUPLICATE),
    ],
)
def test_page_that_is_refused_says_what_may_have_happened(
    answer: Answer, error: type[GatewayError], category: FailureCategory
) -> None:
    with pytest.raises(error) as refusal:
        asked(lambda paypal: paypal.open_checkout(contenders.checkout(PAYPAL)), TOKEN, answer)
    assert refusal.value.category is category


def test_order_of_another_payment_is_not_believed() -> None:
    other = ok(id="O1", status="CREATED", purchase_units=[{"custom_id": "other", "amount": VALUE}])
    with pytest.raises(Uncertain) as doubt:
        asked(lambda paypal: paypal.fetch_payment(payment(order="O1")), TOKEN, other)
    assert doubt.value.code == "reference_mismatch"


def test_what_never_had_an_order_is_not_found_and_not_captured() -> None:
    assert adapter().fetch_payment(payment()).state is PaymentState.NOT_FOUND
    with pytest.raises(Declined):
        adapter().capture(payment())


def test_order_that_we_may_not_see_is_our_configuration() -> None:
    with pytest.raises(Unavailable):
        asked(lambda paypal: paypal.fetch_payment(payment(order="O1")), TOKEN, FORBIDDEN)


@pytest.mark.parametrize(("age", "state"), [(timedelta(0), "not_found"), (APPROVAL_WINDOW * 2, "expired")])
def test_order_that_is_forgotten_is_over_once_its_time_is(age: timedelta, state: str) -> None:
    found = asked(lambda paypal: paypal.fetch_payment(payment(age=age, order="O1")), TOKEN, LOST)
    assert (found.state, found.ids) == (state, {"order": "O1"})


def test_capture_of_a_forgotten_order_is_still_told() -> None:
    known = payment(order="O1", capture="C1")
    found = asked(lambda paypal: paypal.fetch_payment(known), TOKEN, LOST, ok(**CAPTURED))
    assert (found.state, found.amount, found.ids["order"]) == (PaymentState.SUCCEEDED, AMOUNT, "O1")


def test_capture_that_is_forgotten_too_leaves_what_the_order_says() -> None:
    known = payment(order="O1", capture="C1")
    assert asked(lambda paypal: paypal.fetch_payment(known), TOKEN, LOST, LOST).state is PaymentState.NOT_FOUND


def test_buyer_whose_card_was_refused_goes_back_to_choose_another() -> None:
    status, body = no("INSTRUMENT_DECLINED")
    body["links"] = [{"rel": "redirect", "href": "https://paypal.example/choose"}]
    found = asked(lambda paypal: paypal.capture(payment(order="O1")), TOKEN, (status, body))
    assert (found.state, found.next_action.url) == (PaymentState.REQUIRES_ACTION, "https://paypal.example/choose")
    found = asked(lambda paypal: paypal.capture(payment(order="O1")), TOKEN, no("INSTRUMENT_DECLINED"))
    assert (found.state, found.next_action) == (PaymentState.REQUIRES_ACTION, None)


def test_order_that_was_captured_already_is_what_it_is() -> None:
    paid = order("COMPLETED", captures=[{**CAPTURED, "status": "DECLINED"}, CAPTURED])
    found = asked(lambda paypal: paypal.capture(payment(order="O1")), TOKEN, no("ORDER_ALREADY_CAPTURED"), paid)
    assert (found.state, found.ids) == (PaymentState.SUCCEEDED, {"order": "O1", "capture": "C1"})


def test_capture_that_is_declined_is_declined() -> None:
    with pytest.raises(Declined) as refusal:
        asked(lambda paypal: paypal.capture(payment(order="O1")), TOKEN, no("TRANSACTION_REFUSED"))
    assert refusal.value.category is FailureCategory.PAYER_DECLINED


@pytest.mark.parametrize("status", ["REFUNDED", "PARTIALLY_REFUNDED"])
def test_what_was_given_back_at_paypal_was_paid(status: str) -> None:
    told = order("COMPLETED", captures=[{**CAPTURED, "status": status}])
    found = asked(lambda paypal: paypal.fetch_payment(payment(order="O1")), TOKEN, told)
    assert (found.state, found.amount) == (PaymentState.SUCCEEDED, AMOUNT)


@pytest.mark.parametrize(("reason", "code"), [({}, "DECLINED"), ({"reason": "BUYER_COMPLAINT"}, "BUYER_COMPLAINT")])
def test_capture_that_was_declined_says_why_if_it_knows(reason: dict[str, str], code: str) -> None:
    told = order("COMPLETED", captures=[{**CAPTURED, "status": "DECLINED", "status_details": reason}])
    found = asked(lambda paypal: paypal.fetch_payment(payment(order="O1")), TOKEN, told)
    assert (found.state, found.failure.code) == (PaymentState.FAILED, code)


@pytest.mark.parametrize("moment", [None, "yesterday", "2026-05-12T08:00:00", "2026-05-12T08:00:00Z"])
def test_moment_of_payment_is_read_or_left_open(moment: str | None) -> None:
    told = order("COMPLETED", captures=[{**CAPTURED, "create_time": moment}])
    found = asked(lambda paypal: paypal.fetch_payment(payment(order="O1")), TOKEN, told)
    is_known = moment is not None and moment.startswith("2026")
    assert found.paid_at == (datetime(2026, 5, 12, 8, tzinfo=UTC) if is_known else None)


# ---------------------------------------------------------------- refunds


def refund(**ids: str) -> RefundRef:
    return RefundRef(reference=OURS, payment=payment(order="O1", capture="C1"), amount=AMOUNT, ids=ids)


def test_what_was_not_captured_is_not_refunded() -> None:
    with pytest.raises(Declined, match="Nothing was captured"):
        adapter().send_refund(RefundRequest(reference=OURS, payment=payment(order="O1"), amount=AMOUNT))


def test_refund_that_paypal_cannot_pay_yet_is_tried_later() -> None:
    request = RefundRequest(reference=OURS, payment=payment(order="O1", capture="C1"), amount=AMOUNT)
    with pytest.raises(Unavailable):
        asked(lambda paypal: paypal.send_refund(request), TOKEN, no("REFUND_FAILED_INSUFFICIENT_FUNDS"))


def test_refund_is_found_by_its_id() -> None:
    failed = ok(id="R1", status="FAILED", amount=VALUE, status_details={"reason": "ECHECK"})
    found = asked(lambda paypal: paypal.fetch_refund(refund(refund="R1")), TOKEN, failed)
    assert (found.state, found.failure.code) == (RefundState.FAILED, "ECHECK")
    assert asked(lambda paypal: paypal.fetch_refund(refund(refund="R1")), TOKEN, LOST).state is RefundState.NOT_FOUND
    with pytest.raises(Unavailable):
        asked(lambda paypal: paypal.fetch_refund(refund(refund="R1")), TOKEN, FORBIDDEN)


def test_refund_whose_id_was_lost_is_found_among_those_of_its_order() -> None:
    theirs = {"id": "R1", "status": "COMPLETED", "amount": VALUE, "invoice_id": "another"}
    ours = {**theirs, "id": "R2", "invoice_id": OURS}
    found = asked(lambda paypal: paypal.fetch_refund(refund()), TOKEN, order("COMPLETED", refunds=[theirs, ours]))
    assert (found.state, found.ids) == (RefundState.SUCCEEDED, {"refund": "R2"})
    found = asked(lambda paypal: paypal.fetch_refund(refund()), TOKEN, order("COMPLETED", refunds=[theirs]))
    assert found.state is RefundState.NOT_FOUND
    with pytest.raises(Uncertain, match="not shown"):
        asked(lambda paypal: paypal.fetch_refund(refund()), TOKEN, LOST)


# ---------------------------------------------------------------- payouts

WISH = PayoutRequest(
    reference=OURS, amount=AMOUNT, destination=Destination(kind=DestinationKind.EMAIL, value="awa@example.org")
)
KNOWN = {"name": "USER_BUSINESS_ERROR", "details": [{"field": "SENDER_BATCH_ID"}]}
LINK = {"href": "https://api.paypal.example/v1/payments/payouts/B1"}


def batch(status: str = "SUCCESS", **item: Any) -> Answer:
    told = {
        "payout_item_id": "I1",
        "payout_item": {"sender_item_id": OURS, "amount": {"currency": "EUR", "value": "9.99"}},
    }
    header = {"payout_batch_id": "B1", "batch_status": status}
    return ok(batch_header=header, items=[{**told, **item}] if item else [])


def payout(*, age: timedelta = timedelta(0), request: PayoutRequest | None = None, **ids: str) -> PayoutRef:
    created = datetime.now(UTC) - age
    return PayoutRef(reference=OURS, amount=AMOUNT, ids=ids, created_at=created, request=request)


def test_paypal_does_not_pay_to_telephones() -> None:
    to = Destination(kind=DestinationKind.PHONE, value="+2250700000001")
    with pytest.raises(Declined) as refusal:
        adapter().send_payout(replace(WISH, destination=to))
    assert refusal.value.category is FailureCategory.NOT_SUPPORTED


def test_batch_that_is_known_already_is_asked_about() -> None:
    again = ("400 Bad Request", {**KNOWN, "links": [LINK]})
    found = asked(lambda paypal: paypal.send_payout(WISH), TOKEN, again, batch(transaction_status="SUCCESS"))
    assert (found.state, found.ids) == (PayoutState.PAID, {"batch": "B1", "item": "I1"})


@pytest.mark.parametrize("links", [None, [], ["word"], [{"href": "https://paypal.example/help"}]])
def test_known_batch_without_a_link_to_it_is_uncertain(links: Any) -> None:
    with pytest.raises(Uncertain) as doubt:
        asked(lambda paypal: paypal.send_payout(WISH), TOKEN, ("400 Bad Request", {**KNOWN, "links": links}))
    assert doubt.value.category is FailureCategory.DUPLICATE


@pytest.mark.parametrize(
    ("answer", "error", "category"),
    [
        (no("INSUFFICIENT_FUNDS"), Declined, FailureCategory.INSUFFICIENT_FUNDS),
        (FORBIDDEN, Unavailable, FailureCategory.CONFIGURATION),
        (BROKEN, Uncertain, FailureCategory.PROVIDER_DOWN),
        (("418 I'm a teapot", {"name": "TEAPOT"}), Uncertain, FailureCategory.UNKNOWN),
    ],
)
def test_payout_that_is_refused_says_whether_money_may_have_gone(
    answer: Answer, error: type[GatewayError], category: FailureCategory
) -> None:
    with pytest.raises(error) as refusal:
        asked(lambda paypal: paypal.send_payout(WISH), TOKEN, answer)
    assert refusal.value.category is category


def test_batch_whose_id_was_lost_is_asked_about_by_sending_it_again_while_that_is_safe() -> None:
    young = payout(request=WISH, age=RESEND_WINDOW / 2)
    assert asked(lambda paypal: paypal.fetch_payout(young), TOKEN, batch("PENDING")).state is PayoutState.PENDING
    for each in (payout(), payout(request=WISH, age=RESEND_WINDOW * 2)):
        with pytest.raises(Uncertain) as doubt:
            adapter().fetch_payout(each)
        assert doubt.value.code == "resend"


def test_batch_that_paypal_does_not_show_is_not_found() -> None:
    found = asked(lambda paypal: paypal.fetch_payout(payout(batch="B1")), TOKEN, LOST)
    assert (found.state, found.ids) == (PayoutState.NOT_FOUND, {"batch": "B1"})
    with pytest.raises(Unavailable):
        asked(lambda paypal: paypal.fetch_payout(payout(batch="B1")), TOKEN, FORBIDDEN)


@pytest.mark.parametrize(
    ("told", "state"),
    [
        (batch("SUCCESS"), PayoutState.IN_TRANSIT),  # of the item nothing is known
        (batch("DENIED", transaction_status="SUCCESS"), PayoutState.FAILED),
        (batch("SUCCESS", transaction_status="UNCLAIMED"), PayoutState.UNCLAIMED),
        (batch("PROCESSING", payout_item_fee={"currency": "EUR", "value": "0.20"}), PayoutState.PENDING),
    ],
)
def test_state_of_a_payout_is_that_of_its_item_unless_all_was_refused(told: Answer, state: PayoutState) -> None:
    found = asked(lambda paypal: paypal.fetch_payout(payout(batch="B1")), TOKEN, told)
    assert found.state is state
    assert found.fee == (Money(20, "EUR") if state is PayoutState.PENDING else None)


def test_item_says_why_it_failed() -> None:
    told = batch(transaction_status="FAILED", errors={"name": "RECEIVER_UNREGISTERED"})
    found = asked(lambda paypal: paypal.fetch_payout(payout(batch="B1")), TOKEN, told)
    assert (found.state, found.failure.category) == (PayoutState.FAILED, FailureCategory.INVALID_PAYER)


# ---------------------------------------------------------------- credentials


@pytest.mark.parametrize(
    ("answer", "category"),
    [
        (("401 Unauthorized", {"error": "invalid_client"}), FailureCategory.CONFIGURATION),
        (BROKEN, FailureCategory.PROVIDER_DOWN),
    ],
)
def test_health_tells_a_wrong_secret_from_a_bad_day(answer: Answer, category: FailureCategory) -> None:
    with pytest.raises(Unavailable) as refusal:
        asked(lambda paypal: paypal.check_health(), answer)
    assert refusal.value.category is category


@pytest.mark.parametrize(
    ("name", "setting"),
    [("base_url", "PAYPAL_API_BASE"), ("client_id", "PAYPAL_CLIENT_ID"), ("webhook_id", "PAYPAL_WEBHOOK_ID")],
)
def test_setting_that_is_missing_is_named(name: str, setting: str) -> None:
    assert adapter(**{name: ""}).missing_settings() == [setting]
    assert adapter().missing_settings() == []


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (no("PERMISSION_DENIED", "403 Forbidden"), Unavailable),
        (no("PREVIOUS_REQUEST_IN_PROGRESS"), Uncertain),
        (no("WHATEVER", "409 Conflict"), Uncertain),
        (no("DUPLICATE_INVOICE_ID"), Uncertain),
        (no("A_NEW_WORD"), Declined),
        (("418 I'm a teapot", {"name": "TEAPOT"}), Uncertain),
    ],
)
def test_each_refusal_means_what_may_have_happened(answer: Answer, error: type[Exception]) -> None:
    with pytest.raises(error):
        asked(lambda paypal: paypal.capture(payment(order="O1")), TOKEN, answer)


def test_dispute_is_told_by_its_event() -> None:
    event = {"resource": {"reason": "UNAUTHORISED", "dispute_outcome": {"outcome_code": "RESOLVED_BUYER_FAVOUR"}}}
    told = adapter().dispute_told(kind="CUSTOMER.DISPUTE.RESOLVED", event=event)
    assert (told.state, told.reason) == (DisputeState.LOST, "unauthorised")
    assert adapter().dispute_told(kind="CUSTOMER.DISPUTE.UPDATED", event=event).state is DisputeState.NEEDS_RESPONSE

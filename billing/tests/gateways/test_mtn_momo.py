"""What MTN says in ways of its own: refusals with status 500, reasons in two shapes, fronts that want a body."""

from typing import Any

import pytest

from billing.gateways import mtn_momo, phones
from billing.gateways.base import Destination, DestinationKind, Letter, PaymentRef, PaymentState, RefundRequest
from billing.gateways.errors import Declined, FailureCategory, InvalidLetter, Unavailable, Uncertain
from billing.gateways.http import Limits
from billing.gateways.subjects import Subject
from billing.tests.gateways import contenders, wire
from billing.tests.gateways.contenders import CONTENDERS
from ledger.money import Money

MTN = next(each for each in CONTENDERS if each.name == "mtn_momo")
TOKEN = wire.answer(body=b'{"access_token": "eyJ", "token_type": "access_token", "expires_in": 3600}')
NOT_FOUND = wire.answer("404 Not Found", b'{"code": "RESOURCE_NOT_FOUND"}')


def adapter(server: wire.Wire, **changes: Any) -> mtn_momo.MtnMomo:
    product = mtn_momo.Product(subscription_key="key", user="user", secret="secret")
    told: dict[str, Any] = {
        "base_url": server.url, "target_environment": "mtncameroon", "currency": "XAF", "country": "CM",
        "collection": product, "disbursement": product, **changes,
    }  # fmt: skip
    configuration = mtn_momo.Configuration(**told)
    return mtn_momo.MtnMomo(configuration, Limits(connect_seconds=1, read_seconds=2, slow_read_seconds=2))


def fault(code: str) -> wire.Behaviour:
    return wire.answer("500 Internal Server Error", f'{{"code": "{code}"}}'.encode())


def opened(*behaviours: wire.Behaviour) -> Any:
    with wire.listening(TOKEN, *behaviours) as server:
        return adapter(server).open_checkout(contenders.checkout(MTN))


@pytest.mark.parametrize("code", ["INVALID_CURRENCY", "NOT_ALLOWED_TARGET_ENVIRONMENT", "INVALID_CALLBACK_URL_HOST"])
def test_fault_that_is_a_refusal_of_our_setup_moved_nothing(code: str) -> None:
    with pytest.raises(Unavailable) as refused:
        opened(fault(code), NOT_FOUND)
    assert (refused.value.category, refused.value.code) == (FailureCategory.CONFIGURATION, code)


def test_fault_that_is_a_refusal_is_believed_only_when_mtn_has_no_such_order() -> None:
    with pytest.raises(Declined):
        opened(fault("NOT_ALLOWED"), NOT_FOUND)
    with pytest.raises(Uncertain):
        opened(fault("NOT_ALLOWED"), wire.hang_up)


@pytest.mark.parametrize(
    "refusal", [fault("NOT_ALLOWED"), wire.answer("409 Conflict", b'{"code": "RESOURCE_ALREADY_EXIST"}')]
)
def test_order_that_mtn_has_all_the_same_is_what_it_is(refusal: wire.Behaviour) -> None:
    def known(status: str) -> wire.Behaviour:
        return wire.answer(body=f'{{"status": "{status}", "amount": "5000", "currency": "XAF"}}'.encode())

    paid = opened(refusal, known("SUCCESSFUL"))
    assert (paid.state, paid.amount, paid.next_action) == (PaymentState.SUCCEEDED, Money(5_000, "XAF"), None)
    waits = opened(refusal, known("PENDING"))
    assert (waits.state, waits.next_action.phone) == (PaymentState.REQUIRES_ACTION, "+237670000001")


@pytest.mark.parametrize("code", ["INTERNAL_PROCESSING_ERROR", "SERVICE_UNAVAILABLE", ""])
def test_other_faults_are_uncertain(code: str) -> None:
    with pytest.raises(Uncertain):
        opened(fault(code))


def test_known_reference_of_which_nothing_is_heard_is_uncertain() -> None:
    known = wire.answer("409 Conflict", b'{"code": "RESOURCE_ALREADY_EXIST"}')
    for answer in (wire.hang_up, NOT_FOUND):
        with pytest.raises(Uncertain) as unsure:
            opened(known, answer)
        assert unsure.value.category is FailureCategory.DUPLICATE


def test_address_that_mtn_does_not_know_is_a_matter_of_configuration() -> None:
    with pytest.raises(Unavailable) as refused:
        opened(wire.answer("403 Forbidden", b'{"code": "FORBIDDEN_IP"}'))
    assert refused.value.category is FailureCategory.CONFIGURATION


def test_page_of_the_filter_is_no_answer() -> None:
    with pytest.raises(Uncertain):
        opened(wire.answer(body=b"<html>Request Rejected</html>"))


def test_front_that_wants_a_body_for_the_token_gets_one() -> None:
    refused = wire.answer("411 Length Required", b"<html>")
    with wire.listening(refused, TOKEN) as server:
        adapter(server).check_health()
    assert b"Content-Length: 0" in server.received[0]
    assert server.received[1].endswith(b'{"grant_type": "client_credentials"}')


def test_refunds_that_are_not_switched_on_are_declined_before_any_call() -> None:
    payment = PaymentRef(reference="0" * 31 + "1", amount=Money(5_000, "XAF"))
    with wire.listening(TOKEN) as server, pytest.raises(Declined) as refused:
        adapter(server, refunds=False).send_refund(
            RefundRequest(reference="0" * 31 + "2", payment=payment, amount=Money(1_000, "XAF"))
        )
    assert (refused.value.category, server.received) == (FailureCategory.NOT_SUPPORTED, [])


NOBODY = mtn_momo.Product(subscription_key="", user="", secret="")


@pytest.mark.parametrize(
    ("kind", "changes"), [(DestinationKind.EMAIL, {}), (DestinationKind.PHONE, {"disbursement": NOBODY})]
)
def test_payout_that_mtn_does_not_make_is_declined_before_any_call(
    kind: DestinationKind, changes: dict[str, Any]
) -> None:
    request = contenders.payout(MTN, to=Destination(kind=kind, value="+237670000002"))
    with wire.listening(TOKEN) as server, pytest.raises(Declined) as refused:
        adapter(server, **changes).send_payout(request)
    assert (refused.value.category, server.received) == (FailureCategory.NOT_SUPPORTED, [])


def fetched(body: str, status: str = "200 OK") -> Any:
    with wire.listening(TOKEN, wire.answer(status, body.encode())) as server:
        return adapter(server).fetch_payment(PaymentRef(reference="0" * 31 + "1", amount=Money(5_000, "XAF")))


def test_order_that_we_may_not_see_is_neither_lost_nor_paid() -> None:
    with pytest.raises(Unavailable) as refused:
        fetched('{"code": "FORBIDDEN_IP"}', "403 Forbidden")
    assert (refused.value.category, refused.value.code) == (FailureCategory.CONFIGURATION, "FORBIDDEN_IP")
    with pytest.raises(Uncertain):  # not as documented, whatever its body says
        fetched('{"status": "SUCCESSFUL", "amount": "5000", "currency": "XAF"}', "203 Non-Authoritative Information")


@pytest.mark.parametrize(
    ("reason", "state", "category"),
    [
        ('"APPROVAL_REJECTED"', PaymentState.CANCELLED, FailureCategory.PAYER_CANCELLED),
        ('{"code": "EXPIRED", "message": "late"}', PaymentState.EXPIRED, FailureCategory.EXPIRED),
        ('{"code": "NOT_ENOUGH_FUNDS"}', PaymentState.FAILED, FailureCategory.INSUFFICIENT_FUNDS),
        ('"SOMETHING_NEW"', PaymentState.FAILED, FailureCategory.UNKNOWN),
        ("null", PaymentState.FAILED, FailureCategory.UNKNOWN),
    ],
)
def test_reason_is_read_in_both_shapes(reason: str, state: PaymentState, category: FailureCategory) -> None:
    found = fetched(f'{{"status": "FAILED", "amount": "5000", "currency": "XAF", "reason": {reason}}}')
    assert (found.state, found.failure.category) == (state, category)


@pytest.mark.parametrize(
    "body",
    [
        '{"status": "DONE", "amount": "5000", "currency": "XAF"}',
        '{"status": "SUCCESSFUL", "currency": "XAF"}',
        '{"status": "SUCCESSFUL", "amount": "5000.5", "currency": "XAF"}',
        '{"status": "SUCCESSFUL", "amount": "5000", "currency": "???"}',
        '{"status": "SUCCESSFUL", "amount": "5000", "currency": "XAF", "externalId": "%s"}' % ("f" * 32),
        '{"amount": "5000", "currency": "XAF"}',
    ],
)
def test_reply_that_is_not_as_documented_is_no_success(body: str) -> None:
    with pytest.raises(Uncertain):
        fetched(body)


def test_amount_is_reported_as_mtn_wrote_it() -> None:
    found = fetched('{"status": "SUCCESSFUL", "amount": "50.0", "currency": "XAF"}')
    assert (found.state, found.amount) == (PaymentState.SUCCEEDED, Money(50, "XAF"))


@pytest.mark.parametrize("phone", ["", "670000001x", "12", "+0", "+1234567890123456"])
def test_number_that_is_none_is_refused_before_any_call(phone: str) -> None:
    with pytest.raises(Declined) as refused:
        phones.digits(phone, gateway="mtn_momo")
    assert refused.value.category is FailureCategory.INVALID_PAYER


@pytest.mark.parametrize(
    ("body", "subject"),
    [
        (b'{"payer": {}}', Subject.PAYMENT),
        (b'{"payee": {}}', Subject.PAYOUT),
        (b'{"status": "FAILED"}', Subject.REFUND),
    ],
)
def test_callback_says_what_it_is_about_by_put_and_post(body: bytes, subject: Subject) -> None:
    with wire.listening(TOKEN) as server:
        for method in ("PUT", "POST"):
            [hint] = adapter(server).read_letter(Letter(method=method, headers={}, body=body, token="opaque"))
            assert hint.subject is subject
        with pytest.raises(InvalidLetter):
            adapter(server).read_letter(Letter(method="POST", headers={}, body=body))
    assert server.received == []

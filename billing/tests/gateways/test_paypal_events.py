"""What PayPal's letters say once they are proven: about what, of which of our payments, and how a dispute stands."""

from datetime import UTC, datetime
from json import dumps

import pytest

from billing.gateways.base import Letter
from billing.gateways.errors import InvalidLetter
from billing.gateways.paypal import letters
from billing.gateways.subjects import Subject
from billing.gateways.subscribing import DisputeState
from ledger.money import Money

OURS = "0" * 31 + "1"


@pytest.mark.parametrize(
    ("kind", "resource", "subject", "reference", "ids"),
    [
        ("CHECKOUT.ORDER.APPROVED", {"id": "O1", "purchase_units": [{"custom_id": OURS}]}, Subject.PAYMENT, OURS,
         {"order": "O1"}),
        ("PAYMENT.CAPTURE.COMPLETED", {"id": "C1", "custom_id": OURS, "supplementary_data": {"related_ids": {
            "order_id": "O1"}}}, Subject.PAYMENT, OURS, {"order": "O1", "capture": "C1"}),
        ("PAYMENT.CAPTURE.REFUNDED", {"id": "R1", "invoice_id": OURS, "links": [
            {"rel": "up", "href": "https://api.paypal.com/v2/payments/captures/C1"}]}, Subject.REFUND, OURS,
         {"refund": "R1", "capture": "C1"}),
        ("PAYMENT.CAPTURE.REVERSED", {"id": "R1", "invoice_id": OURS, "links": [
            {"rel": "up", "href": "https://api.paypal.com/v2/payments/captures/C1"}]}, Subject.REVERSAL, OURS,
         {"refund": "R1", "capture": "C1"}),
        ("PAYMENT.PAYOUTSBATCH.SUCCESS", {"batch_header": {"payout_batch_id": "B1", "sender_batch_header": {
            "sender_batch_id": OURS}}}, Subject.PAYOUT, OURS, {"batch": "B1"}),
        ("PAYMENT.PAYOUTS-ITEM.FAILED", {"payout_batch_id": "B1", "payout_item_id": "I1", "payout_item": {
            "sender_item_id": OURS}}, Subject.PAYOUT, OURS, {"batch": "B1", "item": "I1"}),
        ("CUSTOMER.DISPUTE.CREATED", {"dispute_id": "PP-D-1", "disputed_transactions": [
            {"seller_transaction_id": "C1", "custom": OURS}]}, Subject.DISPUTE, OURS,
         {"dispute": "PP-D-1", "capture": "C1"}),
        ("CUSTOMER.DISPUTE.UPDATED", {"dispute_id": "PP-D-1"}, Subject.DISPUTE, "", {"dispute": "PP-D-1"}),
        ("BILLING.SUBSCRIPTION.CANCELLED", {"id": "I-1", "custom_id": OURS}, Subject.SUBSCRIPTION, OURS,
         {"subscription": "I-1"}),
        ("RISK.SOMETHING.NEW", {"id": "X"}, Subject.OTHER, "", {"other": "X"}),
        ("PAYMENT.CAPTURE.COMPLETED", {"custom_id": 5, "supplementary_data": []}, Subject.PAYMENT, "", {}),
        ("PAYMENT.CAPTURE.REFUNDED", {"invoice_id": [], "links": "x"}, Subject.REFUND, "", {}),
    ],
)  # fmt: skip
def test_event_says_what_it_is_about(kind, resource, subject, reference, ids) -> None:
    body = dumps({"id": "WH-1", "event_type": kind, "resource": resource}).encode()
    [hint] = letters.hints(Letter(method="POST", headers={}, body=body))
    assert (hint.event_id, hint.kind, hint.subject, hint.reference) == ("WH-1", kind, subject, reference)
    assert hint.ids == ids


EVENT = {"id": "WH-1", "event_type": "PAYMENT.CAPTURE.COMPLETED", "resource": {"id": "C1"}}


@pytest.mark.parametrize(
    "changes",
    [
        {"id": ""},
        {"id": 5},
        {"id": None},
        {"event_type": None},
        {"event_type": []},
        {"resource": None},
        {"resource": []},
    ],
)
def test_event_without_id_kind_or_resource_is_none(changes: dict[str, object]) -> None:
    with pytest.raises(InvalidLetter, match="no id, type or resource"):
        letters.hints(Letter(method="POST", headers={}, body=dumps({**EVENT, **changes}).encode()))


@pytest.mark.parametrize(
    ("told", "moment"),
    [
        ("2026-05-12T08:00:00.000Z", datetime(2026, 5, 12, 8, tzinfo=UTC)),
        ("2026-05-12T10:00:00+02:00", datetime(2026, 5, 12, 8, tzinfo=UTC)),
        ("2026-05-12T08:00:00", datetime(2026, 5, 12, 8, tzinfo=UTC)),
        ("yesterday", None),
        (5, None),
    ],
)
def test_moment_of_an_event_is_read_or_left_open(told: object, moment: datetime | None) -> None:
    body = dumps({**EVENT, "create_time": told}).encode()
    [hint] = letters.hints(Letter(method="POST", headers={}, body=body))
    assert hint.occurred_at == moment


def test_amount_of_an_event_is_read_when_it_is_one() -> None:
    def amount(fields: object) -> Money | None:
        event = {"id": "WH-1", "event_type": "PAYMENT.CAPTURE.COMPLETED", "resource": {"amount": fields}}
        [hint] = letters.hints(Letter(method="POST", headers={}, body=dumps(event).encode()))
        return hint.amount

    assert amount({"currency_code": "EUR", "value": "25.00"}) == Money(2_500, "EUR")
    assert amount({"currency": "EUR", "value": "25.00"}) == Money(2_500, "EUR")
    for nonsense in ({"currency_code": "EUR", "value": "25.001"}, {"currency_code": "XXQ", "value": "1"}, {}, 5, None):
        assert amount(nonsense) is None


def test_amount_of_a_dispute_is_what_is_disputed() -> None:
    resource = {"dispute_id": "PP-D-1", "dispute_amount": {"currency_code": "EUR", "value": "9.99"}}
    event = {"id": "WH-1", "event_type": "CUSTOMER.DISPUTE.CREATED", "resource": resource}
    [hint] = letters.hints(Letter(method="POST", headers={}, body=dumps(event).encode()))
    assert hint.amount == Money(999, "EUR")


@pytest.mark.parametrize(
    ("kind", "outcome", "state"),
    [
        ("CREATED", None, DisputeState.NEEDS_RESPONSE),
        ("UPDATED", {"outcome_code": "ACCEPTED"}, DisputeState.NEEDS_RESPONSE),
        ("RESOLVED", {"outcome_code": "RESOLVED_BUYER_FAVOUR"}, DisputeState.LOST),
        ("RESOLVED", {"outcome_code": "RESOLVED_WITH_PAYOUT"}, DisputeState.LOST),
        ("RESOLVED", {"outcome_code": "ACCEPTED"}, DisputeState.LOST),
        ("RESOLVED", {"outcome_code": "RESOLVED_SELLER_FAVOUR"}, DisputeState.WON),
        ("RESOLVED", {"outcome_code": "CANCELED_BY_BUYER"}, DisputeState.WON),
        ("RESOLVED", None, DisputeState.WON),
    ],
)
def test_event_says_how_a_dispute_stands(kind: str, outcome: object, state: DisputeState) -> None:
    resource = {"dispute_id": "PP-D-1", "reason": "UNAUTHORISED", "dispute_outcome": outcome}
    event = {"id": "WH-1", "event_type": f"CUSTOMER.DISPUTE.{kind}", "resource": resource}
    [hint] = letters.hints(Letter(method="POST", headers={}, body=dumps(event).encode()))
    told = letters.dispute_told(hint.kind, hint.object)  # as the inbox keeps it
    assert (told.state, told.reason, told.amount) == (state, "unauthorised", None)


@pytest.mark.parametrize(
    ("kind", "code", "amount"),
    [
        ("RESOLVED", "RESOLVED_BUYER_FAVOUR", Money(1_000, "EUR")),
        ("RESOLVED", "ACCEPTED", Money(1_000, "EUR")),
        ("RESOLVED", "RESOLVED_WITH_PAYOUT", None),  # it may be PayPal's money
        ("RESOLVED", "RESOLVED_SELLER_FAVOUR", None),
        ("UPDATED", "RESOLVED_BUYER_FAVOUR", None),
    ],
)
def test_event_says_what_a_buyer_has_got_of_our_money(kind: str, code: str, amount: Money | None) -> None:
    outcome = {"outcome_code": code, "amount_refunded": {"currency_code": "EUR", "value": "10.00"}}
    told = letters.dispute_told(f"CUSTOMER.DISPUTE.{kind}", {"resource": {"dispute_outcome": outcome}})
    assert told.amount == amount


def test_event_without_words_about_its_dispute_has_only_opened_it() -> None:
    assert letters.dispute_told("CUSTOMER.DISPUTE.CREATED", {"resource": []}).state is DisputeState.NEEDS_RESPONSE

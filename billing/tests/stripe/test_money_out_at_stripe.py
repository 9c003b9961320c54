"""What Stripe says of money that goes back to buyers and out to sellers, in our words."""

from typing import Any

import pytest

from billing.gateways.base import (
    Destination,
    DestinationKind,
    PayoutRef,
    PayoutRequest,
    PayoutState,
    RefundRef,
    RefundState,
)
from billing.gateways.errors import Declined, FailureCategory
from billing.gateways.stripe import Stripe
from billing.tests.stripe import requests as asked
from billing.tests.stripe.conftest import Double
from ledger.money import Money

# ---------------------------------------------------------------- refunds


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("pending", RefundState.PENDING),
        ("requires_action", RefundState.PENDING),
        ("succeeded", RefundState.SUCCEEDED),
        ("failed", RefundState.FAILED),
        ("canceled", RefundState.CANCELLED),
    ],
)
def test_how_a_refund_stands(gateway: Stripe, double: Double, status: str, state: RefundState) -> None:
    found = double.make("refund", id="re_1", status=status, amount=500, currency="eur", payment_intent="pi_1")
    double.answers[("POST", "refunds")] = found
    result = gateway.send_refund(asked.refund())
    assert (result.state, result.amount) == (state, Money(500, "EUR"))
    assert result.ids == {"refund": "re_1", "payment_intent": "pi_1"}


def test_more_than_is_left_is_refused(gateway: Stripe, double: Double) -> None:
    double.answers |= {
        ("POST", "refunds"): double.error(
            400, type="invalid_request_error", code="amount_too_large", message="Too much"
        ),
        ("GET", "refunds"): double.page(),
    }
    with pytest.raises(Declined) as caught:
        gateway.send_refund(asked.refund(5_000))
    assert caught.value.category is FailureCategory.LIMIT


def test_a_refund_of_yesterday_under_our_reference_is_that_refund(gateway: Stripe, double: Double) -> None:
    ours = double.make(
        "refund", id="re_1", status="succeeded", amount=1_999, currency="eur", metadata={"reference": "r" * 32}
    )
    double.answers |= {
        ("POST", "refunds"): double.error(
            400, type="invalid_request_error", code="charge_already_refunded", message="Already"
        ),
        ("GET", "refunds"): double.page(ours),
    }
    assert gateway.send_refund(asked.refund(1_999)).ids["refund"] == "re_1"


def test_a_refund_that_was_never_made_is_not_found(gateway: Stripe, double: Double) -> None:
    double.answers[("GET", "refunds")] = double.page()
    wanted = RefundRef(reference="r" * 32, payment=asked.PAID, amount=asked.AMOUNT)
    assert gateway.fetch_refund(wanted).state is RefundState.NOT_FOUND


# ---------------------------------------------------------------- payouts


@pytest.mark.parametrize(("taken_back", "state"), [(False, PayoutState.PAID), (True, PayoutState.RETURNED)])
def test_how_a_transfer_stands(gateway: Stripe, double: Double, taken_back: bool, state: PayoutState) -> None:
    found = double.make("transfer", id="tr_1", amount=1_999, currency="eur", reversed=taken_back)
    double.answers[("POST", "transfers")] = found
    result = gateway.send_payout(asked.payout())
    assert (result.state, result.ids, result.amount) == (state, {"transfer": "tr_1"}, asked.AMOUNT)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("pending", PayoutState.PENDING),
        ("in_transit", PayoutState.IN_TRANSIT),
        ("paid", PayoutState.PAID),
        ("failed", PayoutState.FAILED),
        ("canceled", PayoutState.CANCELLED),
    ],
)
def test_how_a_payout_stands(gateway: Stripe, double: Double, status: str, state: PayoutState) -> None:
    double.answers[("POST", "payouts")] = double.make("payout", id="po_1", amount=1_999, currency="eur", status=status)
    assert gateway.send_payout(asked.payout("ba_1")).state is state


def test_an_empty_balance_refuses_a_payout(gateway: Stripe, double: Double) -> None:
    double.answers[("POST", "transfers")] = double.error(
        400, type="invalid_request_error", code="balance_insufficient", message="You have insufficient funds"
    )
    with pytest.raises(Declined) as caught:
        gateway.send_payout(asked.payout())
    assert caught.value.category is FailureCategory.INSUFFICIENT_FUNDS


def test_a_transfer_whose_reply_was_lost_is_found_by_its_group(gateway: Stripe, double: Double, recorded: Any) -> None:
    ours = double.make("transfer", id="tr_1", amount=1_999, currency="eur", reversed=False, metadata=asked.METADATA)
    double.answers[("GET", "transfers")] = double.page(ours)
    found = gateway.fetch_payout(PayoutRef(reference=asked.REFERENCE, amount=asked.AMOUNT))
    assert (found.state, found.ids) == (PayoutState.PAID, {"transfer": "tr_1"})
    assert recorded.calls[0].params["transfer_group"] == asked.REFERENCE


def test_stripe_pays_out_to_no_telephone(gateway: Stripe, recorded: Any) -> None:
    to = Destination(kind=DestinationKind.PHONE, value="+237670000000")
    with pytest.raises(Declined) as caught:
        gateway.send_payout(PayoutRequest(reference="x", amount=asked.AMOUNT, destination=to))
    assert caught.value.category is FailureCategory.NOT_SUPPORTED
    assert recorded.calls == []

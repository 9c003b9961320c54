"""The contract suite on refunds and payouts: what is lost is found, and nothing is sent twice."""

from dataclasses import replace
from typing import Any

import pytest

from billing.gateways.base import (
    PaymentRef,
    PayoutRef,
    PayoutRequest,
    PayoutResult,
    PayoutState,
    RefundRef,
    RefundRequest,
    RefundState,
)
from billing.gateways.errors import (
    Declined,
    FailureCategory,
    Unavailable,
    Uncertain,
)
from billing.tests.gateways import contenders
from billing.tests.gateways.contenders import Contender
from billing.tests.gateways.contract import A_MOMENT, books, paid, paying_out, refunding
from sandbox.testing import Sandbox

# ---------------------------------------------------------------- refunds


def refund_of(payment: PaymentRef, contender: Contender, amount: Any) -> RefundRequest:
    return RefundRequest(reference=contenders.reference(), payment=payment, amount=amount, reason="not delivered")


def refund_ref(request: RefundRequest) -> RefundRef:
    return RefundRef(reference=request.reference, payment=request.payment, amount=request.amount)


@refunding
def test_refund_in_full(sandbox: Sandbox, contender: Contender) -> None:
    adapter = contender.make(sandbox, contenders.LIMITS)
    payment = paid(sandbox, contender, adapter)
    request = refund_of(payment, contender, contender.amount)
    sent = adapter.send_refund(request)
    sandbox.advance(A_MOMENT)
    result = adapter.fetch_refund(replace(refund_ref(request), ids=sent.ids))
    assert (result.state, result.amount) == (RefundState.SUCCEEDED, contender.amount)
    [line] = books(sandbox, contender, "refunds")
    assert (line["amount_minor"], line["state"]) == (contender.amount.minor, "paid")
    assert line["reference"] == request.reference


@refunding
def test_refund_in_parts(sandbox: Sandbox, contender: Contender) -> None:
    adapter = contender.make(sandbox, contenders.LIMITS)
    payment = paid(sandbox, contender, adapter)
    for amount in (contender.part, contender.amount - contender.part):
        request = refund_of(payment, contender, amount)
        adapter.send_refund(request)
        sandbox.advance(A_MOMENT)
        result = adapter.fetch_refund(refund_ref(request))
        assert (result.state, result.amount) == (RefundState.SUCCEEDED, amount)
    assert sum(line["amount_minor"] for line in books(sandbox, contender, "refunds")) == contender.amount.minor


@refunding
def test_refund_of_too_much_gives_nothing_back(sandbox: Sandbox, contender: Contender) -> None:
    adapter = contender.make(sandbox, contenders.LIMITS)
    payment = paid(sandbox, contender, adapter)
    request = refund_of(payment, contender, contender.amount + contender.part)
    if contender.refund_refusal_is_late:
        adapter.send_refund(request)
        sandbox.advance(A_MOMENT)
        assert adapter.fetch_refund(refund_ref(request)).state is RefundState.FAILED
    else:
        with pytest.raises(Declined) as declined:
            adapter.send_refund(request)
        assert declined.value.category is FailureCategory.LIMIT
    assert [line for line in books(sandbox, contender, "refunds") if line["state"] == "paid"] == []


@refunding
def test_repeated_refund_gives_back_once(sandbox: Sandbox, contender: Contender) -> None:
    adapter = contender.make(sandbox, contenders.LIMITS)
    payment = paid(sandbox, contender, adapter)
    request = refund_of(payment, contender, contender.part)
    adapter.send_refund(request)
    adapter.send_refund(request)
    assert [line["amount_minor"] for line in books(sandbox, contender, "refunds")] == [contender.part.minor]


@refunding
@pytest.mark.parametrize("dial", ["drop_after", "http500_after", "html"])
def test_refund_whose_reply_was_lost_is_found(sandbox: Sandbox, contender: Contender, dial: str) -> None:
    adapter = contender.make(sandbox, contenders.LIMITS)
    payment = paid(sandbox, contender, adapter)
    adapter.send_refund(refund_of(payment, contender, contender.part))  # every token is known from here
    request = refund_of(payment, contender, contender.part)
    sandbox.turn(contender.gateway, **{dial: 1.0})
    with pytest.raises(Uncertain):
        adapter.send_refund(request)
    sandbox.turn(contender.gateway, **{dial: 0.0})
    sandbox.advance(A_MOMENT)
    assert adapter.fetch_refund(refund_ref(request)).state is RefundState.SUCCEEDED


@refunding
def test_refund_that_never_arrived_is_not_found(sandbox: Sandbox, contender: Contender) -> None:
    adapter = contender.make(sandbox, contenders.LIMITS)
    payment = paid(sandbox, contender, adapter)
    request = refund_of(payment, contender, contender.part)
    assert adapter.fetch_refund(refund_ref(request)).state is RefundState.NOT_FOUND


# ---------------------------------------------------------------- payouts


def payout_ref(request: PayoutRequest, result: PayoutResult | None = None) -> PayoutRef:
    return PayoutRef(
        reference=request.reference, amount=request.amount, ids=result.ids if result else {}, request=request
    )


@paying_out
def test_payout_is_paid(sandbox: Sandbox, contender: Contender) -> None:
    adapter = contender.make(sandbox, contenders.LIMITS)
    request = contenders.payout(contender)
    sent = adapter.send_payout(request)
    assert sent.state is PayoutState.PENDING
    sandbox.advance(A_MOMENT)
    result = adapter.fetch_payout(payout_ref(request, sent))
    assert (result.state, result.amount) == (PayoutState.PAID, contender.amount)
    [line] = books(sandbox, contender, "payouts")
    assert (line["amount_minor"], line["state"]) == (contender.amount.minor, "paid")
    assert line["reference"] == contender.written(request.reference)


@paying_out
def test_declined_payout_is_not_paid(sandbox: Sandbox, contender: Contender) -> None:
    adapter = contender.make(sandbox, contenders.LIMITS)
    request = contenders.payout(contender, to=contender.payout_declined_to)
    sent = adapter.send_payout(request)
    sandbox.advance(A_MOMENT)
    result = adapter.fetch_payout(payout_ref(request, sent))
    assert result.state is PayoutState.FAILED
    assert result.failure is not None
    assert [line["state"] for line in books(sandbox, contender, "payouts")] == ["failed"]


@paying_out
@pytest.mark.parametrize("dial", ["drop_after", "http500_after", "html"])
def test_payout_whose_reply_was_lost_is_found_and_paid_once(sandbox: Sandbox, contender: Contender, dial: str) -> None:
    adapter = contender.make(sandbox, contenders.LIMITS)
    request = _payout_with_lost_reply(sandbox, contender, adapter, dial)
    sandbox.advance(A_MOMENT)
    assert adapter.fetch_payout(payout_ref(request)).state is PayoutState.PAID
    ours = [
        line
        for line in books(sandbox, contender, "payouts")
        if line["reference"] == contender.written(request.reference)
    ]
    assert [line["state"] for line in ours] == ["paid"]


def _payout_with_lost_reply(sandbox: Sandbox, contender: Contender, adapter: Any, dial: str) -> PayoutRequest:
    """Of the several calls that a payout may take, lose the reply to the one that moves money."""
    adapter.send_payout(contenders.payout(contender))
    for seed in range(1, 50):
        request = contenders.payout(contender)
        sandbox.turn(contender.gateway, seed=seed, **{dial: 0.5})
        try:
            adapter.send_payout(request)
        except Uncertain:
            sandbox.turn(contender.gateway, **{dial: 0.0})
            return request
        except Unavailable:
            continue  # a call before that one was lost, and nothing was sent
    raise AssertionError("No reply was lost.")


@paying_out
def test_repeated_payout_is_paid_once(sandbox: Sandbox, contender: Contender) -> None:
    adapter = contender.make(sandbox, contenders.LIMITS)
    request = contenders.payout(contender)
    adapter.send_payout(request)
    again = adapter.send_payout(request)
    assert again.state in (PayoutState.PENDING, PayoutState.IN_TRANSIT)
    assert len(books(sandbox, contender, "payouts")) == 1

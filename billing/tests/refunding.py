"""Money that goes back, for tests: refunds that we ask for or hear of, what gateways say of them, and disputes."""

from typing import Any

from billing import disputes, gateway_refunds, refund_sending, refunds
from billing.gateways.base import RefundResult, RefundState
from billing.gateways.subscribing import DisputeResult, DisputeState
from billing.models import Dispute, Payment, Refund
from billing.models.refunds import RefundStatus
from billing.tests.fakes import RefundingGateway
from ledger.money import Money


def ask_for(payment: Payment, minor: int | None = None, **changes: Any) -> Refund:
    """All that is left of it, unless the test says how much."""
    amount = Money(minor, payment.currency) if minor else None
    return refunds.request(payment=payment, amount=amount, **{"reason": "not delivered", **changes})


def refunded(payment: Payment, minor: int | None = None, **changes: Any) -> Refund:
    """The same, and it has arrived."""
    refund = ask_for(payment, minor, **changes)
    refund_sending.work_through()
    refund.refresh_from_db()
    assert refund.status == RefundStatus.SUCCEEDED
    return refund


def say(refund: Refund, *states: RefundState, **facts: Any) -> Refund:
    """What its gateway says of it, one word after the other; each time somebody has just asked."""
    for state in states:
        asked = Refund.objects.get(pk=refund.pk)
        refund = refunds.note(refund=asked, result=RefundResult(state=state, **facts))
    return refund


def made_in_the_dashboard(
    stripe: RefundingGateway, payment: Payment, minor: int = 400, name: str = "re_dash"
) -> Refund:
    refund = gateway_refunds.book(attempt=payment.attempts.get(), amount=Money(minor, "EUR"), ids={"refund": name})
    stripe.refund_states[refund.reference] = RefundState.SUCCEEDED
    refund_sending.ask(refund)
    return Refund.objects.get(pk=refund.pk)


def disputed(
    payment: Payment,
    state: DisputeState = DisputeState.NEEDS_RESPONSE,
    minor: int | None = None,
    name: str = "dp_1",
) -> Dispute:
    """The buyer's bank wants it back: all of it, unless the test says how much."""
    amount = Money(minor or payment.amount_minor, payment.currency)
    result = DisputeResult(id=name, state=state, amount=amount, reason="fraudulent")
    return disputes.note(attempt=payment.attempts.get(), result=result)

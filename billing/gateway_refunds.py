"""Refunds that somebody made at the gateway itself, booked here like ours.

While a dispute is open the credits are frozen, and who has the money in the end is not known: then a refund is only
written down, and planned when the dispute is over.
"""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import Q

from billing import errors, refund_plans, refunds, refunds_elsewhere
from billing.models import Attempt, Refund
from billing.models.payments import ASIDE
from billing.models.refunds import OPEN, DisputeState, RefundOrigin, RefundStatus
from ledger.money import Money


@transaction.atomic
def book(*, attempt: Attempt, amount: Money, ids: Mapping[str, str]) -> Refund:
    """One refund, however often it is told of: by its id there."""
    payment = refunds.lock(attempt.payment_id)
    # Or one that people have made there for ours, and proven by its id.
    is_known = Q(gateway_ids__contains={"refund": ids["refund"]}) | Q(proof=ids["refund"])
    known = Refund.objects.filter(is_known, attempt=attempt).first()
    if known is not None:
        return known
    if attempt.state in ASIDE:
        ours = refunds_elsewhere.of_what_stands_aside(payment, attempt, amount, ids)
        plan, facts = refund_plans.of_surplus(amount), {"origin": RefundOrigin.SURPLUS, "gateway_ids": dict(ids)}
        return ours or refunds.write(payment, attempt, plan, RefundStatus.PENDING, **facts)
    if refunds_elsewhere.has_dispute(payment, DisputeState.OPEN):
        return refunds_elsewhere.write_down(payment, attempt, amount, ids)
    made_there: dict[str, Any] = {"origin": RefundOrigin.GATEWAY, "gateway_ids": dict(ids)}
    if refunds_elsewhere.has_dispute(payment, DisputeState.LOST):
        plan = refund_plans.at_our_cost(amount, payment=payment)
        return refunds.write(payment, attempt, plan, RefundStatus.PENDING, **made_there)
    try:
        plan = refunds_elsewhere.plan_of_all(payment, amount)
    except errors.BillingError as refusal:
        if amount.unit != payment.currency or _is_for_people(attempt):
            raise
        plan = refund_plans.at_our_cost(amount, payment=payment)
        refund = refunds.write(payment, attempt, plan, RefundStatus.PENDING, **made_there)
        refunds_elsewhere.show(refund, refusal)
        return refund
    refund = refunds.write(payment, attempt, plan, RefundStatus.PENDING, **made_there)
    refunds_elsewhere.hold_of_sellers(refund)
    return refund


def _is_for_people(attempt: Attempt) -> bool:
    """One of ours may fail yet and leave room for it; or it is one that people have proven in other words."""
    proven = Q(status=RefundStatus.SUCCEEDED) & ~Q(proof="")
    return Refund.objects.filter(proven | Q(status__in=OPEN), attempt=attempt).exists()

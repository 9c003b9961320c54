"""Refunds that somebody made at the gateway itself, booked here like ours.

While a dispute is open the credits are frozen, and who has the money in the end is not known: then a refund is only
written down, and planned when the dispute is over.
"""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from billing import refund_plans, refunds, refunds_elsewhere, sale_payments
from billing.models import Attempt, Refund
from billing.models.payments import ASIDE
from billing.models.refunds import DisputeState, RefundOrigin, RefundPolicy, RefundStatus
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
    policy = RefundPolicy(settings.REFUND_POLICY_MADE_AT_GATEWAY)
    of_sellers = sale_payments.is_sale(payment)
    # No seller is asked: the money is gone.
    plan = refund_plans.make(payment=payment, amount=amount, policy=RefundPolicy.GOODWILL if of_sellers else policy)
    refund = refunds.write(payment, attempt, plan, RefundStatus.PENDING, **made_there)
    if of_sellers:
        key, why = refund.key, "refunded at the gateway"
        sale_payments.hold_what_has_gone(payment, key=key, amount=plan.amount, policy=policy, reason=why)
    return refund

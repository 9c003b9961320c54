"""The credits of a refund: locked before they are counted, and held while the money is on its way.

Whoever gives credits back is not charged for those that are missing then: the automatic top-up stops first.
"""

from dataclasses import replace

from billing import top_up
from billing.models import Payment
from billing.models.payments import PaymentKind
from billing.models.top_ups import Suspension
from billing.refund_plans import Plan
from credits import takebacks


def lock(payment: Payment) -> None:
    """What a plan counts must still be there when it is held. The caller has locked the payment."""
    if payment.kind == PaymentKind.PACK:
        top_up.lock_consents(payment.user)
        takebacks.lock(user=payment.user, unit=_unit(payment))


def hold(payment: Payment, *, key: str, plan: Plan) -> None:
    if plan.lines or plan.owed:
        top_up.stop(user=payment.user, unit=_unit(payment), reason=Suspension.REFUNDED)
    if plan.lines:
        takebacks.hold(user=payment.user, unit=_unit(payment), key=key, amounts=plan.lines)


def previewed(payment: Payment, plan: Plan) -> Plan:
    """The same, and whether it stops a top-up."""
    if not plan.lines and not plan.owed:
        return plan
    return replace(plan, stops_top_up=top_up.would_stop(user=payment.user, unit=_unit(payment)))


def _unit(payment: Payment) -> str:
    return str(payment.details["unit"])

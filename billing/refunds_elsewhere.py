"""Refunds that somebody made at the gateway itself: what is planned for money that has gone, and when.

While a dispute about the payment is open the credits are frozen, and who has the money in the end is not known: so the
refund is only written down, and planned and booked when the dispute is over.
"""

from collections.abc import Mapping

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from billing import cases, errors, refund_credits, refund_plans, sale_payments
from billing.models import Attempt, Dispute, Payment, Refund
from billing.models.cases import CaseKind
from billing.models.refunds import DisputeState, RefundOrigin, RefundPolicy, RefundStatus
from billing.refund_plans import UNPLANNED, Plan
from ledger.money import Money

REVERSAL = "taken_by"  # beside the ids at the gateway, of what nobody has refunded: a bank or a dispute has taken it


def write_down(payment: Payment, attempt: Attempt, amount: Money, ids: Mapping[str, str]) -> Refund:
    return Refund.objects.create(
        payment=payment,
        attempt=attempt,
        policy=settings.REFUND_POLICY_MADE_AT_GATEWAY,
        status=RefundStatus.PENDING,
        origin=RefundOrigin.GATEWAY,
        amount_minor=amount.minor,
        currency=amount.unit,
        gateway_ids={**ids, UNPLANNED: "dispute"},
    )


def has_dispute(payment: Payment, state: DisputeState) -> bool:
    return Dispute.objects.of_what_was_delivered(payment, state).exists()


def of_what_stands_aside(payment: Payment, attempt: Attempt, amount: Money, ids: Mapping[str, str]) -> Refund | None:
    """Nothing was delivered for it, and nothing is taken back. People may have made there the refund that waits here;
    None: there is none, and this one is to be written."""
    ours = Refund.objects.counted().filter(attempt=attempt).order_by("id").first()
    if ours is None:
        return None
    waiting = Refund.objects.filter(pk=ours.pk, status__in=(RefundStatus.REQUESTED, RefundStatus.MANUAL))
    if ours.money == amount and waiting.update(
        status=RefundStatus.PENDING, gateway_ids=dict(ids), next_try_at=timezone.now()
    ):
        ours.refresh_from_db(fields=["status", "gateway_ids", "next_try_at"])
    else:
        facts = {"refund": str(ours.pk), "amount": str(amount)}
        key, kind = ids["refund"], CaseKind.SURPLUS
        cases.open(kind=kind, payment=payment, attempt=attempt, key=key, facts=facts, amount=amount)
    return ours


def waits(refund: Refund) -> bool:
    """The money has gone, and what comes back for it is settled with the dispute; its end takes this up again."""
    return UNPLANNED in refund.gateway_ids and has_dispute(refund.payment, DisputeState.OPEN)


def is_of_dispute(refund: Refund) -> bool:
    """A dispute stands for what was taken: whatever is said of it, this one moves no more."""
    return bool(refund.gateway_ids.get(REVERSAL) == "dispute")


def forget(refund: Refund) -> None:
    """It has failed: nothing waits for the dispute any more."""
    refund.gateway_ids.pop(UNPLANNED, None)


def take_up_waiting(payment: Payment) -> None:
    """A dispute is over: refunds that waited for it are taken up by the next sweep. What was made at the gateway is
    asked about and booked, and what was not sent yet is sent or cancelled."""
    made = Q(status=RefundStatus.PENDING, gateway_ids__has_key=UNPLANNED)
    waiting = Refund.objects.filter(made | Q(status=RefundStatus.REQUESTED), payment=payment)
    waiting.update(next_try_at=timezone.now())


def plan(refund: Refund) -> None:
    """What was written down without a plan gets it when it is booked."""
    if refund.gateway_ids.pop(UNPLANNED, None) is None:
        return
    payment, key = refund.payment, refund.key
    refund_credits.lock(payment)
    made = _plan(refund)
    refund.policy, refund.tax_minor = made.policy, made.tax.minor
    refund.credits_due, refund.credits_owed, refund.lines = made.credits_due, made.owed, made.lines
    refund.credits_gone = made.gone
    refund_credits.hold(payment, key=key, plan=made)


def _plan(refund: Refund) -> Plan:
    payment = refund.payment
    if has_dispute(payment, DisputeState.LOST):
        # The bank has had it as well, and the credits went with that.
        return refund_plans.at_our_cost(refund.money, payment=payment, instead_of=refund)
    try:
        made = plan_of_all(payment, refund.money, instead_of=refund)
    except errors.BillingError as refusal:
        show(refund, refusal)
        return refund_plans.at_our_cost(refund.money, payment=payment, instead_of=refund)
    hold_of_sellers(refund)
    return made


def plan_of_all(payment: Payment, amount: Money, *, instead_of: Refund | None = None) -> Plan:
    """Of money that has gone: all of it, or a refusal."""
    # No seller is asked.
    policy = RefundPolicy.GOODWILL if sale_payments.is_sale(payment) else _policy()
    made = refund_plans.make(payment=payment, amount=amount, policy=policy, instead_of=instead_of)
    if made.amount != amount:
        raise errors.RefundTooLarge(made.amount.minor, amount.unit)
    return made


def show(refund: Refund, refusal: errors.BillingError) -> None:
    """It has gone all the same: our books say so, and people look at why."""
    facts = {"refund": str(refund.pk), "amount": str(refund.money), "why": str(refusal)}
    kind, key, about = CaseKind.REFUND_FAILED, f"{refund.key}:unplanned", refund.payment
    cases.open(kind=kind, payment=about, attempt=refund.attempt, key=key, facts=facts, amount=refund.money)


def hold_of_sellers(refund: Refund) -> None:
    if sale_payments.is_sale(refund.payment):
        why = "refunded at the gateway"
        sale_payments.hold_what_has_gone(
            refund.payment, key=refund.key, amount=refund.money, policy=_policy(), reason=why
        )


def _policy() -> RefundPolicy:
    return RefundPolicy(settings.REFUND_POLICY_MADE_AT_GATEWAY)

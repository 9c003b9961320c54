"""What people do about refunds: ask for one as far as they may, say that they made one by hand, or what they found out
where its gateway does not tell us."""

from collections.abc import Collection
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from billing import errors, payments, refunds, refunds_elsewhere
from billing.gateways.base import RefundResult, RefundState
from billing.models import Payment, Refund
from billing.models.refunds import RefundStatus
from ledger.money import Money

# However slow its gateway is, whoever began to send a refund before that is not at it any more.
LONGEST_CALL = timedelta(minutes=5)
AT_GATEWAY = (RefundStatus.SENDING, RefundStatus.PENDING, RefundStatus.UNKNOWN)


@transaction.atomic
def request(*, payment: Payment, by: User, **wish: Any) -> Refund:
    """As `refunds.request`, of no more than this operator may ask for."""
    made = refunds.request(payment=payment, by=by, **wish)
    may_ask_for(payment=payment, amount=Money(0, made.currency), by=by)  # its amount is known and counted by now
    return made


@transaction.atomic
def prove(*, refund: Refund, proof: str, by: User, note: str = "") -> Refund:
    """Confirm that a refund was made by hand; a large one by somebody else than who asked for it."""
    _permit(refund, (RefundStatus.MANUAL,), proof, by)
    return _say(refund, RefundState.SUCCEEDED, proof, by, note)


@transaction.atomic
def resolve(*, refund: Refund, has_arrived: bool, proof: str, by: User, note: str = "") -> Refund:
    """Say how a refund ended whose gateway does not say so, or is not ours any more. What it says later still counts:
    a refund that arrives after all is booked, and a case."""
    _permit(refund, AT_GATEWAY, proof, by)
    now = Refund.objects.select_related("payment").get(pk=refund.pk)
    if now.status == RefundStatus.SENDING and now.sent_at is not None and now.sent_at > timezone.now() - LONGEST_CALL:
        raise errors.RefundBeingSent
    if refunds_elsewhere.waits(now):
        raise errors.SettledWithDispute
    return _say(refund, RefundState.SUCCEEDED if has_arrived else RefundState.FAILED, proof, by, note)


def may_ask_for(*, payment: Payment, amount: Money, by: User) -> None:
    """Who may not confirm refunds asks for no more of a payment than one may give back alone, in all its pieces. The
    caller has locked the payment."""
    limit = settings.REFUND_ALONE_MINOR.get(amount.unit, 0)
    if _sum_of(by, payment.pk) + amount.minor > limit and not by.has_perm("billing.prove_refund"):
        raise errors.RefundBeyondYours(Money(limit, amount.unit))


def _permit(refund: Refund, wanted: Collection[RefundStatus], proof: str, by: User) -> None:
    """Behind the payment's lock, as every move of a refund."""
    payments.lock(refund.payment_id)
    now = Refund.objects.get(pk=refund.pk)
    if now.status not in wanted:
        raise errors.RefundOver(now.pk, now.status)
    if not proof.strip():
        raise errors.ReasonMissing
    limit = settings.REFUND_ALONE_MINOR.get(now.currency, 0)
    if now.requested_by_id == by.pk and _asked_for_by(by, now) > limit:
        raise errors.SecondOperatorNeeded


def _asked_for_by(operator: User, refund: Refund) -> int:
    """Of the payment in all: a large refund in small pieces is a large one."""
    return _sum_of(operator, refund.payment_id)


def _sum_of(operator: User, payment_id: UUID) -> int:
    mine = Refund.objects.counted().filter(payment=payment_id, requested_by=operator)
    return int(mine.aggregate(sum=Sum("amount_minor"))["sum"] or 0)


def _say(refund: Refund, state: RefundState, proof: str, by: User, note: str) -> Refund:
    result = RefundResult(state=state)
    return refunds.note(refund=refund, result=result, proof=proof, proof_note=note, proven_by=by)

"""How a payment and its attempts move from state to state; each move happens behind the payment's lock.

`note` is the one door through which a gateway's word comes in, whoever asked it. Order and repetition mean nothing: a
state that is final for the buyer's money stays, and what is heard twice changes nothing the second time.
"""

import logging
import secrets
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from billing import (
    cases,
    errors,
    failures,
    fulfilment,
    gateway_customers,
    gateway_tax,
    metrics,
    payment_log,
    plan_payments,
    redemptions,
    saved_methods,
    schedule,
)
from billing.gateways import errors as gateway_errors
from billing.gateways import registry
from billing.gateways.base import Failure, NextAction, PaymentResult, PaymentState
from billing.models import Attempt, Payment
from billing.models.cases import CaseKind
from billing.models.payments import SETTLED, AttemptState, PaymentKind, PaymentStatus
from events import outbox
from events.types import EventType
from ledger.money import Money
from rest import dates

logger = logging.getLogger(__name__)

_ENDS = {
    PaymentState.FAILED: AttemptState.FAILED,
    PaymentState.CANCELLED: AttemptState.CANCELLED,
    PaymentState.EXPIRED: AttemptState.EXPIRED,
}
_STATUS_OF_END = {
    AttemptState.FAILED: PaymentStatus.FAILED,
    AttemptState.CANCELLED: PaymentStatus.CANCELLED,
    AttemptState.EXPIRED: PaymentStatus.EXPIRED,
}
_UNDER_WAY = {
    PaymentState.CREATED: AttemptState.PENDING,
    PaymentState.REQUIRES_ACTION: AttemptState.REQUIRES_ACTION,
    PaymentState.PENDING: AttemptState.PENDING,
    PaymentState.AUTHORIZED: AttemptState.AUTHORIZED,
}


# ---------------------------------------------------------------- before and after the call


@transaction.atomic(durable=True)
def begin(*, payment: Payment, gateway_name: str) -> Attempt:
    """Commit that a gateway is about to be called. Refused while another attempt could still be paid."""
    locked = lock(payment.pk)
    if locked.status != PaymentStatus.PENDING:
        raise errors.PaymentOver(locked.pk, locked.status)
    if locked.attempts.live().exists():
        raise errors.AttemptLive(locked.pk)
    now = timezone.now()
    attempt = Attempt.objects.create(
        payment=locked,
        gateway=gateway_name,
        notify_token=secrets.token_urlsafe(24),
        # A process that dies during the call leaves the attempt as it is here; then it is asked about.
        next_ask_at=schedule.next_ask_at(now, now=now),
    )
    payment_log.begun(attempt)
    return attempt


@transaction.atomic
def refuse(*, attempt: Attempt, error: gateway_errors.GatewayError) -> Attempt:
    """The gateway surely did nothing: this attempt is over, and its payment may go elsewhere."""
    _, locked = _lock_attempt(attempt.pk)
    if locked.is_live:
        _end(locked, AttemptState.FAILED, failures.of(error))
        locked.save()
    return locked


@transaction.atomic
def doubt(*, attempt: Attempt, error: gateway_errors.GatewayError) -> Attempt:
    """The gateway may have acted: nothing else is tried, and it is asked until it says."""
    _, locked = _lock_attempt(attempt.pk)
    if locked.is_live:
        locked.state = AttemptState.UNKNOWN
        failures.remember(locked, failures.of(error))
        locked.next_ask_at = next_ask(locked, timezone.now())
        locked.save()
    return locked


@transaction.atomic
def give_up(*, payment: Payment, status: PaymentStatus = PaymentStatus.FAILED) -> Payment:
    """No gateway took it, or nobody paid: the payment is over, unless an attempt could still be paid.

    No event tells of it: whoever asked for it was answered. What an invoice asks for waits until that is cancelled.
    """
    locked = lock(payment.pk)
    if is_bill(locked):
        return locked
    if locked.status == PaymentStatus.PENDING and not locked.attempts.live().exists():
        _over(locked, status, locked.attempts.order_by("id").last())
    return locked


def give(*, payment: Payment) -> None:
    """Deliver what costs nothing any more, in the transaction that makes the payment: no gateway has a part in it."""
    _end_as(payment, PaymentStatus.SUCCEEDED, None)
    fulfilment.deliver(payment=payment, attempt=None)
    tell(payment, None, EventType.PAYMENT_SUCCEEDED)


# ---------------------------------------------------------------- what a gateway says


@transaction.atomic
def note(*, attempt: Attempt, result: PaymentResult) -> Payment:
    """Write down what a gateway says of an attempt, and do what follows from it."""
    payment, locked = _lock_attempt(attempt.pk)
    was_given_up = locked.is_live and schedule.next_ask_at(locked.created_at, now=timezone.now()) is None
    _remember(payment, locked, result)
    if result.state is PaymentState.SUCCEEDED:
        _paid(payment, locked, result)
    elif result.state is PaymentState.NOT_FOUND:
        _not_found(payment, locked)
    elif locked.is_live and result.state in _ENDS:
        _end(locked, _ENDS[result.state], result.failure)
        locked.save()  # before the question whether another one is live
        _over_if_nobody_pays(payment, locked)
    elif locked.is_live:
        _go_on(locked, result)
    locked.save()
    if was_given_up and not locked.is_live:
        said = cases.in_house(_("The gateway has said: %(state)s."), state=AttemptState(locked.state).label)
        cases.settle(kinds=(CaseKind.STILL_UNKNOWN,), key=str(locked.pk), resolution=said)
    return payment


def _remember(payment: Payment, attempt: Attempt, result: PaymentResult) -> None:
    attempt.gateway_ids = {**attempt.gateway_ids, **result.ids}
    if result.raw:
        attempt.last_reply = dict(result.raw)
    if result.fee is not None and attempt.state not in SETTLED:  # what is booked stays as it was booked
        attempt.fee_minor, attempt.fee_currency = result.fee.minor, result.fee.unit
    who: Any = {"user": payment.user, "gateway": attempt.gateway}
    gateway_customers.learn(**who, gateway_id=result.gateway_customer)
    if payment.saves_method and result.method is not None and result.state is PaymentState.SUCCEEDED:
        if gateway_customers.is_theirs(**who, gateway_id=result.gateway_customer):
            saved_methods.remember(**who, method=result.method)
        else:
            logger.warning("saved_method.of_nobody", extra={"payment": str(payment.pk), "attempt": str(attempt.pk)})


def _paid(payment: Payment, attempt: Attempt, result: PaymentResult) -> None:
    if attempt.state in SETTLED:
        _learn_fee(payment, attempt, result.fee)
        return
    now = timezone.now()
    attempt.paid_at, attempt.ended_at = result.paid_at or now, now
    attempt.next_ask_at, attempt.next_action, attempt.not_found = None, {}, 0
    if not gateway_tax.agrees(payment, result):
        _quarantine(payment, attempt, result)
        return
    failures.remember(attempt, None)
    if payment.status == PaymentStatus.SUCCEEDED or is_cancelled_bill(payment):
        attempt.state = AttemptState.SURPLUS
        fulfilment.book_surplus(payment=payment, attempt=attempt)
        logger.warning("payment.paid_twice", extra={"payment": str(payment.pk), "attempt": str(attempt.pk)})
        return
    if payment.status != PaymentStatus.PENDING:
        logger.warning("payment.paid_late", extra={"payment": str(payment.pk), "status": payment.status})
    attempt.state = AttemptState.SUCCEEDED
    if waits_for_fee(attempt):
        attempt.next_ask_at = next_ask(attempt, now)
    attempt.save()
    gateway_tax.take_over(payment, attempt, result)
    _end_as(payment, PaymentStatus.SUCCEEDED, attempt)
    # Another attempt that is live by now is asked at once, which takes it back where the gateway can.
    payment.attempts.live().update(next_ask_at=now)
    tell(payment, attempt, EventType.PAYMENT_SUCCEEDED)  # before what follows from it: listeners hear causes first
    fulfilment.deliver(payment=payment, attempt=attempt)


def waits_for_fee(attempt: Attempt) -> bool:
    """Paid and booked, and its gateway has not said yet what it keeps: it is asked a few times more."""
    is_unknown = attempt.state == AttemptState.SUCCEEDED and attempt.fee_minor is None
    return is_unknown and registry.get(attempt.gateway).capabilities.tells_fees


@transaction.atomic
def hear_fee(*, attempt: Attempt, fee: Money) -> None:
    """From a gateway's list or statement. What was heard first stays."""
    payment, locked = _lock_attempt(attempt.pk)
    _learn_fee(payment, locked, fee)
    locked.save()


def _learn_fee(payment: Payment, attempt: Attempt, fee: Money | None) -> None:
    if fee is None or attempt.fee_minor is not None or attempt.state != AttemptState.SUCCEEDED:
        return
    attempt.fee_minor, attempt.fee_currency, attempt.next_ask_at = fee.minor, fee.unit, None
    fulfilment.book_fee(payment=payment, attempt=attempt)


def _quarantine(payment: Payment, attempt: Attempt, result: PaymentResult) -> None:
    """Not what we asked for: nothing is delivered, the money stands aside, and operators decide."""
    attempt.state = AttemptState.QUARANTINED
    attempt.failure_code = "amount_mismatch"
    if result.amount is not None and result.amount.minor > 0:
        fulfilment.book_aside(payment=payment, attempt=attempt, amount=result.amount)
    if payment.status != PaymentStatus.SUCCEEDED:
        attempt.save()
        _over(payment, PaymentStatus.QUARANTINED, attempt)
    facts = {"expected": str(payment.money), "said": str(result.amount) if result.amount else None}
    kind, key = CaseKind.MISMATCH, str(attempt.pk)
    cases.open(kind=kind, payment=payment, attempt=attempt, key=key, facts=facts, amount=result.amount)


def _not_found(payment: Payment, attempt: Attempt) -> None:
    """Proof of nothing at first; after a while, and several times in a row, proof that nothing was created."""
    if not attempt.is_live:
        return
    attempt.not_found += 1
    now, answers = timezone.now(), attempt.not_found
    if schedule.proves_absence(schedule.Sent.PAYMENT, attempt.created_at, now=now, answers=answers):
        _end(
            attempt,
            AttemptState.FAILED,
            Failure(category=gateway_errors.FailureCategory.PROVIDER_DOWN, code="not_found"),
        )
        attempt.save()
        _over_if_nobody_pays(payment, attempt)


def _go_on(attempt: Attempt, result: PaymentResult) -> None:
    attempt.state, attempt.not_found = _UNDER_WAY[result.state], 0
    failures.remember(attempt, None)
    if result.next_action is not None:
        attempt.next_action = told(result.next_action)
    elif attempt.state != AttemptState.REQUIRES_ACTION:
        attempt.next_action = {}
    attempt.next_ask_at = next_ask(attempt, timezone.now())


def _end(attempt: Attempt, state: AttemptState, failure: Failure | None) -> None:
    now = timezone.now()
    attempt.state, attempt.ended_at, attempt.next_action = state, now, {}
    if failure is not None:
        failures.remember(attempt, failure)
    attempt.next_ask_at = next_ask(attempt, now)


def _over_if_nobody_pays(payment: Payment, attempt: Attempt) -> None:
    if is_bill(payment):
        return  # the buyer tries again on its page, however often
    if payment.status == PaymentStatus.PENDING and not payment.attempts.live().exists():
        status = _STATUS_OF_END[AttemptState(attempt.state)]
        _over(payment, status, attempt)
        if status == PaymentStatus.FAILED:
            reason = attempt.failure_category or "unknown"
            retry_url = plan_payments.retry_url(payment)
            tell(payment, attempt, EventType.PAYMENT_FAILED, reason=reason, retry_url=retry_url)


def _over(payment: Payment, status: PaymentStatus, attempt: Attempt | None) -> None:
    _end_as(payment, status, attempt)
    redemptions.payment_over(payment)


def _end_as(payment: Payment, status: PaymentStatus, attempt: Attempt | None) -> None:
    payment.status, payment.ended_at = status, timezone.now()
    payment.save(update_fields=["status", "ended_at"])
    metrics.payment(payment, attempt.gateway if attempt else "")
    payment_log.ended(payment, attempt)


@transaction.atomic
def cancel_bill(*, payment: Payment) -> Payment:
    """Nobody can pay it any more. Refused once it is paid, and while an attempt could still be."""
    locked = lock(payment.pk)
    if locked.status not in (PaymentStatus.PENDING, PaymentStatus.QUARANTINED):
        raise errors.PaymentOver(locked.pk, locked.status)
    if locked.attempts.live().exists():
        raise errors.AttemptLive(locked.pk)
    _over(locked, PaymentStatus.CANCELLED, locked.attempts.order_by("id").last())
    return locked


def is_bill(payment: Payment) -> bool:
    """It belongs to an invoice that stands: attempts come and go, and it stays open until it is paid or cancelled."""
    return payment.kind == PaymentKind.BILL


def is_cancelled_bill(payment: Payment) -> bool:
    """A credit note says that nothing is owed: money that comes all the same goes back."""
    return is_bill(payment) and payment.status == PaymentStatus.CANCELLED


def next_ask(attempt: Attempt, now: datetime) -> datetime | None:
    """When its gateway is asked again; None when nothing more can be hoped for from asking."""
    if attempt.state == AttemptState.REQUIRES_ACTION:
        # The buyer has a page open, and the gateway will write to us: seldom is enough.
        return now + schedule.after(settings.PAYMENT_WAIT_SECONDS, attempt.asks)
    if attempt.is_live:
        return schedule.next_ask_at(attempt.created_at, now=now)
    # Money may still come of what is over: it is looked at a few times more.
    return schedule.late_ask_at(attempt.ended_at, now=now) if attempt.ended_at else None


# ---------------------------------------------------------------- locks and words


def lock(payment_id: UUID) -> Payment:
    """The payment, fresh and locked until the transaction ends: what every act on it does first."""
    rows = Payment.objects.select_for_update(of=("self",), no_key=True).select_related("user")
    return rows.get(pk=payment_id)


def _lock_attempt(attempt_id: UUID) -> tuple[Payment, Attempt]:
    payment_id = Attempt.objects.values_list("payment_id", flat=True).get(pk=attempt_id)
    payment = lock(payment_id)
    attempt = Attempt.objects.get(pk=attempt_id)
    attempt.payment = payment
    return payment, attempt


def told(action: NextAction) -> dict[str, Any]:
    """What the buyer does next, without what does not apply."""
    facts: dict[str, Any] = {
        "url": action.url,
        "phone": action.phone,
        "reference": action.reference,
        "client_secret": action.client_secret,
        "publishable_key": action.publishable_key,
        "expires_at": action.expires_at and dates.written(action.expires_at),
    }
    return {"type": action.type.value, **{name: value for name, value in facts.items() if value}}


def tell(
    payment: Payment, attempt: Attempt | None, event: EventType, *, without_item: bool = False, **more: Any
) -> None:
    data: dict[str, Any] = {
        "payment": str(payment.pk),
        "amount": payment.amount_minor,
        "currency": payment.currency,
        "gateway": attempt.gateway if attempt else None,
    }
    if payment.reference:
        data["reference"] = payment.reference
    if payment.metadata:
        data["metadata"] = payment.metadata
    if not without_item:
        data |= {"kind": payment.kind, "item": payment.item or None}
    outbox.record(user=payment.user, type=event, data=data | more)

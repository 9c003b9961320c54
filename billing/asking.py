"""Asking a gateway what became of an attempt: for a notification, a sweep, somebody who waits; and closing one."""

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from billing import calling, cases, errors, failures, payments
from billing.gateways import errors as gateway_errors
from billing.gateways import registry
from billing.gateways.base import Cancels, Captures, OpensCheckout, PaymentRef, PaymentResult, PaymentState
from billing.models import Attempt, Payment
from billing.models.cases import CaseKind
from billing.models.payments import SETTLED, AttemptState, PaymentKind, PaymentStatus
from rest import sweeps

logger = logging.getLogger(__name__)


def ref(attempt: Attempt) -> PaymentRef:
    return PaymentRef(
        reference=attempt.reference,
        amount=attempt.payment.money,
        ids=attempt.gateway_ids,
        created_at=attempt.created_at,
    )


def ask(attempt: Attempt) -> Payment:
    """What the gateway says now, written down. A GatewayError means that it said nothing, and nothing has changed."""
    return payments.note(attempt=attempt, result=_answer(attempt))


def refresh(payment: Payment) -> Payment:
    """Ask about the last attempt, for somebody who does not want to wait for the gateway's letter."""
    attempt = payment.attempts.select_related("payment").last()
    if attempt is None or attempt.state in SETTLED:
        return payment
    try:
        return ask(attempt)
    except gateway_errors.GatewayError as error:
        raise unheard(attempt.gateway, error) from error


def unheard(name: str, error: gateway_errors.GatewayError) -> errors.GatewaySilent:
    """What is said to whoever asked: an answer that was lost is no proof that nothing happened."""
    kind = errors.GatewayUnsure if isinstance(error, gateway_errors.Uncertain) else errors.GatewaySilent
    return kind(name, error.retry_after_seconds)


def cancel(payment: Payment) -> Payment:
    """Take a payment back before it is paid, where its gateway can; then nobody can pay it any more."""
    if payment.status != PaymentStatus.PENDING:
        raise errors.PaymentOver(payment.pk, payment.status)
    if payments.is_bill(payment):
        raise errors.PaymentOfInvoice(payment.pk)
    attempt = payment.attempts.live().select_related("payment").first()
    if attempt is None:
        return payments.give_up(payment=payment, status=PaymentStatus.CANCELLED)
    return _ended(attempt)


def free(payment: Payment) -> Payment:
    """End the attempt that waits, if there is one, so that a bill can be paid in another way or be cancelled."""
    attempt = payment.attempts.live().select_related("payment").first()
    return payment if attempt is None else _ended(attempt)


def _ended(attempt: Attempt) -> Payment:
    try:
        result = close_checkout(attempt)
    except gateway_errors.Declined as error:
        result = _second_look(attempt, error)
    except gateway_errors.GatewayError as error:
        raise unheard(attempt.gateway, error) from error
    if result is None:
        raise errors.CannotCancel(attempt.gateway)
    told = payments.note(attempt=attempt, result=result)
    if told.status == PaymentStatus.SUCCEEDED:
        raise errors.PaymentOver(told.pk, told.status)
    if told.attempts.live().exists():
        raise errors.CannotCancel(attempt.gateway)
    return told


def close_checkout(attempt: Attempt) -> PaymentResult | None:
    """Ask the gateway to forget it; None where it cannot."""
    adapter = registry.get(attempt.gateway)
    if not isinstance(adapter, Cancels):
        return None
    return calling.call(attempt.gateway, "cancel", lambda: adapter.cancel_checkout(ref(attempt)))


def _second_look(attempt: Attempt, refusal: gateway_errors.Declined) -> PaymentResult:
    """A gateway refuses to cancel what was paid a moment ago: then that is what we want to hear."""
    try:
        return _answer(attempt)
    except gateway_errors.GatewayError:
        raise errors.CannotCancel(attempt.gateway) from refusal


def _answer(attempt: Attempt) -> PaymentResult:
    adapter = registry.get(attempt.gateway)
    assert isinstance(adapter, OpensCheckout)  # noqa: S101 - it opened this one
    if attempt.is_live and attempt.payment.status == PaymentStatus.SUCCEEDED:
        # Paid by another attempt: this one shall not be paid as well.
        taken = _quietly_closed(attempt)
        if taken is not None:
            return taken
    result = calling.call(attempt.gateway, "fetch", lambda: adapter.fetch_payment(ref(attempt)))
    if result.state is PaymentState.AUTHORIZED and isinstance(adapter, Captures):
        return _captured(attempt, adapter, result)
    return result


def _captured(attempt: Attempt, adapter: Captures, agreed: PaymentResult) -> PaymentResult:
    """The buyer has agreed; with PayPal the money moves only by this call, which the reference makes safe to repeat.
    So it is not made for what nobody has to pay any more, and a refusal of it is how the attempt ended."""
    ids = {**attempt.gateway_ids, **agreed.ids}
    payment = Payment.objects.get(pk=attempt.payment_id)
    if payment.status == PaymentStatus.SUCCEEDED or payments.is_cancelled_bill(payment):
        return PaymentResult(state=PaymentState.CANCELLED, ids=agreed.ids)
    if attempt.state == AttemptState.FAILED:
        return PaymentResult(state=PaymentState.FAILED, ids=agreed.ids)
    known = PaymentRef(
        reference=attempt.reference, amount=attempt.payment.money, ids=ids, created_at=attempt.created_at
    )
    try:
        return calling.call(attempt.gateway, "capture", lambda: adapter.capture(known))
    except gateway_errors.Declined as error:
        return PaymentResult(state=PaymentState.FAILED, ids=agreed.ids, failure=failures.of(error))


def _quietly_closed(attempt: Attempt) -> PaymentResult | None:
    try:
        return close_checkout(attempt)
    except gateway_errors.Declined:
        return None


# ---------------------------------------------------------------- sweeps


def ask_due(now: datetime | None = None) -> int:
    """Ask about every attempt whose time has come; returns how many were asked."""
    total = 0
    while due := _claim(moment := now or timezone.now()):
        for attempt in due:
            with sweeps.alone("payment.not_asked", attempt=str(attempt.pk)):
                _ask_one(attempt)
            with sweeps.alone("payment.not_handed_over", attempt=str(attempt.pk)):
                _hand_over_to_people(attempt, moment)
        total += len(due)
    return total


def _claim(now: datetime) -> list[Attempt]:
    """Of the last question too the answer is still to come; that there is no other one is written down behind it."""
    lease = timedelta(seconds=settings.GATEWAY_ASK_OFTEN_SECONDS)

    def ask_again(attempt: Attempt) -> None:
        attempt.asks += 1
        attempt.next_ask_at = payments.next_ask(attempt, now) or now + lease

    due = Attempt.objects.filter(next_ask_at__lte=now).select_related("payment")
    return sweeps.claim(
        due, by="next_ask_at", most=settings.PAYMENT_SWEEP_BATCH, then=ask_again, writes=["asks", "next_ask_at"]
    )


def _ask_one(attempt: Attempt) -> None:
    try:
        ask(attempt)
    except gateway_errors.GatewayError as error:
        logger.info(
            "payment.not_told", extra={"attempt": str(attempt.pk), "gateway": attempt.gateway, "why": str(error)}
        )
    except registry.UnknownGateway:
        logger.warning("payment.gateway_gone", extra={"attempt": str(attempt.pk), "gateway": attempt.gateway})


@transaction.atomic
def _hand_over_to_people(attempt: Attempt, now: datetime) -> None:
    """What the gateway did not tell us in all that time is a case: somebody has to ask its support. Behind the lock, so
    that whoever hears the end at this moment either comes first or closes the case."""
    payments.lock(attempt.payment_id)
    claimed_until = attempt.next_ask_at
    attempt.refresh_from_db(fields=["state", "ended_at", "next_ask_at"])
    if attempt.next_ask_at == claimed_until and payments.next_ask(attempt, now) is None:
        attempt.next_ask_at = None
        attempt.save(update_fields=["next_ask_at"])
    if attempt.is_live and attempt.next_ask_at is None:
        cases.open(
            kind=CaseKind.STILL_UNKNOWN,
            payment=attempt.payment,
            attempt=attempt,
            key=str(attempt.pk),
            facts={"state": attempt.state, "gateway": attempt.gateway},
            amount=attempt.payment.money,
        )


def expire_abandoned(now: datetime | None = None) -> int:
    """End the checkouts that nobody paid in time, after asking their gateways; returns how many ended."""
    moment, ended = now or timezone.now(), 0
    while late := _claim_late(moment):
        for payment in late:
            with sweeps.alone("payment.not_expired", payment=str(payment.pk)):
                ended += _expire_one(payment, moment)
    return ended


def _claim_late(now: datetime) -> list[Payment]:
    """Those whose time is over, each with a little more of it: until its gateway has said something it can still be
    paid, and those whose gateway is silent must not stand before all others. Of a bill it is the attempt that has a
    time; without one it waits for nothing but its buyer."""
    later = now + timedelta(seconds=settings.PAYMENT_EXPIRE_AGAIN_SECONDS)

    def wait(payment: Payment) -> None:
        payment.expires_at = later

    waits = Exists(Attempt.objects.live().filter(payment=OuterRef("pk")))
    late = Payment.objects.filter(~Q(kind=PaymentKind.BILL) | waits, status=PaymentStatus.PENDING, expires_at__lte=now)
    return sweeps.claim(late, by="expires_at", most=settings.PAYMENT_SWEEP_BATCH, then=wait, writes=["expires_at"])


def _expire_one(payment: Payment, now: datetime) -> bool:
    attempt = payment.attempts.live().select_related("payment").first()
    if attempt is None:
        return payments.give_up(payment=payment, status=PaymentStatus.EXPIRED).status == PaymentStatus.EXPIRED
    try:
        told = ask(attempt)
        attempt.refresh_from_db()
        if told.status == PaymentStatus.PENDING and attempt.state == AttemptState.REQUIRES_ACTION:
            told = _end_at_gateway(attempt, told, now)
    except (gateway_errors.GatewayError, registry.UnknownGateway):
        return False  # it comes up again; asked about meanwhile by its own schedule
    return told.status in (PaymentStatus.EXPIRED, PaymentStatus.CANCELLED)


def _end_at_gateway(attempt: Attempt, payment: Payment, now: datetime) -> Payment:
    result = close_checkout(attempt)
    if result is None:
        lifetime = registry.get(attempt.gateway).capabilities.pending_lifetime
        if now < attempt.created_at + lifetime:
            return payment  # its page is still open somewhere
        result = PaymentResult(state=PaymentState.EXPIRED)
    if result.state is PaymentState.CANCELLED:
        result = PaymentResult(state=PaymentState.EXPIRED, ids=result.ids, raw=result.raw)  # by us, since nobody came
    return payments.note(attempt=attempt, result=result)

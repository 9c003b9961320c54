"""Sending refunds and asking about them: always under the same reference, so whatever became of the first call, the
second one is the same refund."""

import logging
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from billing import (
    asking,
    calling,
    cases,
    errors,
    failures,
    payments,
    refunds,
    refunds_elsewhere,
    schedule,
    standing_aside,
    webhook_address,
)
from billing.gateways import errors as gateway_errors
from billing.gateways import registry
from billing.gateways.base import RefundRef, RefundRequest, RefundResult, Refunds, RefundState
from billing.models import Attempt, Case, Dispute, Payment, Refund
from billing.models.cases import CaseKind
from billing.models.payments import AttemptState
from billing.models.refunds import UNDER_WAY, DisputeState, RefundOrigin, RefundPolicy, RefundStatus
from billing.refund_plans import Plan
from ledger.money import Money
from rest import sweeps

logger = logging.getLogger(__name__)

LONGEST_UNDER_WAY = timedelta(days=14)


def send(refund: Refund) -> Refund:
    """Ask the gateway to send it; of two who come at once, one does. None goes while a bank may take the same money."""
    adapter = registry.get(refund.attempt.gateway)
    assert isinstance(adapter, Refunds)  # noqa: S101 - others are refunded by hand
    if not _claim_to_send(refund):
        return refund
    fresh = _fetched(refund.pk)
    wanted = RefundRequest(
        reference=fresh.reference,
        payment=asking.ref(fresh.attempt),
        amount=fresh.money,
        reason=fresh.reason,
        notify_url=webhook_address.of(fresh.attempt.gateway),
    )
    try:
        result = calling.call(fresh.attempt.gateway, "refund", lambda: adapter.send_refund(wanted))
    except gateway_errors.Declined as error:
        refused = RefundResult(state=RefundState.FAILED, failure=failures.of(error))
        return note(fresh, refused)
    except gateway_errors.Unavailable:
        pause = timedelta(seconds=settings.REFUND_RETRY_SECONDS)
        Refund.objects.filter(pk=fresh.pk, status=RefundStatus.SENDING).update(
            status=RefundStatus.REQUESTED, next_try_at=timezone.now() + pause
        )
        return fresh
    except gateway_errors.Uncertain:
        Refund.objects.filter(pk=fresh.pk, status=RefundStatus.SENDING).update(status=RefundStatus.UNKNOWN)
        return fresh
    return note(fresh, result)


@transaction.atomic(durable=True)
def _claim_to_send(refund: Refund) -> bool:
    """Behind the payment, as disputes are written down: one that is heard of later finds that it is being sent."""
    payments.lock(refund.payment_id)
    disputes, now = Dispute.objects.of_same_money, timezone.now()
    requested = Refund.objects.filter(pk=refund.pk, status=RefundStatus.REQUESTED)
    if disputes(refund, DisputeState.LOST).exists():
        if requested.exists():
            _give_up(refund)
        return False
    if disputes(refund, DisputeState.OPEN).exists():
        requested.update(next_try_at=now + timedelta(hours=settings.REFUND_ASK_HOURS))
        return False
    asked_at = schedule.next_ask_at(now, now=now)
    return bool(requested.update(status=RefundStatus.SENDING, sent_at=now, next_try_at=asked_at))


def _give_up(refund: Refund) -> None:
    """The bank has given the buyer their money, or a part of it: people look whether anything is still to be given."""
    gone = refunds.cancel(refund=refund)
    of_surplus = gone.origin == RefundOrigin.SURPLUS
    owed = standing_aside.left(gone.attempt, gone.currency) if of_surplus else gone.money
    if owed.minor:
        why = cases.in_house(_("A dispute about the same money was lost: it was not sent."))
        _open_case(gone, gone.payment, why, kind=CaseKind.REFUND_FAILED, amount=owed)


def note(refund: Refund, result: RefundResult) -> Refund:
    """Write down what was told of a refund. If it has ended otherwise meanwhile, nobody here knows which of the two is
    the last word, and the gateway is asked for it."""
    try:
        return refunds.note(refund=refund, result=result)
    except errors.RefundEndedMeanwhile:
        return ask(refund)


def ask(refund: Refund) -> Refund:
    """What the gateway says of it now."""
    fresh = _fetched(refund.pk)
    adapter = registry.get(fresh.attempt.gateway)
    assert isinstance(adapter, Refunds)  # noqa: S101
    known = RefundRef(
        reference=fresh.reference,
        payment=asking.ref(fresh.attempt),
        amount=fresh.money,
        ids=fresh.gateway_ids,
        created_at=fresh.created_at,
    )
    return note(fresh, calling.call(fresh.attempt.gateway, "fetch_refund", lambda: adapter.fetch_refund(known)))


def _fetched(refund_id: UUID) -> Refund:
    return Refund.objects.select_related("payment__user", "attempt__payment").get(pk=refund_id)


# ---------------------------------------------------------------- sweeps


def work_through(now: datetime | None = None) -> int:
    """Send what waits, ask about what is under way, give back what was paid twice; returns how many were touched."""
    moment = now or timezone.now()
    touched = _return_surplus()
    for refund in _claim(moment):
        with sweeps.alone("refund.not_worked_on", refund=str(refund.pk)):
            _work_on(refund)
        with sweeps.alone("refund.not_handed_over", refund=str(refund.pk)):
            _hand_over_to_people(refund)
        touched += 1
    return touched


def _return_surplus() -> int:
    # Other cases of the attempt are about what it was before.
    told = Case.objects.filter(kind=CaseKind.SURPLUS, attempt=OuterRef("pk"))
    waiting = Attempt.objects.filter(~Exists(told), state=AttemptState.SURPLUS, refunds__isnull=True)
    begun = 0
    for attempt in waiting.order_by("id")[: settings.PAYMENT_SWEEP_BATCH]:
        with sweeps.alone("surplus.not_returned", attempt=str(attempt.pk)):
            begun += return_surplus(attempt) is not None
    return begun


@transaction.atomic
def return_surplus(attempt: Attempt) -> Refund | None:
    """Money of a second payment goes back by itself, or is a case where its gateway cannot send it back."""
    payment = payments.lock(attempt.payment_id)
    if Refund.objects.counted().filter(attempt=attempt, origin=RefundOrigin.SURPLUS).exists():
        return None
    if not (settings.REFUND_SURPLUS and refunds.can_send(attempt)):
        amount, key = payment.money, str(attempt.pk)
        facts = {"amount": str(amount), "gateway": attempt.gateway}
        cases.open(kind=CaseKind.SURPLUS, payment=payment, attempt=attempt, key=key, facts=facts, amount=amount)
        return None
    zero = Money(0, payment.currency)
    plan = Plan(amount=payment.money, tax=zero, policy=RefundPolicy.GOODWILL)
    return refunds.write(
        payment, attempt, plan, RefundStatus.REQUESTED, origin=RefundOrigin.SURPLUS, reason="Paid twice"
    )


def _claim(now: datetime) -> list[Refund]:
    def try_again(refund: Refund) -> None:
        refund.tries += 1
        refund.next_try_at = refunds.next_question(refund)

    due = Refund.objects.filter(status__in=UNDER_WAY, next_try_at__lte=now)
    return sweeps.claim(
        due, by="next_try_at", most=settings.PAYMENT_SWEEP_BATCH, then=try_again, writes=["tries", "next_try_at"]
    )


def _work_on(refund: Refund) -> None:
    try:
        if refund.status == RefundStatus.REQUESTED:
            send(refund)
        else:
            # One that is still being sent belongs to a worker that died, or that will find its answer noted.
            ask(refund)
    except gateway_errors.GatewayError as error:
        logger.info("refund.not_told", extra={"refund": str(refund.pk), "why": str(error)})
    except registry.UnknownGateway:
        logger.warning("refund.gateway_gone", extra={"refund": str(refund.pk), "gateway": refund.attempt.gateway})
        _gateway_gone(refund)


@transaction.atomic
def _hand_over_to_people(refund: Refund) -> None:
    """Nobody has the money, and nothing says that anybody will: somebody has to look."""
    age = timezone.now() - refund.created_at
    if age < timedelta(seconds=settings.GATEWAY_ASK_UNTIL_SECONDS):
        return
    payment = payments.lock(refund.payment_id)
    fresh = Refund.objects.select_related("attempt").get(pk=refund.pk)
    fresh.payment = payment
    # Banks may take two weeks of what is under way; that is nobody's fault.
    is_late = fresh.status in UNDER_WAY and (fresh.status != RefundStatus.PENDING or age > LONGEST_UNDER_WAY)
    if is_late and not refunds_elsewhere.waits(fresh) and not _is_held_back(fresh):
        sentence, name = _("%(gateway)s has not sent it yet: %(state)s"), fresh.attempt.gateway
        _open_case(fresh, payment, cases.in_house(sentence, gateway=name, state=RefundStatus(fresh.status).label))


def _is_held_back(refund: Refund) -> bool:
    """It goes, or is cancelled, when the dispute is over."""
    is_ours = refund.status == RefundStatus.REQUESTED
    return is_ours and Dispute.objects.of_same_money(refund, DisputeState.OPEN).exists()


def _open_case(
    refund: Refund, payment: Payment, why: str, *, kind: CaseKind = CaseKind.STILL_UNKNOWN, amount: Money | None = None
) -> None:
    amount = amount or refund.money
    facts = {"refund": str(refund.pk), "amount": str(amount), "gateway": refund.attempt.gateway, "why": why}
    cases.open(kind=kind, payment=payment, attempt=refund.attempt, key=refund.key, facts=facts, amount=amount)


@transaction.atomic
def _gateway_gone(refund: Refund) -> None:
    """Its gateway is not here any more. What it was never asked for is sent by hand; of the rest somebody finds out
    there what became of it."""
    payment = payments.lock(refund.payment_id)
    # A worker of a version that still has the gateway may be sending it at this moment: of the two, one does.
    requested = Refund.objects.filter(pk=refund.pk, status=RefundStatus.REQUESTED)
    is_ours = requested.update(status=RefundStatus.MANUAL, next_try_at=None)
    fresh = Refund.objects.select_related("attempt").get(pk=refund.pk)
    fresh.payment = fresh.attempt.payment = payment
    if is_ours:
        refunds.ask_people(fresh)
    elif fresh.status in UNDER_WAY:
        sentence = _("%(gateway)s is not one of our gateways any more")
        _open_case(fresh, payment, cases.in_house(sentence, gateway=fresh.attempt.gateway))

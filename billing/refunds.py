"""Giving money back: what must come back to us is held, the gateway is asked, and then it is taken or freed.

A refund is committed before its gateway is called, and always sent under the same reference: whatever became of the
first call, the second one is the same refund.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Sum
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from billing import (
    cases,
    dispute_losses,
    errors,
    failures,
    fulfilment,
    payment_log,
    payments,
    redemptions,
    refund_credits,
    refund_plans,
    refunds_elsewhere,
    sale_payments,
    schedule,
    standing_aside,
    voucher_refunds,
)
from billing.gateways import registry
from billing.gateways.base import NOTHING_WENT, RefundResult, Refunds, RefundState
from billing.models import Attempt, Payment, Refund
from billing.models.cases import CaseKind
from billing.models.payments import AttemptState, PaymentKind
from billing.models.refunds import NOT_COUNTED, OPEN, DisputeState, RefundOrigin, RefundPolicy, RefundStatus
from billing.refund_plans import Plan
from credits import takebacks
from events import outbox
from events.types import EventType
from ledger import transfers
from ledger.models import EntryKey
from ledger.money import Money
from ledger.transfers import Move


def preview(*, payment: Payment, amount: Money | None = None, policy: RefundPolicy | None = None) -> Plan:
    return refund_credits.previewed(payment, refund_plans.to_send(payment=payment, amount=amount, policy=policy))


def usual_policy() -> RefundPolicy:
    return RefundPolicy(settings.REFUND_POLICY)


@transaction.atomic
def request(
    *,
    payment: Payment,
    reason: str,
    amount: Money | None = None,
    policy: RefundPolicy | None = None,
    expected: Plan | None = None,
    by: User | None = None,
    caller: str = "",
    key: str = "",
) -> Refund:
    """Begin to give money back: all that is left, or an amount. Nothing is sent before this is committed. The same key
    returns the refund that it made. If the plan is not the expected one any more, nothing is begun."""
    if not reason.strip():
        raise errors.ReasonMissing
    locked = lock(payment.pk)
    if key and (known := Refund.objects.filter(payment=locked, request_key=key).first()):
        return known
    plan = refund_plans.to_send(payment=locked, amount=amount, policy=policy)
    if expected is not None and refund_credits.previewed(locked, plan) != expected:
        raise errors.RefundPlanChanged
    attempt = locked.attempts.get(state=AttemptState.SUCCEEDED)
    sends = can_send(attempt)
    if sends and plan.amount < locked.money and not registry.get(attempt.gateway).capabilities.partial_refund:
        raise errors.PartialNotPossible(attempt.gateway)
    status = RefundStatus.REQUESTED if sends else RefundStatus.MANUAL
    asked = {"reason": reason, "requested_by": by, "requested_as": caller[:100], "request_key": key}
    refund = write(locked, attempt, plan, status, **asked)
    if sale_payments.is_sale(locked):
        sale_payments.hold(locked, key=refund.key, amount=plan.amount, policy=policy, reason=reason, by=by)
    if status == RefundStatus.MANUAL:
        ask_people(refund)
    return refund


def ask_people(refund: Refund) -> None:
    facts = {"refund": str(refund.pk), "amount": str(refund.money)}
    kind = CaseKind.MANUAL_REFUND
    cases.open(
        kind=kind, payment=refund.payment, attempt=refund.attempt, key=refund.key, facts=facts, amount=refund.money
    )


def lock(payment_id: UUID) -> Payment:
    """The payment, and the credits that it brought: what a plan counts must still be there when it is held."""
    payment = payments.lock(payment_id)
    refund_credits.lock(payment)
    return payment


def can_send(attempt: Attempt) -> bool:
    """Not at a gateway that is not built in any more."""
    adapter = registry.get(attempt.gateway) if attempt.gateway in registry.BUILDERS else None
    return isinstance(adapter, Refunds) and adapter.capabilities.refund


def write(payment: Payment, attempt: Attempt, plan: Plan, status: RefundStatus, **facts: Any) -> Refund:
    refund = Refund.objects.create(
        payment=payment,
        attempt=attempt,
        policy=plan.policy,
        status=status,
        amount_minor=plan.amount.minor,
        tax_minor=plan.tax.minor,
        currency=plan.amount.unit,
        credits_due=plan.credits_due,
        credits_owed=plan.owed,
        credits_gone=plan.gone,
        lines=plan.lines,
        next_try_at=timezone.now() if status == RefundStatus.REQUESTED else None,
        **facts,
    )
    refund_credits.hold(payment, key=refund.key, plan=plan)
    return refund


def _unit(payment: Payment) -> str:
    return str(payment.details["unit"])


# ---------------------------------------------------------------- what a gateway says


@transaction.atomic
def note(*, refund: Refund, result: RefundResult, **proven: Any) -> Refund:
    """Write down what a gateway says of a refund, or people who have proven it, and do what follows from it. The refund
    is given as it was known when they were asked: an answer that is older than its end does not undo that."""
    locked = _locked(refund)
    if refunds_elsewhere.is_of_dispute(locked):
        return locked
    if locked.ended_at != refund.ended_at and _says_otherwise(locked, result.state):
        raise errors.RefundEndedMeanwhile(locked.pk, locked.status)
    locked.gateway_ids = {**locked.gateway_ids, **result.ids}
    locked.last_reply = dict(result.raw) or locked.last_reply
    if result.failure:
        failures.remember(locked, result.failure)
    for name, value in proven.items():
        setattr(locked, name, value)
    match result.state:
        case RefundState.SUCCEEDED if refunds_elsewhere.waits(locked):
            locked.status = RefundStatus.PENDING
            locked.next_try_at = timezone.now() + timedelta(hours=settings.REFUND_ASK_HOURS)
        case RefundState.SUCCEEDED if locked.status != RefundStatus.SUCCEEDED:
            refunds_elsewhere.plan(locked)
            _arrived(locked)
        case RefundState.FAILED | RefundState.CANCELLED if locked.status == RefundStatus.SUCCEEDED:
            _came_back(locked)
        case RefundState.FAILED | RefundState.CANCELLED if locked.status in OPEN:
            _failed(locked)
        case RefundState.PENDING if locked.status in OPEN:
            locked.status, locked.not_found = RefundStatus.PENDING, 0
            locked.next_try_at = next_question(locked)
        case RefundState.NOT_FOUND if locked.status in (RefundStatus.SENDING, RefundStatus.UNKNOWN):
            _not_found(locked)
    locked.save()
    if locked.status not in OPEN:
        _settle_cases(locked)
    return locked


def _locked(refund: Refund) -> Refund:
    """Behind its payment, the row itself too: who has sent it notes a doubt without the payment. What is being sent is
    not taken back, and is not written over by what was read before."""
    payment = payments.lock(refund.payment_id)
    rows = Refund.objects.select_related("attempt").select_for_update(of=("self",), no_key=True)
    locked = rows.get(pk=refund.pk)
    locked.payment = locked.attempt.payment = payment
    return locked


def _says_otherwise(refund: Refund, state: RefundState) -> bool:
    has_gone = refund.status == RefundStatus.SUCCEEDED
    return state in NOTHING_WENT if has_gone else state is RefundState.SUCCEEDED and refund.status in NOT_COUNTED


def next_question(refund: Refund) -> datetime:
    """Pending refunds take days: they are asked about for as long as it takes."""
    now = timezone.now()
    sent_at = refund.sent_at or refund.created_at
    return schedule.next_ask_at(sent_at, now=now) or now + timedelta(hours=settings.REFUND_ASK_HOURS)


def _not_found(refund: Refund) -> None:
    """Sending it again under the same reference is safe, once it is certain that it never arrived."""
    refund.not_found += 1
    now, sent_at = timezone.now(), refund.sent_at or refund.created_at
    if schedule.proves_absence(schedule.Sent.REFUND, sent_at, now=now, answers=refund.not_found):
        refund.status, refund.not_found, refund.next_try_at = RefundStatus.REQUESTED, 0, now


# ---------------------------------------------------------------- what follows


def _arrived(refund: Refund) -> None:
    if refund.status in NOT_COUNTED:
        # It seemed to have failed, and what was held is free again: people look at it.
        why = cases.in_house(_("It arrived after it had been given up here."))
        _ask_about_failure(refund, "late", {"why": why, "proof": refund.proof})
        refund.proof, refund.proof_note, refund.proven_by = "", "", None  # of its failure
        _plan_anew(refund)
    refund.status, refund.ended_at, refund.next_try_at = RefundStatus.SUCCEEDED, timezone.now(), None
    failures.remember(refund, None)
    _book(refund)
    payment_log.refunded(refund)
    if refund.origin == RefundOrigin.SURPLUS:
        return
    if refund.payment.kind == PaymentKind.PACK:
        takebacks.take(
            user=refund.payment.user,
            unit=_unit(refund.payment),
            key=refund.key_now,
            owed=refund.credits_owed,
            metadata={"refund": str(refund.pk), "payment": str(refund.payment_id)},
        )
    refund.save()
    total = refunded(refund.payment)
    if total >= refund.payment.amount_minor:
        redemptions.refunded(refund.payment)
    payments.tell(
        refund.payment,
        refund.attempt,
        EventType.PAYMENT_REFUNDED,
        without_item=True,
        amount=refund.amount_minor,
        refund=str(refund.pk),
        refunded_total=total,
        is_full=total >= refund.payment.amount_minor,
        **({"reason": refund.reason} if refund.reason else {}),
    )


def _plan_anew(refund: Refund) -> None:
    """Of what went for it nothing is held any more, and another refund may have gone instead: the customer keeps the
    credits, sellers give as much as is left of their sales, and what is more than was left of the price bore no tax."""
    refund.lines, refund.credits_owed, refund.credits_gone = {}, 0, 0
    refund.uses_given_back.all().delete()  # of when it arrived before: another refund may have taken them by now
    if refund.origin == RefundOrigin.SURPLUS:
        return
    refund.tax_minor = refund_plans.at_our_cost(refund.money, payment=refund.payment, instead_of=refund).tax.minor
    if _is_of_sellers(refund):
        key, policy = f"{refund.key_now}:late", RefundPolicy(refund.policy)
        sale_payments.hold_what_has_gone(
            refund.payment, key=key, amount=refund.money, policy=policy, reason=refund.reason
        )


def _failed(refund: Refund) -> None:
    refund.status, refund.ended_at, refund.next_try_at = RefundStatus.FAILED, timezone.now(), None
    dispute_losses.free(refund)
    refunds_elsewhere.forget(refund)
    _tell_failure(refund, "failed")


def _came_back(refund: Refund) -> None:
    """Days later the bank sent it back to us: the books are as before, and the customer has their credits again."""
    refund.status, refund.ended_at = RefundStatus.FAILED, timezone.now()
    if booked := EntryKey.objects.select_related("entry").filter(key=refund.key_now).first():
        transfers.reverse(key=f"{refund.key_now}:back", entry=booked.entry, kind="refund.returned")
    dispute_losses.give_again(refund)
    redemptions.refund_came_back(refund.payment)
    _tell_failure(refund, "back")
    refund.times_back += 1


def _is_of_sellers(refund: Refund) -> bool:
    """What was paid twice never reached a seller."""
    return sale_payments.is_sale(refund.payment) and refund.origin != RefundOrigin.SURPLUS


def _is_taxed_at_use(refund: Refund) -> bool:
    """Not where a dispute has taken the money already: that is our loss, and the sale stands as it was."""
    lost = refunds_elsewhere.has_dispute(refund.payment, DisputeState.LOST)
    return bool(refund.payment.details.get("tax", {}).get("at_use")) and not lost


def _ask_about_failure(refund: Refund, trouble: str, told: Mapping[str, str], amount: Money | None = None) -> None:
    """A case for each trouble: the first one may be closed already when the next one comes."""
    amount = amount or refund.money
    facts, key = {"refund": str(refund.pk), "amount": str(amount), **told}, f"{refund.key_now}:{trouble}"
    kind, about = CaseKind.REFUND_FAILED, refund.payment
    cases.open(kind=kind, payment=about, attempt=refund.attempt, key=key, facts=facts, amount=amount)


def _tell_failure(refund: Refund, trouble: str) -> None:
    told = {"why": refund.failure_category or refund.proof}
    if refund.origin == RefundOrigin.SURPLUS:
        # What a bank has given the buyer already is not to be given back once more.
        owed = standing_aside.left(refund.attempt, refund.currency, without=refund)
        if owed.minor:
            _ask_about_failure(refund, trouble, told, owed)
        return
    _ask_about_failure(refund, trouble, told)
    outbox.record(
        user=refund.payment.user,
        type=EventType.REFUND_FAILED,
        data={
            "payment": str(refund.payment_id),
            "refund": str(refund.pk),
            "amount": refund.amount_minor,
            "currency": refund.currency,
            "reason": refund.failure_category or "unknown",
        },
    )


def _settle_cases(refund: Refund) -> None:
    """It is over: nobody has to send it by hand any more, or to find out what became of it."""
    said = cases.in_house(_("The refund is over: %(state)s."), state=RefundStatus(refund.status).label)
    kinds = (CaseKind.MANUAL_REFUND, CaseKind.STILL_UNKNOWN)
    cases.settle(kinds=kinds, key=refund.key, resolution=said, by=refund.proven_by)


def _book(refund: Refund) -> None:
    unit = refund.currency
    outside = fulfilment.gateway_account(refund.attempt.gateway, unit)
    if _is_of_sellers(refund):
        # The wallets book what comes from the sellers and what from us; what is left of no sale is our loss.
        rest = refund.money - sale_payments.settle(refund.payment, refund.key)
        if not rest.minor:
            return
        moves = [Move(fulfilment.house(f"loss:{unit}", unit), outside, rest)]
    elif refund.origin == RefundOrigin.SURPLUS:
        moves = standing_aside.moves(refund, outside)
    elif _is_taxed_at_use(refund):
        uses = voucher_refunds.write(refund)
        refund.tax_minor = sum(use.tax_minor for use in uses)
        moves = voucher_refunds.moves(refund, uses, outside)
    elif refund.payment.details.get("tax", {}).get("at_use"):
        moves = voucher_refunds.moves_after_loss(refund, outside)
    else:
        source = f"loss:{unit}" if refund.policy == RefundPolicy.GOODWILL else fulfilment.revenue_of(refund.payment)
        net = refund.money - refund.tax
        moves = [Move(fulfilment.house(source, unit), outside, net)] if net.minor else []
        if refund.tax_minor:
            moves.append(Move(fulfilment.house(f"tax:{unit}", unit), outside, refund.tax))
    metadata = {"refund": str(refund.pk), "payment": str(refund.payment_id)}
    transfers.post(key=refund.key_now, kind="refund", moves=moves, metadata=metadata)


def refunded(payment: Payment) -> int:
    """What has gone back and arrived, in minor units."""
    rows = Refund.objects.filter(payment=payment, status=RefundStatus.SUCCEEDED).exclude(origin=RefundOrigin.SURPLUS)
    return rows.aggregate(total=Sum("amount_minor"))["total"] or 0


@transaction.atomic
def cancel(*, refund: Refund) -> Refund:
    """Take a refund back that has not been sent; what was held is free again."""
    locked = _locked(refund)
    if locked.status not in (RefundStatus.MANUAL, RefundStatus.REQUESTED):
        raise errors.RefundOver(locked.pk, locked.status)
    locked.status, locked.ended_at, locked.next_try_at = RefundStatus.CANCELLED, timezone.now(), None
    dispute_losses.free(locked)
    locked.save()
    _settle_cases(locked)
    return locked

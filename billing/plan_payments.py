"""What a payment for a plan brings: a period more, or the dearer plan from now on. Its grants the calendar gives."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from celery import current_app
from django.db import transaction
from django.utils.translation import gettext_noop

from billing import cases, dunning, errors, subscription_states
from billing.change_basis import Basis
from billing.models import Attempt, Payment, PlanPrice, Subscription
from billing.models.cases import CaseKind
from billing.models.payments import PaymentKind, PaymentQuerySet, PaymentStatus
from billing.models.subscriptions import IN_FORCE, OVER
from billing.waking import Waker

START, RENEW, CHANGE = "start", "renew", "change"
CHANGED_MEANWHILE = gettext_noop("it has changed meanwhile: look again")


def _send_wake_up() -> object:
    """By its name, since the tasks import all of billing. A lost one costs a minute: a sweep grants as well."""
    return current_app.tasks["billing.tasks.grant_paid_for"].delay()


granting = Waker("grants", _send_wake_up)


def deliver(payment: Payment, attempt: Attempt | None) -> None:
    """Once: the payment's key stands in the paid period that it brought. The caller has locked the payment."""
    transaction.on_commit(granting.wake)
    asked = payment.details
    subscription = subscription_states.lock(asked["subscription"])
    price = PlanPrice.objects.select_related("plan").get(pk=asked["price"])
    key = f"payment:{payment.pk}"
    facts = {"subscription": str(subscription.pk), "purpose": asked["purpose"]}
    if asked["purpose"] == CHANGE:
        if not subscription_states.change_now(
            subscription_id=subscription.pk,
            basis=Basis.of_payment(payment),
            price=price,
            key=key,
            amount_minor=payment.amount_minor,
            payment=payment,
        ):
            # Paid for a change of something that is no more: operators give the money back, or time for it.
            _ask_people(payment, attempt, facts)
        return
    if asked.get("is_over") or _is_of_another_plan(payment, subscription):
        # Told of after the gateway had ended it, or left open while the plan was changed: operators give money back,
        # or time for it.
        _ask_people(payment, attempt, facts)
        return
    if (other := successor(subscription)) is not None:
        # Paid late, when the customer had begun again already: of the same price the time is theirs all the same.
        _ask_people(payment, attempt, facts)
        if other.price_id != price.pk:
            return
        subscription = other
    subscription_states.extend(
        subscription_id=subscription.pk,
        key=key,
        price=price,
        amount_minor=payment.amount_minor,
        payment=payment,
        until=_period(payment),
    )


def _ask_people(payment: Payment, attempt: Attempt | None, facts: Mapping[str, str]) -> None:
    key, amount = str((attempt or payment).pk), payment.money
    cases.open(kind=CaseKind.MISMATCH, payment=payment, attempt=attempt, key=key, facts=facts, amount=amount)


def _is_of_another_plan(payment: Payment, subscription: Subscription) -> bool:
    """Of neither the plan of today nor the next one. What is over begins anew with whatever was paid for."""
    asked = payment.details
    if asked["purpose"] != RENEW or "period" in asked or subscription.status in OVER:
        return False
    return asked["price"] not in (subscription.price_id, subscription.next_price_id)


def _period(payment: Payment) -> tuple[datetime, datetime] | None:
    """The gateway's own, where it renews."""
    said = payment.details.get("period")
    return (datetime.fromisoformat(said[0]), datetime.fromisoformat(said[1])) if said else None


def successor(subscription: Subscription) -> Subscription | None:
    """The one that the customer has instead of it, now that it is over."""
    if subscription.status not in OVER:
        return None
    rows = Subscription.objects.live().filter(user=subscription.user_id, catalogue=subscription.catalogue)
    return rows.select_related("price__plan").first()


def retry_url(payment: Payment) -> str | None:
    """Where the customer tries again what failed: of a renewal the page of the plan; other payments they begin anew."""
    if payment.kind != PaymentKind.PLAN or payment.details.get("purpose") != RENEW:
        return None
    subscription = Subscription.objects.filter(pk=payment.details["subscription"], status__in=IN_FORCE).first()
    return dunning.mend_url(subscription) if subscription else None


def of(subscription: Subscription) -> PaymentQuerySet:
    return Payment.objects.filter(
        user=subscription.user_id, kind=PaymentKind.PLAN, details__subscription=str(subscription.pk)
    )


def pending(subscription: Subscription, purpose: str = "") -> Payment | None:
    """Its payment that could still be paid."""
    rows = of(subscription).with_attempts().filter(status=PaymentStatus.PENDING)
    if purpose:
        rows = rows.filter(details__purpose=purpose)
    return rows.order_by("-id").first()


def refuse_a_second(asked: Mapping[str, Any], basis: Basis | None) -> None:
    """Behind the subscription's lock, in the transaction that writes another payment of it: of rivals who found none
    waiting one goes on. `payment_waits_once_per_plan_and_purpose` says the same in the database.

    What was paid for without waiting, by nothing or at once, is seen by the time that is paid for.
    """
    subscription = subscription_states.lock(asked["subscription"])
    if (waiting := pending(subscription, asked["purpose"])) is not None:
        raise errors.AttemptLive(waiting.pk)
    if basis is not None and not basis.stands(subscription):
        raise errors.SubscriptionState(subscription.status, CHANGED_MEANWHILE)

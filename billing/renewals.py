"""Renewing what we renew ourselves, by the table in `dunning`: reminders, payments, past due, and the end.

Each line is decided and committed under the subscription's lock before a gateway is called. A worker that dies then
leaves the line done; the next line of the table comes all the same.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from billing import (
    cases,
    dunning,
    errors,
    instruction_sending,
    instructions,
    plan_payments,
    subscription_states,
    subscriptions,
)
from billing import gateway_subscriptions as renewing
from billing.gateways.errors import Declined, FailureCategory, GatewayError
from billing.gateways.subscribing import SubscriptionState
from billing.models import GatewayInstruction, Subscription
from billing.models.cases import CaseKind
from billing.models.subscriptions import IN_FORCE, LOOKED_AT, SubscriptionStatus
from billing.plan_payments import RENEW
from events import outbox
from events.types import EventType
from rest import sweeps

logger = logging.getLogger(__name__)
RUNS_THERE = (SubscriptionState.ACTIVE, SubscriptionState.TRIALING)
LONGEST_CHARGE = timedelta(days=1)  # an invoice is a draft for an hour before it is charged
Told = Callable[[int], None]


@dataclass(slots=True, kw_only=True)
class Work:
    looked: int = 0
    reminded: int = 0
    started: int = 0
    past_due: int = 0
    failed: int = 0


def renew_due(*, now: datetime | None = None, told: Told | None = None) -> Work:
    """Do what the table says of every subscription of which something is due."""
    moment, work = now or timezone.now(), Work()
    for pk in _all(moment):
        with sweeps.alone("renewal.not_looked_at", subscription=str(pk)):
            _look(pk, moment, work)
        work.looked += 1
        if told is not None:
            told(work.looked)
    return work


def _all(now: datetime) -> list[UUID]:
    rows = Subscription.objects.to_look_at(now).order_by("next_look_at")
    return list(rows.values_list("pk", flat=True)[: settings.RENEWAL_BATCH])


def _look(pk: UUID, now: datetime, work: Work) -> None:
    subscription, starts = _decide(pk, now, work)
    if subscription is None:
        return
    try:
        if subscription.status == SubscriptionStatus.INCOMPLETE:
            renewing.look_again(subscription)
        elif subscription.is_renewed_by_gateway:
            renewing.ask(subscription, lists_invoices=True)
        elif starts:
            waiting = plan_payments.pending(subscription, RENEW)
            payment = subscriptions.renew(subscription=subscription, wishes=subscriptions.wishes_of(subscription))
            work.started += payment != waiting
    except (errors.BillingError, GatewayError) as refusal:
        # The next line of the table tries again; the customer can pay on the page that they were sent.
        work.failed += 1
        logger.warning("renewal.not_started", extra={"subscription": str(pk), "reason": type(refusal).__name__})


@transaction.atomic
def _decide(pk: UUID, now: datetime, work: Work) -> tuple[Subscription | None, bool]:
    subscription = subscription_states.lock(pk)
    due = subscription.next_look_at
    if subscription.status not in LOOKED_AT or due is None or due > now:
        return None, False  # a rival was here
    if subscription.status == SubscriptionStatus.INCOMPLETE:
        Subscription.objects.filter(pk=pk).update(next_look_at=renewing.next_look_at_page(subscription))
        return (subscription if renewing.renews(subscription.gateway) else None), False
    if subscription.is_renewed_by_gateway:
        Subscription.objects.filter(pk=pk).update(next_look_at=now + timedelta(days=1))
        return subscription, False
    reminders, tries = dunning.reminders_due(subscription, now), dunning.tries_due(subscription, now)
    if reminders > subscription.reminders and dunning.paid_until(subscription) + timedelta(days=1) > now:
        remind(subscription, dunning.mend_url(subscription))  # once, however many lines were missed
        work.reminded += 1
    starts = tries > subscription.tries
    subscription.reminders, subscription.tries = max(reminders, subscription.reminders), max(tries, subscription.tries)
    is_late = dunning.past_due_at(subscription) <= now and subscription.status != SubscriptionStatus.PAST_DUE
    Subscription.objects.filter(pk=pk).update(
        reminders=subscription.reminders, tries=subscription.tries, next_look_at=dunning.next_look_at(subscription)
    )
    if is_late and subscription_states.mark_past_due(subscription_id=pk):
        work.past_due += 1
    return subscription_states.lock(pk), starts


def remind(subscription: Subscription, payment_url: str) -> None:
    """A renewal is near; without an address it is paid by itself."""
    price = subscription.next_price or subscription.price
    outbox.record(
        user=subscription.user,
        type=EventType.RENEWAL_REMINDER,
        data={
            "subscription": str(subscription.pk),
            "plan": price.plan.code,
            "amount": subscriptions.next_amount(subscription, price).minor,
            "currency": price.currency,
            "due_at": dunning.paid_until(subscription),
            "payment_url": payment_url or None,
        },
    )


def carry_instructions_on(*, now: datetime | None = None) -> None:
    """What a gateway was told to do, and whose answer was lost on the way."""
    moment = now or timezone.now()
    for each in instructions.claim(moment):
        with sweeps.alone("instruction.not_carried_on", instruction=str(each.pk)):
            _carry_on(each, moment)


def _carry_on(instruction: GatewayInstruction, now: datetime) -> None:
    try:
        instruction_sending.carry_on(instruction)
    except (errors.BillingError, GatewayError) as refusal:
        reason = type(refusal).__name__
        logger.warning("instruction.not_done", extra={"instruction": str(instruction.pk), "reason": reason})
        if not instructions.is_last_question(instruction, now):
            return
        if instructions.is_open(instruction):  # what was refused stands before them already
            key = f"instruction:{instruction.pk}"
            _ask_people(instruction.subscription, refusal, key, instruction=instruction.kind)
        instructions.stop_asking(instruction)


# ---------------------------------------------------------------- the end


@dataclass(slots=True, kw_only=True)
class Ended:
    cancelled: int = 0
    lapsed: int = 0
    abandoned: int = 0

    @property
    def total(self) -> int:
        return self.cancelled + self.lapsed + self.abandoned


def expire_due(*, now: datetime | None = None, told: Told | None = None) -> Ended:
    """End what was to end with its period, what nobody paid for, and what was never paid."""
    moment, done = now or timezone.now(), Ended()
    for pk in list(Subscription.objects.to_end(moment).values_list("pk", flat=True)[: settings.RENEWAL_BATCH]):
        with sweeps.alone("subscription.not_ended", subscription=str(pk)):
            _end(pk, moment, done)
        if told is not None:
            told(done.total)
    for subscription in abandoned(moment)[: settings.RENEWAL_BATCH]:
        with sweeps.alone("subscription.not_given_up", subscription=str(subscription.pk)):
            done.abandoned += _give_up(subscription)
    return done


def _give_up(subscription: Subscription) -> bool:
    """Nobody paid: not here, and not on the page of a gateway that renews, which is closed."""
    if plan_payments.pending(subscription) is not None:
        return False
    expired, why = SubscriptionStatus.EXPIRED, "unpaid"
    try:
        if renewing.renews(subscription.gateway):
            told = renewing.give_up_page(subscription=subscription, status=expired, why=why)
            return told.status == SubscriptionStatus.EXPIRED
    except (errors.BillingError, GatewayError):
        return False  # it comes up again
    return subscription_states.end(subscription_id=subscription.pk, status=expired, why=why, only_if_unpaid=True)


def _end(pk: UUID, now: datetime, done: Ended) -> None:
    subscription = Subscription.objects.select_related("price__plan", "user").get(pk=pk)
    if renewing.renews_it(subscription) and not _is_unpaid_there(subscription, now):
        return
    asked = subscription.cancel_at_period_end
    status = SubscriptionStatus.CANCELLED if asked else SubscriptionStatus.EXPIRED
    if subscription_states.end(
        subscription_id=pk, status=status, why="asked" if asked else "unpaid", only_if_lapsed_at=now
    ):
        done.cancelled += asked
        done.lapsed += not asked


def _is_unpaid_there(subscription: Subscription, now: datetime) -> bool:
    """Its gateway may have been paid unheard; if not, it is ended there first, so that nothing is charged later.

    What is over there or not known there is over. What we may not ask about goes on, and somebody must look.
    """
    try:
        told = renewing.ask(subscription, lists_invoices=True)
        if told.status not in IN_FORCE or told.lapses_at is None or told.lapses_at > now:
            return False
        if _goes_on_there(told, now):
            return False
        renewing.end_there(subscription=told)
    except GatewayError as refusal:
        if isinstance(refusal, Declined) or refusal.category is FailureCategory.CONFIGURATION:
            _ask_people(subscription, refusal, _period_of(subscription))
        return False  # it comes up again
    except errors.BillingError:
        return False
    return True


def _goes_on_there(subscription: Subscription, now: datetime) -> bool:
    """Its period there lasts, and it will be charged or was promised that time; only what was cancelled here when its
    period was over has been told that it ends at once. A day later no charge is on its way, and somebody must look."""
    if instructions.ended_late(subscription):
        return False
    found = renewing.found_at(subscription.gateway, subscription.gateway_id or "")
    if found.state not in RUNS_THERE or found.period_end is None or found.period_end <= now:
        return False
    if subscription.lapses_at is not None and subscription.lapses_at + LONGEST_CHARGE <= now:
        sentence = _("it runs on there until %(day)s, and no payment of that is known")
        why = cases.in_house(sentence, day=f"{found.period_end:%Y-%m-%d}")
        facts = {"gateway": subscription.gateway, "gateway_id": subscription.gateway_id, "why": why}
        cases.open(kind=CaseKind.SUBSCRIPTION, subscription=subscription, key=_period_of(subscription), facts=facts)
    return True


def _period_of(subscription: Subscription) -> str:
    return f"{subscription.pk}:{dunning.paid_until(subscription):%Y-%m-%d}"


def _ask_people(subscription: Subscription, refusal: GatewayError | errors.BillingError, key: str, **more: str) -> None:
    facts = {"gateway": subscription.gateway, "gateway_id": subscription.gateway_id}
    if isinstance(refusal, GatewayError):
        facts |= {"category": refusal.category, "code": refusal.code, "trace": refusal.trace}
    else:
        facts |= {"code": type(refusal).__name__}
    cases.open(kind=CaseKind.SUBSCRIPTION, subscription=subscription, key=key, facts=facts | more)


def abandoned(now: datetime) -> list[Subscription]:
    before = now - timedelta(hours=settings.SUBSCRIPTION_INCOMPLETE_HOURS)
    return list(Subscription.objects.filter(status=SubscriptionStatus.INCOMPLETE, created_at__lte=before))

"""Subscribing, changing and ending: what a customer or an operator asks for, and the payments that it takes."""

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext_noop

from billing import (
    asking,
    checkout,
    coupons,
    customers,
    errors,
    instruction_sending,
    pausing,
    persons,
    plan_payments,
    plans,
    pricing,
    subscription_states,
    timeline,
)
from billing import gateway_subscriptions as renewing
from billing.change_basis import Basis
from billing.checkout import Wishes
from billing.gateways.errors import Declined, Unavailable
from billing.models import Payment, PlanPrice, Subscription
from billing.models.instructions import InstructionKind
from billing.models.subscriptions import IN_FORCE, OVER, SubscriptionStatus
from billing.plan_payments import RENEW, START
from billing.pricing import Purchase
from ledger.money import Money
from rest.idempotency import Claim

NONE_YET = UUID(int=0)  # of a price that is only looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What came of asking: the subscription, and what the customer does next, if anything."""

    subscription: Subscription
    payment: Payment | None = None
    next_action: dict[str, object] | None = None  # of a gateway that renews by itself


def of(user: User, catalogue: str = "") -> Subscription:
    """The customer's live one; without one the last that they had."""
    rows = Subscription.objects.of(user)
    if catalogue:
        rows = rows.filter(catalogue=catalogue)
    live = list(rows.live())
    if len(live) > 1:
        raise errors.SubscriptionAmbiguous(sorted(each.catalogue for each in live))
    found = live[0] if live else rows.order_by("-id").first()
    if found is None:
        raise errors.NotYours
    return found


def start(*, user: User, price: PlanPrice, wishes: Wishes, coupon: str = "", claim: Claim | None = None) -> Begun:
    """Begin a plan: its first payment, its trial, or the page of a gateway that renews by itself."""
    wishes = checkout.checked(wishes, customers.get(user))  # a trial asks no checkout, and its renewals need them
    wanted = first_period(user=user, price=price, coupon=coupon)
    subscription = _make(user, price, wishes, wanted)
    if price.plan.trial_days and not _had_before(subscription):
        until = timezone.now() + timedelta(days=price.plan.trial_days)
        return Begun(subscription=subscription_states.start_trial(subscription_id=subscription.pk, until=until))
    try:
        choice = _gateways(user, wanted, wishes)
        if choice and renewing.renews(choice[0]):
            action = renewing.open_page(
                subscription=subscription, gateway=choice[0], wishes=wishes, reduction=wanted.reduction
            )
            return Begun(subscription=Subscription.objects.of(user).get(pk=subscription.pk), next_action=action)
        # Where none can take it, the checkout says why for each.
        prepaid = tuple(name for name in choice if not renewing.renews(name)) or tuple(wishes.gateways)
        payment = ask_for_payment(subscription, price, START, replace(wishes, gateways=prepaid), claim=claim)
    except (errors.BillingError, Declined, Unavailable):
        # It surely has no page: nothing of it stands in the way of the next try, and its coupon is free again.
        subscription_states.end(
            subscription_id=subscription.pk, status=SubscriptionStatus.EXPIRED, why="no_gateway", only_if_unpaid=True
        )
        raise
    return Begun(subscription=subscription, payment=payment)


def first_period(*, user: User, price: PlanPrice, coupon: str = "") -> Purchase:
    """What the first period costs, for those who look and for those who begin."""
    purchase = pricing.plan(price, customers.get(user).locale, subscription=NONE_YET, purpose=START)
    return coupons.applied(user=user, code=coupon, purchase=purchase) if coupon else purchase


def _make(user: User, price: PlanPrice, wishes: Wishes, wanted: Purchase) -> Subscription:
    _make_room(user, price.plan.catalogue)
    try:
        return _write(user, price, wishes, wanted)
    except IntegrityError as error:
        if "subscription_live_once_per_catalogue" not in str(error):
            raise
        # A rival was faster by a moment: this one is refused for it, or begins where it is over already.
        _make_room(user, price.plan.catalogue)
        return _write(user, price, wishes, wanted)


def _make_room(user: User, catalogue: str) -> None:
    """Refused while there is a live one, unless that was left before it was paid: then it ends."""
    for old in Subscription.objects.of(user).live().filter(catalogue=catalogue):
        is_abandoned = old.status == SubscriptionStatus.INCOMPLETE and old.gateway_id is None
        # In this order: a payment that is written between the two looks is seen by the second.
        is_waiting = renewing.is_open(old) or is_being_started(old) or plan_payments.pending(old) is not None
        if not is_abandoned or is_waiting:
            raise errors.SubscriptionLive(old.pk, old.price.plan.code, old.status)
        _give_up_unpaid(old, SubscriptionStatus.EXPIRED, "unpaid")


@transaction.atomic(durable=True)
def _write(user: User, price: PlanPrice, wishes: Wishes, wanted: Purchase) -> Subscription:
    customers.place(user, wishes.country)  # a gateway that renews, and a trial, ask for no payment of ours yet
    made = Subscription(
        user=user,
        catalogue=price.plan.catalogue,
        price=price,
        time_zone=customers.get(user).time_zone,
        phone=wishes.phone,
    )
    timeline.save(made, "asked", facts={"plan": price.plan.code, "price": price.pk})
    if wanted.reduction is not None:
        coupons.reserve(user=user, reduction=wanted.reduction, subscription=made)
    return made


def _give_up_unpaid(
    old: Subscription, status: SubscriptionStatus, why: str, by: User | None = None, reason: str = ""
) -> None:
    """Over, and what could still be paid for it is closed first: paid meanwhile, it is the customer's and goes on."""
    if renewing.renews(old.gateway):
        renewing.give_up_page(subscription=old, status=status, why=why, by=by, reason=reason)
    else:
        _cancel_waiting_payment(old)
        subscription_states.end(
            subscription_id=old.pk, status=status, why=why, by=by, reason=reason, only_if_unpaid=True
        )
    if (now := Subscription.objects.get(pk=old.pk)).status not in OVER:
        raise errors.SubscriptionLive(old.pk, old.price.plan.code, now.status)


def _cancel_waiting_payment(subscription: Subscription) -> None:
    if (waiting := plan_payments.pending(subscription)) is None:
        return
    with suppress(errors.CannotCancel, errors.PaymentOver):
        # Where its gateway knows no way back it can still be paid, and then the plan begins with that.
        asking.cancel(waiting)


def cancel_payment(waiting: Payment) -> None:
    """One that is not to be paid any more. Where its gateway knows no way back, it stays under way until it ends."""
    try:
        asking.cancel(waiting)
    except errors.CannotCancel as refusal:
        raise errors.AttemptLive(waiting.pk) from refusal


def is_being_started(subscription: Subscription) -> bool:
    """Written down a moment ago, and still without a payment or a page: its process is calling a gateway."""
    age = timezone.now() - subscription.created_at
    if age > timedelta(seconds=settings.CHECKOUT_CALL_SECONDS) or subscription.gateway_session:
        return False
    return not plan_payments.of(subscription).exists()


def _had_before(subscription: Subscription) -> bool:
    """One trial for each person and catalogue, and none for those who were subscribed."""
    rows = Subscription.objects.filter(persons.same_as(subscription.user), catalogue=subscription.catalogue)
    return rows.exclude(pk=subscription.pk).filter(period_start__isnull=False).exists()


def _gateways(user: User, wanted: Purchase, wishes: Wishes) -> tuple[str, ...]:
    """Those that can take the first payment; where nothing is to be paid for it, those that can take a later one."""
    amount = wanted.amount if wanted.amount.minor else wanted.price
    country = wishes.country or customers.get(user).country
    return tuple(checkout.decide(amount, replace(wishes, country=country)).possible)


def ask_for_payment(
    subscription: Subscription,
    price: PlanPrice,
    purpose: str,
    wishes: Wishes,
    *,
    claim: Claim | None = None,
    basis: Basis | None = None,
) -> Payment:
    locale = customers.get(subscription.user).locale
    purchase = pricing.plan(price, locale, subscription=subscription.pk, purpose=purpose)
    purchase = coupons.for_period(subscription=subscription, purchase=purchase)
    return checkout.start(user=subscription.user, purchase=purchase, wishes=wishes, claim=claim, basis=basis)


def renew(*, subscription: Subscription, wishes: Wishes, claim: Claim | None = None) -> Payment:
    """The next period's payment, begun by hand: the customer mends it, or pays before the day."""
    if subscription.is_renewed_by_gateway or subscription.status not in (*IN_FORCE, SubscriptionStatus.EXPIRED):
        raise errors.SubscriptionState(subscription.status, gettext_noop("there is no period to pay for"))
    if subscription.status == SubscriptionStatus.EXPIRED:
        _make_room(subscription.user, subscription.catalogue)  # for it to begin anew
    price, waiting = subscription.next_price or subscription.price, plan_payments.pending(subscription, RENEW)
    if waiting is not None and waiting.details["price"] == price.pk:
        return waiting
    if subscription.next_price is not None and subscription.paid_until and subscription.paid_until > timezone.now():
        raise errors.ChangeNotNow
    if waiting is not None:
        cancel_payment(waiting)  # of another plan than the one that is due now
    try:
        return ask_for_payment(subscription, price, RENEW, wishes, claim=claim, basis=Basis.of(subscription))
    except errors.AttemptLive as rival:
        # Faster by a moment: the sweep, or another window of the customer's. Its payment is the answer to both.
        waiting = Payment.objects.with_attempts().get(pk=rival.payment)
        if waiting.details["price"] != price.pk:
            raise
        return waiting


def wishes_of(subscription: Subscription) -> Wishes:
    """As it was paid the last time: where the buyer paid from chooses the gateway, and their profile says the tax."""
    paid = subscription.paid_periods.exclude(payment=None).select_related("payment").last()
    before = paid.payment if paid else None
    gateway = before.attempts.last() if before else None
    return Wishes(
        country=before.country if before else "",
        phone=subscription.phone or (before.phone if before else ""),
        gateways=(gateway.gateway,) if gateway else (),
    )


# ---------------------------------------------------------------- ending, and going on after all


def cancel(*, subscription: Subscription, by: User | None = None, reason: str = "") -> Subscription:
    """At the end of what is paid for. One that was never paid for, or stands still, is over at once."""
    if subscription.status in (SubscriptionStatus.INCOMPLETE, SubscriptionStatus.PAUSED):
        return cancel_now(subscription=subscription, by=by, reason=reason)
    if subscription.is_renewed_by_gateway:
        instruction_sending.give(subscription=subscription, kind=InstructionKind.END_LATER, by=by, reason=reason)
    else:
        subscription_states.end_later(subscription_id=subscription.pk, by=by, reason=reason)
    return _again(subscription)


def cancel_now(*, subscription: Subscription, by: User | None = None, reason: str = "") -> Subscription:
    if subscription.is_renewed_by_gateway:
        instruction_sending.give(subscription=subscription, kind=InstructionKind.END_NOW, by=by, reason=reason)
    elif subscription.status == SubscriptionStatus.INCOMPLETE:
        _give_up_unpaid(subscription, SubscriptionStatus.CANCELLED, "asked", by, reason)
    elif not subscription_states.end(
        subscription_id=subscription.pk, status=SubscriptionStatus.CANCELLED, why="asked", by=by, reason=reason
    ):
        raise errors.SubscriptionState(subscription.status, gettext_noop("it is over already"))
    return _again(subscription)


def resume(*, subscription: Subscription, by: User | None = None, reason: str = "") -> Subscription:
    """It goes on after all: after a pause, or after it was to end with the period."""
    is_paused = subscription.status == SubscriptionStatus.PAUSED
    if subscription.is_renewed_by_gateway:
        kind = InstructionKind.RESUME if is_paused else InstructionKind.KEEP
        instruction_sending.give(subscription=subscription, kind=kind, by=by, reason=reason)
    elif is_paused:
        pausing.unpause(subscription_id=subscription.pk, by=by, reason=reason)
    else:
        subscription_states.go_on(subscription_id=subscription.pk, by=by, reason=reason)
    return _again(subscription)


def pause(*, subscription: Subscription, by: User | None = None, reason: str = "") -> Subscription:
    if subscription.is_renewed_by_gateway:
        instruction_sending.give(subscription=subscription, kind=InstructionKind.PAUSE, by=by, reason=reason)
    else:
        pausing.pause(subscription_id=subscription.pk, by=by, reason=reason)
    return _again(subscription)


def _again(subscription: Subscription) -> Subscription:
    return Subscription.objects.select_related("price__plan", "next_price__plan", "user").get(pk=subscription.pk)


def price_for(subscription: Subscription, plan: str, interval: str = "") -> PlanPrice:
    """Another plan of the same catalogue, in the currency that the subscription is paid in."""
    found = plans.find(plan)
    if found.catalogue != subscription.catalogue:
        raise errors.UnknownPlan(plan)
    return plans.price_of(found, subscription.price.currency, interval or subscription.price.interval)


def next_amount(subscription: Subscription, price: PlanPrice) -> Money:
    """What the next period will cost, with what a coupon still takes off."""
    purchase = pricing.plan(price, "en", subscription=subscription.pk, purpose=RENEW)
    return coupons.for_period(subscription=subscription, purchase=purchase).amount

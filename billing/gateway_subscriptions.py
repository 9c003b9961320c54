"""Plans that a gateway renews by itself: begun on its page, and kept as it says they are.

Letters only say where to look: the subscription and its last invoice are read again at the gateway, so that the order
in which letters come means nothing. Each paid invoice becomes one payment of ours, which extends what is paid for.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_noop

from billing import (
    calling,
    customers,
    errors,
    following,
    gateway_coupons,
    gateway_customers,
    gateway_invoices,
    gateway_prices,
    instructions,
    pausing,
    payments,
    returning,
    schedule,
    subscription_states,
    timeline,
)
from billing.checkout import Wishes
from billing.gateways import registry
from billing.gateways.subscribing import (
    ChangePreview,
    ChangeRequest,
    InvoiceResult,
    PortalRequest,
    Proration,
    Subscribes,
    SubscriptionRef,
    SubscriptionRequest,
    SubscriptionResult,
    SubscriptionState,
)
from billing.models import PlanPrice, Subscription, SubscriptionEvent
from billing.models.instructions import InstructionKind
from billing.models.subscriptions import OVER, SubscriptionStatus
from billing.pricing import Reduction

CLOSING = "closing_page"  # the line of the timeline that is committed before the gateway is asked to


def renews(name: str) -> bool:
    try:
        return isinstance(registry.get(name), Subscribes)
    except registry.UnknownGateway:
        return False


def renews_it(subscription: Subscription) -> bool:
    return subscription.is_renewed_by_gateway and renews(subscription.gateway)


def is_open(subscription: Subscription) -> bool:
    """Its page at the gateway may still be paid on."""
    age = timezone.now() - subscription.created_at
    return bool(subscription.gateway) and age.total_seconds() < settings.SUBSCRIPTION_INCOMPLETE_HOURS * 3_600


def next_look_at_page(subscription: Subscription) -> datetime:
    """When its page is looked at again, should no letter tell of it: soon at first, and then more and more seldom."""
    pauses, now = settings.PAYMENT_WAIT_SECONDS, timezone.now()
    age = (now - subscription.created_at).total_seconds()
    return now + timedelta(seconds=min(max(age, pauses[0]), pauses[-1]))


def adapter_of(name: str) -> Subscribes:
    adapter = registry.get(name)
    assert isinstance(adapter, Subscribes)  # noqa: S101 - `renews` was asked
    return adapter


# ---------------------------------------------------------------- beginning


def open_page(
    *, subscription: Subscription, gateway: str, wishes: Wishes, reduction: Reduction | None = None
) -> dict[str, Any]:
    """The gateway's page on which it begins. The row is committed; its id is the reference there, by which the sweep
    finds out what became of it where the answer is lost."""
    row, look = Subscription.objects.filter(pk=subscription.pk), next_look_at_page(subscription)
    row.update(gateway=gateway, next_look_at=look)
    success = returning.checked(wishes.success_url, "success_url")
    cancel = returning.checked(wishes.cancel_url, "cancel_url")
    gateway_customers.make_known(user=subscription.user, gateway=gateway, reference=subscription.pk.hex)
    request = SubscriptionRequest(
        reference=subscription.pk.hex,
        buyer=gateway_customers.buyer(subscription.user, gateway),
        price=gateway_prices.price_at(gateway, subscription.price),
        success_url=returning.told(success, settings.CHECKOUT_SUCCESS_URL, subscription.pk),
        cancel_url=returning.told(cancel, settings.CHECKOUT_CANCEL_URL, subscription.pk),
        automatic_tax=registry.get(gateway).capabilities.reckons_tax,
        coupon=gateway_coupons.coupon_at(gateway, reduction.terms, subscription.price) if reduction else "",
        metadata={"user": subscription.user.get_username(), "price": str(subscription.price_id)},
    )
    adapter = adapter_of(gateway)
    result = calling.call(gateway, "subscribe", lambda: adapter.open_subscription(request), is_new_attempt=True)
    row.update(gateway_session=result.session)
    if (status := row.values_list("status", flat=True).get()) in OVER:
        # Somebody ended it while its page was being made, and could not close what was not there yet.
        ref = replace(_ref(subscription), session=result.session)
        calling.call(gateway, "close", lambda: adapter.close_page(ref))
        raise errors.SubscriptionState(status, gettext_noop("it was ended while it began"))
    return payments.told(result.next_action) if result.next_action else {"type": "none"}


# ---------------------------------------------------------------- as the gateway says


def ask(subscription: Subscription, *, invoice: str = "", lists_invoices: bool = False) -> Subscription:
    """Read it again at its gateway, and make ours the same. What was paid is listed there where its last invoice is not
    heard of, or `invoice`, which may be older: a declined one may be paid after the next one."""
    adapter, ref, since = adapter_of(subscription.gateway), _ref(subscription), timezone.now()
    found = calling.call(subscription.gateway, "fetch", lambda: adapter.fetch_subscription(ref))
    return _hear(subscription, found, since, invoice=invoice, lists_invoices=lists_invoices)


def look_again(subscription: Subscription) -> Subscription:
    """For the sweep: a page that was to be closed is closed, should its process have died on the way."""
    return _close(subscription) if _closing(subscription) else ask(subscription)


def _ref(subscription: Subscription) -> SubscriptionRef:
    return SubscriptionRef(
        reference=subscription.pk.hex,
        id=subscription.gateway_id or "",
        session=subscription.gateway_session,
        created_at=subscription.created_at,
    )


def _hear(
    subscription: Subscription,
    found: SubscriptionResult,
    since: datetime,
    *,
    invoice: str = "",
    lists_invoices: bool = False,
) -> Subscription:
    if found.id:
        _know(subscription, found)
        if not pausing.stands_still(found) and found.state not in pausing.ENDED:
            # Before its invoices: what is left of the old period goes on from today, and then they extend it.
            instructions.hear(subscription, found, since, only=InstructionKind.RESUME)
            pausing.follow_return(subscription_id=subscription.pk, since=since)
        if lists_invoices or _is_unheard(subscription.gateway, found.latest_invoice, invoice):
            # All that were paid, in their order: while nobody listened one may have followed another.
            for paid in _paid_invoices(subscription.gateway, found.id):
                gateway_invoices.hear(subscription, paid, found)
        instructions.hear(subscription, found, since)
        if pausing.stands_still(found):
            pausing.follow_pause(subscription_id=subscription.pk, since=since)
        else:
            _follow(subscription, found, since)
    elif found.state is SubscriptionState.EXPIRED or _was_never_opened(subscription, found):
        _end_unpaid(subscription)
    return Subscription.objects.select_related("price__plan", "user").get(pk=subscription.pk)


def _was_never_opened(subscription: Subscription, found: SubscriptionResult) -> bool:
    """Its answer was lost, and after a while its gateway still knows no page of it."""
    if found.state is not SubscriptionState.NOT_FOUND or subscription.gateway_session:
        return False
    return schedule.proves_absence(schedule.Sent.PAGE, subscription.created_at, now=timezone.now(), answers=1)


def _is_unheard(gateway: str, *invoices: str) -> bool:
    return any(each and not gateway_invoices.is_heard(gateway, each) for each in invoices)


def _paid_invoices(gateway: str, gateway_id: str) -> Sequence[str]:
    adapter = adapter_of(gateway)
    return calling.call(gateway, "invoices", lambda: adapter.paid_invoices(subscription=gateway_id))


# ---------------------------------------------------------------- a page that was left


def give_up_page(
    *, subscription: Subscription, status: SubscriptionStatus, why: str, by: User | None = None, reason: str = ""
) -> Subscription:
    """End one that was never paid for, its page first. Whoever paid on it meanwhile has the plan: the answer tells."""
    with transaction.atomic(durable=True):
        locked = subscription_states.lock(subscription.pk)
        if locked.status != SubscriptionStatus.INCOMPLETE:
            return locked
        timeline.save(locked, CLOSING, by=by, reason=reason, facts={"status": status, "why": why})
    return _close(locked)


def _close(subscription: Subscription) -> Subscription:
    adapter, ref, since = adapter_of(subscription.gateway), _ref(subscription), timezone.now()
    found = calling.call(subscription.gateway, "close", lambda: adapter.close_page(ref))
    told = _hear(subscription, found, since)
    if told.status != SubscriptionStatus.INCOMPLETE:
        return told
    if found.id:  # begun, and its first invoice is open: a page too, that must not be paid any more
        end_there(subscription=told)
    elif found.state is not SubscriptionState.NOT_FOUND:
        raise errors.CannotCancel(subscription.gateway)
    _end_unpaid(told)
    return Subscription.objects.select_related("price__plan", "user").get(pk=subscription.pk)


def _closing(subscription: Subscription) -> SubscriptionEvent | None:
    return subscription.timeline.filter(act=CLOSING).select_related("by").last()


def _end_unpaid(subscription: Subscription) -> None:
    """In the words of whoever closed its page, whether this process hears of the end first or a letter's does."""
    wish = _closing(subscription)
    facts = wish.facts if wish else {"status": SubscriptionStatus.EXPIRED, "why": "unpaid"}
    subscription_states.end(
        subscription_id=subscription.pk,
        status=SubscriptionStatus(facts["status"]),
        why=facts["why"],
        by=wish.by if wish else None,
        reason=wish.reason if wish else "",
        only_if_unpaid=True,
    )


def _know(subscription: Subscription, found: SubscriptionResult) -> None:
    rows = Subscription.objects.filter(pk=subscription.pk)
    rows.update(gateway_id=found.id, gateway_item=found.item)
    subscription.gateway_id, subscription.gateway_item = found.id, found.item
    gateway_customers.learn(user=subscription.user, gateway=subscription.gateway, gateway_id=found.customer)


def _follow(subscription: Subscription, found: SubscriptionResult, since: datetime) -> None:
    pk = subscription.pk
    match found.state:
        case SubscriptionState.TRIALING if found.trial_end is not None:
            subscription_states.start_trial(subscription_id=pk, until=found.trial_end)
            following.follow_trial(subscription_id=pk, until=found.trial_end)
        case SubscriptionState.PAST_DUE | SubscriptionState.UNPAID:
            # Not when the period it speaks of was paid while this answer was on its way.
            subscription_states.mark_past_due(subscription_id=pk, unless_paid_until=found.period_end)
        case SubscriptionState.CANCELLED:
            why = "asked" if subscription.cancel_at_period_end else "at_gateway"
            subscription_states.end(subscription_id=pk, status=SubscriptionStatus.CANCELLED, why=why)
        case SubscriptionState.EXPIRED:
            subscription_states.end(subscription_id=pk, status=SubscriptionStatus.EXPIRED, why="unpaid")
    following.follow_end(subscription_id=pk, ends=found.cancel_at_period_end, since=since)


# ---------------------------------------------------------------- letters


def found_at(gateway: str, gateway_id: str) -> SubscriptionResult:
    """One that we may not know."""
    adapter, ref = adapter_of(gateway), SubscriptionRef(reference="", id=gateway_id)
    return calling.call(gateway, "fetch", lambda: adapter.fetch_subscription(ref))


def invoice_of(gateway: str, payment_intent: str) -> InvoiceResult:
    """What a payment that we did not begin was for, where it was for an invoice."""
    adapter = adapter_of(gateway)
    return calling.call(gateway, "invoice", lambda: adapter.find_invoice(payment_intent=payment_intent))


# ---------------------------------------------------------------- what it is told to do


def end_there(*, subscription: Subscription) -> None:
    """For the sweeps, which find it due again until it is over here as well."""
    adapter, known = adapter_of(subscription.gateway), subscription.gateway_id or ""
    reference = subscription.pk.hex  # however often: it ends once
    calling.call(
        subscription.gateway,
        "cancel",
        lambda: adapter.end_subscription(subscription=known, reference=reference),
    )


def preview(*, subscription: Subscription, price: PlanPrice, at: datetime) -> ChangePreview:
    """Of a change at once, as it would be charged at this instant."""
    adapter, request = adapter_of(subscription.gateway), change_request(subscription, price, at)
    asked = replace(request, customer=_customer_of(subscription))
    return calling.call(subscription.gateway, "preview", lambda: adapter.preview_change(asked))


def change_request(
    subscription: Subscription, price: PlanPrice, at: datetime | None, *, reference: str = ""
) -> ChangeRequest:
    """At once, charged as it was at `at`; None: from the next period. To be seen beforehand it needs no reference."""
    return ChangeRequest(
        reference=reference,
        subscription=subscription.gateway_id or "",
        item=subscription.gateway_item,
        price=gateway_prices.price_at(subscription.gateway, price),
        proration=Proration.CHARGE_NOW if at else Proration.NONE,
        prorated_at=at,
    )


def _customer_of(subscription: Subscription) -> str:
    """Its own there, which is not the one that we know where the page was opened before we knew any."""
    adapter, ref = adapter_of(subscription.gateway), _ref(subscription)
    return calling.call(subscription.gateway, "fetch", lambda: adapter.fetch_subscription(ref)).customer


def method_of(subscription: Subscription) -> str:
    """The gateway's id of the card that pays it."""
    adapter, ref = adapter_of(subscription.gateway), _ref(subscription)
    return calling.call(subscription.gateway, "fetch", lambda: adapter.fetch_subscription(ref)).method


def mending_page(*, subscription: Subscription) -> str:
    """Where the customer pays what could not be charged: the open invoice's page, else the portal, for a card."""
    adapter = adapter_of(subscription.gateway)
    ref = SubscriptionRef(reference=subscription.pk.hex, id=subscription.gateway_id or "")
    found = calling.call(subscription.gateway, "fetch", lambda: adapter.fetch_subscription(ref))
    if found.next_action is not None and found.next_action.url:
        return found.next_action.url
    return portal(subscription=subscription, return_url="")


def portal(*, subscription: Subscription, return_url: str) -> str:
    customer = _customer_of(subscription)
    if not customer:
        raise errors.NotYours
    request = PortalRequest(
        customer=customer,
        return_url=returning.checked(return_url, "return_url") or settings.CHECKOUT_SUCCESS_URL,
        locale=customers.get(subscription.user).locale,
    )
    adapter = adapter_of(subscription.gateway)
    return calling.call(subscription.gateway, "portal", lambda: adapter.open_portal(request))

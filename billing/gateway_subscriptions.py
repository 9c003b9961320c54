"""Plans that a gateway renews by itself: begun on its page, and kept as it says they are.

Letters only say where to look: the subscription and its last invoice are read again at the gateway, so that the order
in which letters come means nothing. Each paid invoice becomes one payment of ours, which extends what is paid for.
"""

import logging
import secrets
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone

from billing import (
    calling,
    coupons,
    customers,
    errors,
    gateway_coupons,
    gateway_prices,
    payments,
    plan_payments,
    pricing,
    returning,
    subscription_states,
)
from billing.checkout import Wishes
from billing.gateways import registry
from billing.gateways.base import Buyer, PaymentResult, PaymentState
from billing.gateways.subscribing import (
    ChangeRequest,
    InvoiceResult,
    InvoiceState,
    PortalRequest,
    Proration,
    Subscribes,
    SubscriptionRef,
    SubscriptionRequest,
    SubscriptionResult,
    SubscriptionState,
)
from billing.models import Attempt, GatewayCustomer, GatewayPrice, Payment, PlanPrice, Subscription
from billing.models.subscriptions import OVER, SubscriptionStatus
from billing.pricing import Reduction
from ledger.money import Money

logger = logging.getLogger(__name__)


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


def _adapter(name: str) -> Subscribes:
    adapter = registry.get(name)
    assert isinstance(adapter, Subscribes)  # noqa: S101 - `renews` was asked
    return adapter


# ---------------------------------------------------------------- beginning


def open_page(
    *, subscription: Subscription, gateway: str, wishes: Wishes, reduction: Reduction | None = None
) -> dict[str, Any]:
    """The gateway's page on which it begins. The row is committed; its id is the reference there."""
    Subscription.objects.filter(pk=subscription.pk).update(gateway=gateway)
    success = returning.checked(wishes.success_url, "success_url")
    cancel = returning.checked(wishes.cancel_url, "cancel_url")
    request = SubscriptionRequest(
        reference=subscription.pk.hex,
        buyer=_buyer(subscription.user, gateway),
        price=gateway_prices.price_at(gateway, subscription.price),
        success_url=returning.told(success, settings.CHECKOUT_SUCCESS_URL, subscription.pk),
        cancel_url=returning.told(cancel, settings.CHECKOUT_CANCEL_URL, subscription.pk),
        coupon=gateway_coupons.coupon_at(gateway, reduction.terms, subscription.price) if reduction else "",
        metadata={"user": subscription.user.get_username(), "price": str(subscription.price_id)},
    )
    adapter = _adapter(gateway)
    result = calling.call(gateway, "subscribe", lambda: adapter.open_subscription(request), is_new_attempt=True)
    if result.session:
        Subscription.objects.filter(pk=subscription.pk).update(gateway_session=result.session)
    return payments.told(result.next_action) if result.next_action else {"type": "none"}


def _buyer(user: User, gateway: str) -> Buyer:
    customer = customers.get(user)
    known = GatewayCustomer.objects.filter(user=user, gateway=gateway).first()
    return Buyer(
        id=user.get_username(),
        name=customer.company or customer.name,
        email=customer.email,
        phone="",
        country=customer.country,
        locale=customer.locale,
        gateway_customer=known.gateway_id if known else "",
    )


# ---------------------------------------------------------------- as the gateway says


def ask(subscription: Subscription) -> Subscription:
    """Read it again at its gateway, and make ours the same."""
    adapter = _adapter(subscription.gateway)
    ref = SubscriptionRef(
        reference=subscription.pk.hex,
        id=subscription.gateway_id or "",
        session=subscription.gateway_session,
        created_at=subscription.created_at,
    )
    found = calling.call(subscription.gateway, "fetch", lambda: adapter.fetch_subscription(ref))
    if found.id:
        _know(subscription, found)
        if found.latest_invoice:
            hear_invoice(subscription, found.latest_invoice, found)
        _follow(subscription, found)
    return Subscription.objects.select_related("price__plan", "user").get(pk=subscription.pk)


def _know(subscription: Subscription, found: SubscriptionResult) -> None:
    rows = Subscription.objects.filter(pk=subscription.pk)
    rows.update(gateway_id=found.id, gateway_item=found.item)
    subscription.gateway_id, subscription.gateway_item = found.id, found.item
    if found.customer:
        known = GatewayCustomer(user=subscription.user, gateway=subscription.gateway, gateway_id=found.customer)
        GatewayCustomer.objects.bulk_create([known], ignore_conflicts=True)


def _follow(subscription: Subscription, found: SubscriptionResult) -> None:
    pk = subscription.pk
    match found.state:
        case SubscriptionState.TRIALING if found.trial_end is not None:
            subscription_states.start_trial(subscription_id=pk, until=found.trial_end)
        case SubscriptionState.PAST_DUE | SubscriptionState.UNPAID:
            subscription_states.mark_past_due(subscription_id=pk)
        case SubscriptionState.CANCELLED:
            subscription_states.end(subscription_id=pk, status=SubscriptionStatus.CANCELLED, why="at_gateway")
        case SubscriptionState.EXPIRED:
            subscription_states.end(subscription_id=pk, status=SubscriptionStatus.EXPIRED, why="unpaid")
    ends = found.cancel_at_period_end or found.cancel_at is not None
    now = Subscription.objects.get(pk=pk)
    if now.status in ("active", "trialing", "past_due") and now.cancel_at_period_end != ends:
        subscription_states.set_cancel_at_period_end(subscription_id=pk, cancels=ends)


def hear_invoice(subscription: Subscription, invoice: str, found: SubscriptionResult) -> Payment | None:
    """A paid invoice is one payment; whoever tells of it again meets the first one. One of nothing is of a trial,
    unless a coupon has taken all of it off."""
    adapter = _adapter(subscription.gateway)
    told = calling.call(subscription.gateway, "invoice", lambda: adapter.fetch_invoice(invoice=invoice))
    if told.state is not InvoiceState.PAID or told.paid is None:
        return None
    if told.paid.minor <= 0 and not told.is_given:
        return None
    if found.state in (SubscriptionState.CANCELLED, SubscriptionState.EXPIRED) and subscription.status in OVER:
        return None
    try:
        attempt = _write(subscription, told, told.paid, found)
    except IntegrityError as error:
        if "payment_once_per_request_key" not in str(error):
            raise
        return None
    result = PaymentResult(
        state=PaymentState.SUCCEEDED, ids=dict(attempt.gateway_ids), amount=told.paid, paid_at=told.paid_at
    )
    return payments.note(attempt=attempt, result=result)


@transaction.atomic
def _write(subscription: Subscription, told: InvoiceResult, paid: Money, found: SubscriptionResult) -> Attempt:
    price = _our_price(subscription, found)
    more: dict[str, Any] = {"invoice": told.id}
    if found.period_start and found.period_end:
        more["period"] = [found.period_start.isoformat(), found.period_end.isoformat()]
    purchase = pricing.plan(price, "en", subscription=subscription.pk, purpose=plan_payments.RENEW, amount=paid, **more)
    used = coupons.heard(subscription=subscription, discount=told.discount)
    now = timezone.now()
    payment = Payment.objects.create(
        user=subscription.user,
        kind=purchase.kind,
        item=purchase.item,
        description=purchase.description[:200],
        details=purchase.details | used.details,
        amount_minor=paid.minor,
        discount_minor=used.discount_minor,
        redemption=used.redemption,
        currency=paid.unit,
        tax_minor=told.tax.minor if told.tax else 0,
        request_scope=f"{subscription.gateway}:invoice",
        request_key=told.id,
        expires_at=now,
    )
    ids = {"invoice": told.id, "subscription": found.id, "payment_intent": told.payment_intent}
    return Attempt.objects.create(
        payment=payment,
        gateway=subscription.gateway,
        notify_token=secrets.token_urlsafe(24),
        gateway_ids={name: value for name, value in ids.items() if value},
    )


def _our_price(subscription: Subscription, found: SubscriptionResult) -> PlanPrice:
    rows = GatewayPrice.objects.filter(gateway=subscription.gateway, gateway_id=found.price)
    known = rows.select_related("price__plan").first()
    return known.price if known else subscription.price


# ---------------------------------------------------------------- letters


def named(gateway: str, ids: dict[str, str], reference: str) -> Subscription | None:
    rows = Subscription.objects.filter(gateway=gateway).select_related("user", "price__plan")
    if (known := ids.get("subscription")) and (found := rows.filter(gateway_id=known).first()):
        return found
    try:
        return rows.filter(pk=UUID(hex=reference)).first() if reference else None
    except ValueError:
        return None


def adopt(gateway: str, gateway_id: str) -> Subscription | None:
    """One that we do not know, begun elsewhere: ours when its metadata names a customer and a price of ours."""
    adapter = _adapter(gateway)
    ref = SubscriptionRef(reference="", id=gateway_id)
    found = calling.call(gateway, "fetch", lambda: adapter.fetch_subscription(ref))
    said = found.raw.get("metadata")
    metadata: dict[str, str] = dict(said) if isinstance(said, dict) else {}
    user = User.objects.filter(username=metadata.get("user", "")).first()
    price = PlanPrice.objects.select_related("plan").filter(pk=_number(metadata.get("price", ""))).first()
    if user is None or price is None:
        return None
    rows = Subscription.objects.of(user)
    if rows.live().filter(catalogue=price.plan.catalogue).exists():
        return None
    with transaction.atomic():
        made = Subscription(
            user=user,
            catalogue=price.plan.catalogue,
            price=price,
            time_zone=customers.get(user).time_zone,
            gateway=gateway,
            gateway_id=gateway_id,
        )
        subscription_states.keep(made, "adopted", facts={"gateway_id": gateway_id})
    logger.warning("subscription.adopted", extra={"subscription": str(made.pk), "gateway": gateway})
    return made


def _number(text: str) -> int:
    return int(text) if text.isdigit() and len(text) < 19 else 0  # noqa: PLR2004 - what a bigint holds


# ---------------------------------------------------------------- what the customer asks for


def cancel(*, subscription: Subscription, immediately: bool) -> None:
    adapter, known, reference = _adapter(subscription.gateway), subscription.gateway_id or "", _reference(subscription)
    calling.call(
        subscription.gateway,
        "cancel",
        lambda: adapter.cancel_subscription(subscription=known, reference=reference, at_period_end=not immediately),
    )


def keep_going(*, subscription: Subscription) -> None:
    adapter, known, reference = _adapter(subscription.gateway), subscription.gateway_id or "", _reference(subscription)
    act = adapter.resume_subscription if subscription.status == "paused" else adapter.keep_subscription
    calling.call(subscription.gateway, "keep", lambda: act(subscription=known, reference=reference))


def pause(*, subscription: Subscription) -> None:
    adapter, known, reference = _adapter(subscription.gateway), subscription.gateway_id or "", _reference(subscription)
    calling.call(
        subscription.gateway, "pause", lambda: adapter.pause_subscription(subscription=known, reference=reference)
    )


def _reference(subscription: Subscription) -> str:
    """Of an act: the timeline has grown by one after each, so that the same act later is another one."""
    return f"{subscription.pk.hex}:{subscription.timeline.count()}"


def preview(*, subscription: Subscription, price: PlanPrice) -> Money:
    adapter, request = _adapter(subscription.gateway), _change(subscription, price, Proration.CHARGE_NOW)
    return calling.call(subscription.gateway, "preview", lambda: adapter.preview_change(request)).due


def change(*, subscription: Subscription, price: PlanPrice, now: bool) -> None:
    """Now, charged at once, and ours only when its invoice is paid; or without proration from the next invoice on."""
    request = _change(subscription, price, Proration.CHARGE_NOW if now else Proration.NONE)
    adapter = _adapter(subscription.gateway)
    calling.call(subscription.gateway, "change", lambda: adapter.change_subscription(request))
    if now:
        ask(subscription)


def _change(subscription: Subscription, price: PlanPrice, proration: Proration) -> ChangeRequest:
    known = GatewayCustomer.objects.filter(user=subscription.user, gateway=subscription.gateway).first()
    return ChangeRequest(
        reference=_reference(subscription),
        subscription=subscription.gateway_id or "",
        item=subscription.gateway_item,
        price=gateway_prices.price_at(subscription.gateway, price),
        customer=known.gateway_id if known else "",
        proration=proration,
    )


def portal(*, subscription: Subscription, return_url: str) -> str:
    known = GatewayCustomer.objects.filter(user=subscription.user, gateway=subscription.gateway).first()
    if known is None:
        raise errors.NotYours
    request = PortalRequest(
        customer=known.gateway_id,
        return_url=returning.checked(return_url, "return_url") or settings.CHECKOUT_SUCCESS_URL,
        locale=customers.get(subscription.user).locale,
    )
    adapter = _adapter(subscription.gateway)
    return calling.call(subscription.gateway, "portal", lambda: adapter.open_portal(request))

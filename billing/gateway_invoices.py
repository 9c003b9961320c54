"""Invoices of plans that a gateway renews by itself: each that was paid is one payment of ours, told once or often."""

import secrets
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from billing import (
    calling,
    cases,
    coupons,
    customers,
    fulfilment,
    gateway_tax,
    pausing,
    payments,
    plan_payments,
    pricing,
    redemptions,
    subscription_states,
    taxing,
)
from billing.gateways import registry
from billing.gateways.base import OpensCheckout, PaymentRef, PaymentResult, PaymentState
from billing.gateways.subscribing import InvoiceResult, InvoiceState, Subscribes, SubscriptionResult
from billing.models import Attempt, GatewayPrice, PaidPeriod, Payment, PlanPrice, Subscription
from billing.models.cases import CaseKind
from billing.models.subscriptions import OVER
from ledger.money import Money


def is_heard(gateway: str, invoice: str) -> bool:
    is_payment = Payment.objects.filter(request_scope=_scope(gateway), request_key=invoice).exists()
    return is_payment or PaidPeriod.objects.filter(key=_key(gateway, invoice)).exists()


def hear(subscription: Subscription, invoice: str, found: SubscriptionResult) -> Payment | None:
    """A paid invoice is one payment; whoever tells of it again meets the first one. One of nothing is of a trial,
    unless a coupon has taken all of it off. One that nobody was charged for is a period without a payment."""
    gateway = subscription.gateway
    if is_heard(gateway, invoice):
        return None
    told = calling.call(gateway, "invoice", lambda: _adapter(gateway).fetch_invoice(invoice=invoice))
    if told.state is not InvoiceState.PAID or told.paid is None:
        return None
    if told.subscription and told.subscription != found.id:
        return None  # of another subscription: its own letters tell of it
    if told.is_settled_by_balance:
        _extend(subscription, told, found)
    if told.paid.minor <= 0 and not told.is_given:
        return None
    fee = _fee(subscription, told, told.paid)
    try:
        with transaction.atomic():  # both or none: a payment that was written and not noted would never be delivered
            attempt = _write(subscription, told, told.paid, found)
            result = PaymentResult(
                state=PaymentState.SUCCEEDED,
                ids=dict(attempt.gateway_ids),
                amount=told.paid,
                fee=fee,
                paid_at=told.paid_at,
            )
            return payments.note(attempt=attempt, result=result)
    except IntegrityError as error:
        if "payment_once_per_request_key" not in str(error):
            raise
        return None  # a rival was faster


def _adapter(name: str) -> Subscribes:
    adapter = registry.get(name)
    assert isinstance(adapter, Subscribes)  # noqa: S101 - it renews
    return adapter


def _scope(gateway: str) -> str:
    return f"{gateway}:invoice"


def _key(gateway: str, invoice: str) -> str:
    """Of a period that no payment of ours has brought."""
    return f"{gateway}:{invoice}"


@transaction.atomic
def _extend(subscription: Subscription, told: InvoiceResult, found: SubscriptionResult) -> None:
    """A period for which no money came with this invoice: it came before, or comes with a later one."""
    locked, key = subscription_states.lock(subscription.pk), _key(subscription.gateway, told.id)
    if _is_over(locked, found) or plan_payments.successor(locked) is not None:
        facts = {"subscription": str(locked.pk), "purpose": plan_payments.RENEW, "invoice": told.id}
        cases.open(kind=CaseKind.MISMATCH, subscription=locked, key=key, facts=facts, amount=told.total)
        return
    price = _our_price(locked, told.price or found.price)
    subscription_states.extend(
        subscription_id=locked.pk, key=key, price=price, amount_minor=0, until=_period(told, found)
    )
    fulfilment.give_coupon_credits(locked)
    redemptions.subscription_paid(locked)
    transaction.on_commit(plan_payments.granting.wake)


def _is_over(subscription: Subscription, found: SubscriptionResult) -> bool:
    """Here and there: nothing is left that could be extended."""
    return found.state in pausing.ENDED and subscription.status in OVER


def _period(told: InvoiceResult, found: SubscriptionResult) -> tuple[datetime, datetime] | None:
    start, end = told.period_start or found.period_start, told.period_end or found.period_end
    return (start, end) if start and end and start < end else None


def _fee(subscription: Subscription, told: InvoiceResult, paid: Money) -> Money | None:
    """What the gateway keeps: the invoice does not say, its payment does."""
    adapter = registry.get(subscription.gateway)
    if not told.payment_intent or not isinstance(adapter, OpensCheckout):
        return None
    ref = PaymentRef(reference="", amount=paid, ids={"payment_intent": told.payment_intent})
    return calling.call(subscription.gateway, "fetch", lambda: adapter.fetch_payment(ref)).fee


def _write(subscription: Subscription, told: InvoiceResult, paid: Money, found: SubscriptionResult) -> Attempt:
    customer, price = customers.get(subscription.user), _our_price(subscription, told.price or found.price)
    more: dict[str, Any] = {"invoice": told.id}
    if (period := _period(told, found)) is not None:
        more["period"] = [each.isoformat() for each in period]
    if _is_over(subscription, found):
        more["is_over"] = True
    purchase = pricing.plan(
        price, customer.locale, subscription=subscription.pk, purpose=plan_payments.RENEW, amount=paid, **more
    )
    tax, frozen = _tax(subscription, told, paid)
    used = coupons.heard(subscription=subscription, discount=told.discount)
    payment = Payment.objects.create(
        user=subscription.user,
        kind=purchase.kind,
        item=purchase.item,
        description=purchase.description[:200],
        details=purchase.details | used.details | frozen,
        amount_minor=paid.minor,
        discount_minor=used.discount_minor,
        redemption=used.redemption,
        currency=paid.unit,
        tax_minor=tax.minor,
        country=customer.country,
        request_scope=_scope(subscription.gateway),
        request_key=told.id,
        expires_at=timezone.now(),
    )
    ids = {"invoice": told.id, "subscription": found.id, "payment_intent": told.payment_intent}
    return Attempt.objects.create(
        payment=payment,
        gateway=subscription.gateway,
        notify_token=secrets.token_urlsafe(24),
        gateway_ids={name: value for name, value in ids.items() if value},
    )


def _tax(subscription: Subscription, told: InvoiceResult, paid: Money) -> tuple[Money, dict[str, Any]]:
    """Where the gateway reckons the tax itself its figures stand, else the price contains ours as at a checkout."""
    if told.tax is None:
        customer = customers.get(subscription.user)
        due = taxing.frozen(customer, paid, customer.country)
        return due.tax, due.details
    figures = told.tax
    if told.total is not None and 0 <= paid.minor < told.total.minor:
        # A balance there has paid a part: of what came, the tax is its share.
        figures = replace(figures, tax=Money(figures.tax.minor * paid.minor // told.total.minor, paid.unit))
    return figures.tax, gateway_tax.details(figures, gross=paid, gateway=subscription.gateway)


def _our_price(subscription: Subscription, known_as: str) -> PlanPrice:
    rows = GatewayPrice.objects.filter(gateway=subscription.gateway, gateway_id=known_as)
    known = rows.select_related("price__plan").first()
    return known.price if known else subscription.price

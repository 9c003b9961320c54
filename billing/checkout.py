"""From a wish to buy to a page where the buyer pays: one payment, and attempts until a gateway takes it.

An attempt is committed before its gateway is called, and no transaction is open during the call. Another gateway is
tried only on proof that the first one did nothing.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone

from billing import (
    calling,
    charging,
    coupons,
    customers,
    errors,
    gateway_choices,
    gateway_customers,
    gateway_tax,
    payments,
    pricing,
    returning,
    second_payments,
    webhook_address,
)
from billing.change_basis import Basis
from billing.gateways import errors as gateway_errors
from billing.gateways import registry
from billing.gateways.base import Buyer, CheckoutRequest, Flow, Line, OpensCheckout
from billing.gateways.errors import FailureCategory
from billing.models import Attempt, Customer, Payment, Redemption, SavedMethod
from billing.models.payments import AttemptState, PaymentKind, PaymentStatus
from billing.pricing import Purchase
from billing.routing import Decision, Rule, Wish
from billing.second_payments import Look
from ledger.money import Money
from rest.errors import IdempotencyKeyInProgress, IdempotencyKeyReused
from rest.idempotency import Claim

logger = logging.getLogger(__name__)

# A refusal that says something of this gateway and nothing of the buyer: another one may well say yes.
OF_THE_GATEWAY = {
    FailureCategory.CONFIGURATION,
    FailureCategory.NOT_SUPPORTED,
    FailureCategory.PROVIDER_DOWN,
    FailureCategory.LIMIT,
    FailureCategory.INVALID_REQUEST,
    FailureCategory.DUPLICATE,
    FailureCategory.UNKNOWN,
}


NO_GATEWAY = Decision(possible=(), ruled_out=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """How the buyer wants to pay; what is empty is ours to choose."""

    country: str = ""
    gateways: Sequence[str] = ()  # the first is preferred, others are not asked
    phone: str = ""
    success_url: str = ""
    cancel_url: str = ""
    flow: Flow | None = None  # none: whatever the gateway has
    save_method: bool = False  # save the card for later charges, where the buyer agrees to those
    method: SavedMethod | None = None  # a saved card of the buyer's: it is charged at once, at its own gateway
    reference: str = ""  # the caller's own words for it
    metadata: Mapping[str, Any] = field(default_factory=dict)


def start(
    *, user: User, purchase: Purchase, wishes: Wishes, claim: Claim | None = None, basis: Basis | None = None
) -> Payment:
    """Begin a payment and bring it to a gateway. The claim makes the same request the same payment; with a basis it is
    begun only while the plan is what it was reckoned from."""
    customer = customers.get(user)
    wishes = checked(wishes, customer)
    purchase = pricing.taxed(purchase, customer, wishes.country)
    seen = second_payments.look(user=user, purchase=purchase, by_card=wishes.method is not None, basis=basis)
    if purchase.amount.minor == 0:
        # A coupon leaves nothing to pay: no gateway is asked, and what is bought is there at once.
        return _write(seen, wishes, NO_GATEWAY, claim)
    decision = choose(purchase, wishes)
    payment = _write(seen, wishes, decision, claim)
    if wishes.method is not None:
        return _charge(payment, customer, wishes.method)
    return _bring_to_a_gateway(payment, customer, decision, wishes)


def again(*, payment: Payment, wishes: Wishes) -> Payment:
    """Bring a payment that stays open to a gateway, as its buyer wishes this time."""
    customer = customers.get(payment.user)
    wishes = checked(wishes, customer)
    purchase = Purchase(kind=PaymentKind(payment.kind), amount=payment.money, description=payment.description)
    decision = choose(purchase, wishes)
    with transaction.atomic(durable=True):
        locked = payments.lock(payment.pk)
        if locked.status != PaymentStatus.PENDING:
            raise errors.PaymentOver(locked.pk, locked.status)
        if locked.attempts.live().exists():
            raise errors.AttemptLive(locked.pk)
        locked.routing, locked.phone = decision.as_json(), wishes.phone
        locked.success_url, locked.cancel_url = wishes.success_url, wishes.cancel_url
        locked.expires_at = timezone.now() + timedelta(minutes=settings.CHECKOUT_EXPIRES_MINUTES)
        locked.save(update_fields=["routing", "phone", "success_url", "cancel_url", "expires_at"])
    return _bring_to_a_gateway(locked, customer, decision, wishes)


def choose(purchase: Purchase, wishes: Wishes) -> Decision:
    """The gateways that can take it; when none can, the refusal says why, or which amounts could be paid."""
    decision = decide(purchase.amount, wishes)
    if decision.possible:
        return decision
    reasons = decision.as_json()["ruled_out"]
    if any(each.rule is Rule.BREAKER_OPEN for each in decision.ruled_out):
        raise errors.GatewaysDown(reasons, settings.GATEWAY_BREAKER_OPEN_SECONDS)
    if purchase.reduction is not None and decide(purchase.price, wishes).possible:
        nearest = sorted({minor for each in decision.ruled_out for minor in each.nearest_minor})
        raise errors.DiscountNotPayable(purchase.amount.minor, purchase.amount.unit, nearest, reasons)
    raise errors.NoGatewayTakesIt(reasons)


def decide(amount: Money, wishes: Wishes) -> Decision:
    return gateway_choices.choose(
        Wish(
            amount=amount,
            country=wishes.country,
            preferred=wishes.gateways,
            flow=wishes.flow,
            has_phone=bool(wishes.phone),
            saves_method=wishes.save_method or wishes.method is not None,
        )
    )


def checked(wishes: Wishes, customer: Customer) -> Wishes:
    known = list(registry.all())
    if unknown := [name for name in wishes.gateways if name not in known]:
        raise errors.UnknownGateways(unknown, known)
    return Wishes(
        country=wishes.country or customer.country,
        gateways=(wishes.method.gateway,) if wishes.method else tuple(dict.fromkeys(wishes.gateways)),
        phone=_phone(wishes.phone),
        success_url=returning.checked(wishes.success_url, "success_url"),
        cancel_url=returning.checked(wishes.cancel_url, "cancel_url"),
        flow=wishes.flow,
        save_method=wishes.save_method,
        method=wishes.method,
        reference=wishes.reference,
        metadata=wishes.metadata,
    )


def _phone(text: str) -> str:
    """In E.164; only the form can be judged here, since numbers move between operators."""
    if not text:
        return ""
    import phonenumbers  # see wallets.destinations

    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException as error:
        raise errors.PhoneInvalid from error
    if not phonenumbers.is_possible_number(number):
        raise errors.PhoneInvalid
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def _write(seen: Look, wishes: Wishes, decision: Decision, claim: Claim | None) -> Payment:
    user, purchase = seen.user, seen.purchase
    try:
        with transaction.atomic(durable=True):
            customers.place(user, wishes.country)
            second_payments.look_again(seen)
            taken = _redemption(user, purchase)
            payment = Payment.objects.create(
                user=user,
                kind=purchase.kind,
                item=purchase.item,
                description=purchase.description[:200],
                details=purchase.details,
                tax_minor=purchase.details["tax"]["minor"],
                amount_minor=purchase.amount.minor,
                discount_minor=purchase.price.minor - purchase.amount.minor,
                redemption=taken,
                currency=purchase.amount.unit,
                routing=decision.as_json(),
                country=wishes.country,
                phone=wishes.phone,
                saves_method=wishes.save_method,
                reference=wishes.reference,
                metadata=dict(wishes.metadata),
                success_url=wishes.success_url,
                cancel_url=wishes.cancel_url,
                request_scope=claim.scope if claim else "",
                request_key=claim.key if claim else None,
                request_fingerprint=claim.fingerprint if claim else b"",
                expires_at=timezone.now() + timedelta(minutes=settings.CHECKOUT_EXPIRES_MINUTES),
            )
            if payment.amount_minor == 0:
                payments.give(payment=payment)
            return payment
    except IntegrityError as error:
        if claim is None or "payment_once_per_request_key" not in str(error):
            raise
        # A rival with the same key was faster by a moment: it is calling the gateway now.
        raise IdempotencyKeyInProgress from error


def _redemption(user: User, purchase: Purchase) -> Redemption | None:
    """One use of the coupon, taken with the payment or not at all; a subscription took its own when it began."""
    if purchase.reduction is None:
        return None
    gives = "" if purchase.amount.minor else purchase.unit  # what costs nothing is delivered in this transaction
    return purchase.reduction.redemption or coupons.reserve(user=user, reduction=purchase.reduction, gives=gives)


# ---------------------------------------------------------------- gateways, one after the other


def _bring_to_a_gateway(payment: Payment, customer: Customer, decision: Decision, wishes: Wishes) -> Payment:
    refusals: list[gateway_errors.GatewayError] = []
    for name in decision.possible:
        attempt = payments.begin(payment=payment, gateway_name=name)
        try:
            return _open(attempt, customer, wishes.flow)
        except gateway_errors.Uncertain as doubt:
            # Something may exist there: nobody else is asked, and the buyer hears that it is under way.
            payments.doubt(attempt=attempt, error=doubt)
            return payment
        except (gateway_errors.Declined, gateway_errors.Unavailable) as refusal:
            payments.refuse(attempt=attempt, error=refusal)
            refusals.append(refusal)
            extra = {"payment": str(payment.pk), "gateway": name, "category": refusal.category, "code": refusal.code}
            logger.warning("checkout.refused", extra=extra)
            if isinstance(refusal, gateway_errors.Declined) and refusal.category not in OF_THE_GATEWAY:
                break
    payments.give_up(payment=payment)
    raise _refusal(payment, decision, refusals)


def _charge(payment: Payment, customer: Customer, method: SavedMethod) -> Payment:
    attempt = payments.begin(payment=payment, gateway_name=method.gateway)
    back = returning.told(payment.success_url, settings.CHECKOUT_SUCCESS_URL, payment.pk)
    try:
        return charging.pay(attempt=attempt, method=method, buyer=buyer_of(attempt, customer), return_url=back)
    except gateway_errors.Unavailable as refusal:
        raise _refusal(payment, NO_GATEWAY, [refusal]) from refusal


def _open(attempt: Attempt, customer: Customer, flow: Flow | None) -> Payment:
    adapter = registry.get(attempt.gateway)
    assert isinstance(adapter, OpensCheckout)  # noqa: S101 - routing chose it for that
    if attempt.payment.saves_method:
        who = attempt.payment.user
        gateway_customers.make_known(user=who, gateway=attempt.gateway, reference=attempt.reference)
    request = _request(attempt, customer, flow)
    result = calling.call(attempt.gateway, "open", lambda: adapter.open_checkout(request), is_new_attempt=True)
    return payments.note(attempt=attempt, result=result)


def _request(attempt: Attempt, customer: Customer, flow: Flow | None) -> CheckoutRequest:
    payment, flow = attempt.payment, flow or _usual_flow(attempt.gateway)
    tax = gateway_tax.asked(payment, flow) if registry.get(attempt.gateway).capabilities.reckons_tax else None
    amount = gateway_tax.price(payment) if tax else payment.money
    return CheckoutRequest(
        reference=attempt.reference,
        amount=amount,
        tax=tax,
        description=payment.description,
        buyer=buyer_of(attempt, customer),
        success_url=returning.told(payment.success_url, settings.CHECKOUT_SUCCESS_URL, payment.pk),
        cancel_url=returning.told(payment.cancel_url, settings.CHECKOUT_CANCEL_URL, payment.pk),
        notify_url=webhook_address.of(attempt.gateway, attempt.notify_token),
        flow=flow,
        lines=[Line(name=payment.description, quantity=1, unit_price=amount)],
        expires_at=payment.expires_at,
        save_method=payment.saves_method,
        metadata={"payment": str(payment.pk)},
    )


def buyer_of(attempt: Attempt, customer: Customer) -> Buyer:
    payment = attempt.payment
    return Buyer(
        id=payment.user.get_username(),
        name=customer.company or customer.name,
        email=customer.email,
        phone=payment.phone,
        country=payment.country,
        locale=customer.locale,
        gateway_customer=gateway_customers.known(payment.user, attempt.gateway),
    )


def _usual_flow(name: str) -> Flow:
    flows = registry.get(name).capabilities.flows
    return next((each for each in (Flow.REDIRECT, Flow.PHONE_PROMPT) if each in flows), min(flows))


def _refusal(
    payment: Payment, decision: Decision, refusals: Sequence[gateway_errors.GatewayError]
) -> errors.BillingError:
    told = [{"gateway": each.gateway, "rule": "refused", "detail": each.category.value} for each in refusals]
    told += decision.as_json()["ruled_out"]
    if all(isinstance(each, gateway_errors.Unavailable) for each in refusals):
        # A retry with the same key shall try again, as the answer to it asks.
        Payment.objects.filter(pk=payment.pk).update(request_key=None)
        waits = [each.retry_after_seconds for each in refusals if each.retry_after_seconds]
        return errors.GatewaysDown(told, min(waits, default=None))
    return errors.NoGatewayTakesIt(told)


# ---------------------------------------------------------------- the same request again


def earlier(claim: Claim) -> Payment | None:
    """The payment that this claim began, when its first answer was never kept: its process died on the way."""
    payment = Payment.objects.with_attempts().filter(request_scope=claim.scope, request_key=claim.key).first()
    if payment is None:
        return None
    last = payment.attempts.last()
    young = timezone.now() - payment.created_at < timedelta(seconds=settings.CHECKOUT_CALL_SECONDS)
    if young and (last is None or last.state == AttemptState.CREATED):
        raise IdempotencyKeyInProgress
    if bytes(payment.request_fingerprint) != claim.fingerprint:
        raise IdempotencyKeyReused
    return payment

"""What subscriptions, invoices and saved methods of Stripe's say, in our words. Pure."""

from typing import Any

from billing.gateways.base import Failure, Flow, NextAction
from billing.gateways.errors import FailureCategory, Uncertain
from billing.gateways.redaction import redacted, redacted_text
from billing.gateways.stripe import tax_states
from billing.gateways.stripe.client import NAME, Fields, category_of, id_of, moment, part, reference_of
from billing.gateways.stripe.currencies import from_wire, from_wire_or_none
from billing.gateways.stripe.payment_states import saved_method
from billing.gateways.subscribing import (
    AttachedMethod,
    ChangePreview,
    InvoiceResult,
    InvoiceState,
    SetupResult,
    SetupState,
    SubscriptionResult,
    SubscriptionState,
)

STATES = {
    "incomplete": SubscriptionState.INCOMPLETE,
    "incomplete_expired": SubscriptionState.EXPIRED,
    "trialing": SubscriptionState.TRIALING,
    "active": SubscriptionState.ACTIVE,
    "past_due": SubscriptionState.PAST_DUE,
    "unpaid": SubscriptionState.UNPAID,
    "paused": SubscriptionState.PAUSED,
    "canceled": SubscriptionState.CANCELLED,
}
INVOICE_STATES = {
    "draft": InvoiceState.DRAFT,
    "open": InvoiceState.OPEN,
    "paid": InvoiceState.PAID,
    "uncollectible": InvoiceState.UNCOLLECTIBLE,
    "void": InvoiceState.VOID,
}
SETUP_STATES = {
    "requires_payment_method": SetupState.REQUIRES_ACTION,
    "requires_confirmation": SetupState.REQUIRES_ACTION,
    "requires_action": SetupState.REQUIRES_ACTION,
    "processing": SetupState.PENDING,
    "succeeded": SetupState.SUCCEEDED,
    "canceled": SetupState.CANCELLED,
}


# ---------------------------------------------------------------- subscriptions


def of_session(session: Fields) -> SubscriptionResult:
    """A page on which a subscription begins, and has not begun yet as far as it says."""
    is_over = session.get("status") == "expired"
    url = str(session.get("url") or "")
    action = NextAction(type=Flow.REDIRECT, url=url, expires_at=moment(session.get("expires_at")))
    return SubscriptionResult(
        state=SubscriptionState.EXPIRED if is_over else SubscriptionState.INCOMPLETE,
        id=id_of(session.get("subscription")),
        session=str(session["id"]),
        customer=id_of(session.get("customer")),
        next_action=action if url and not is_over else None,
        raw=redacted(session),
    )


def of_subscription(found: Fields) -> SubscriptionResult:
    state = STATES.get(str(found.get("status")))
    items: list[Fields] = part(found.get("items")).get("data") or []
    if state is None or not items:
        raise Uncertain("Stripe's subscription cannot be read.", gateway=NAME, code="unreadable")
    item = items[0]
    price = part(item.get("price"))
    return SubscriptionResult(
        state=state,
        id=str(found["id"]),
        customer=id_of(found.get("customer")),
        item=str(item.get("id") or ""),
        price=str(price.get("id") or ""),
        period_start=moment(item.get("current_period_start")),
        period_end=moment(item.get("current_period_end")),
        trial_end=moment(found.get("trial_end")),
        cancel_at_period_end=_ends_with_period(found, item),
        is_paused=bool(found.get("pause_collection")),
        has_pending_change=bool(found.get("pending_update")),
        latest_invoice=id_of(found.get("latest_invoice")),
        method=id_of(found.get("default_payment_method")),
        next_action=_next_action(state, found),
        raw=redacted(found),
    )


def _ends_with_period(found: Fields, item: Fields) -> bool:
    """Cancelled in the portal, Stripe may write the date in place of the flag. One after the period is that of a later
    period, until which it is charged as ever."""
    ends, period_ends = found.get("cancel_at"), item.get("current_period_end")
    if found.get("cancel_at_period_end") is True:
        return True
    return ends is not None and (period_ends is None or ends <= period_ends)


def _next_action(state: SubscriptionState, found: Fields) -> NextAction | None:
    """What a buyer must still do about the latest invoice; Stripe's page of it takes them through 3-D Secure."""
    invoice = part(found.get("latest_invoice"))
    waits = state in (SubscriptionState.INCOMPLETE, SubscriptionState.PAST_DUE) or bool(found.get("pending_update"))
    url = str(invoice.get("hosted_invoice_url") or "")
    if not waits or not url or invoice.get("status") != "open":
        return None
    return NextAction(type=Flow.REDIRECT, url=url)


# ---------------------------------------------------------------- invoices


def of_invoice(found: Fields) -> InvoiceResult:
    state = INVOICE_STATES.get(str(found.get("status")))
    if state is None:
        raise Uncertain("Stripe's invoice has an unknown status.", gateway=NAME, code="unreadable")
    currency = found.get("currency")
    details = part(part(found.get("parent")).get("subscription_details"))
    lines: list[Fields] = part(found.get("lines")).get("data") or []
    main = _main_line(lines)
    period = part(main.get("period"))
    return InvoiceResult(
        state=state,
        id=str(found["id"]),
        subscription=id_of(details.get("subscription")),
        reference=reference_of(details) or reference_of(found),
        price=id_of(part(part(main.get("pricing")).get("price_details")).get("price")),
        total=from_wire(found.get("total"), currency),
        paid=from_wire(found.get("amount_paid"), currency),
        tax=tax_states.of_invoice(found),
        discount=from_wire_or_none(_discount(found), currency),
        period_start=moment(period.get("start") or found.get("period_start")),
        period_end=moment(period.get("end") or found.get("period_end")),
        payment_intent=_paying_intent(found),
        paid_at=moment(part(found.get("status_transitions")).get("paid_at")),
    )


def _main_line(lines: list[Fields]) -> Fields:
    """The line of the coming period: the invoice's own dates are of the one that ended. What is given back for the
    old plan has the same period as what the new one costs, and is below nothing."""
    return max(lines, key=lambda line: (part(line.get("period")).get("end") or 0, line.get("amount") or 0), default={})


def _discount(found: Fields) -> int | None:
    discounts = found.get("total_discount_amounts")
    if not isinstance(discounts, list):
        return None
    return sum(int(part(each).get("amount") or 0) for each in discounts)


def _paying_intent(found: Fields) -> str:
    """Since 2025 an invoice names its payments, which name the intents."""
    payments: list[Any] = part(found.get("payments")).get("data") or []
    intents = [id_of(part(part(each).get("payment")).get("payment_intent")) for each in payments]
    return next((intent for intent in intents if intent), "")


def of_preview(found: Fields) -> ChangePreview:
    currency = found.get("currency")
    return ChangePreview(
        due=from_wire(found.get("amount_due"), currency), discount=from_wire(_discount(found) or 0, currency)
    )


# ---------------------------------------------------------------- saved methods


def setup_of_session(session: Fields) -> SetupResult:
    intent = part(session.get("setup_intent"))
    ids = {"session": str(session["id"])}
    if found := id_of(session.get("setup_intent")):
        ids["setup_intent"] = found
    customer = id_of(session.get("customer"))
    if session.get("status") == "expired":
        return SetupResult(state=SetupState.EXPIRED, ids=ids, gateway_customer=customer)
    if intent and session.get("status") == "complete":
        inner = setup_of_intent(intent)
        return SetupResult(
            state=inner.state,
            ids=ids,
            method=inner.method,
            gateway_customer=customer or inner.gateway_customer,
            failure=inner.failure,
        )
    url = str(session.get("url") or "")
    action = NextAction(type=Flow.REDIRECT, url=url, expires_at=moment(session.get("expires_at"))) if url else None
    state = SetupState.PENDING if session.get("status") == "complete" else SetupState.REQUIRES_ACTION
    return SetupResult(state=state, ids=ids, next_action=action, gateway_customer=customer)


def of_method(found: Fields) -> AttachedMethod:
    method = saved_method(found, {})
    assert method is not None  # noqa: S101 - what was checked has an id
    # Kept by a checkout for a plan or for what was agreed there; Stripe calls nothing of a page of its own so.
    is_limited = found.get("allow_redisplay") == "limited"
    return AttachedMethod(method=method, customer=id_of(found.get("customer")), is_for_one_purpose=is_limited)


def setup_of_intent(intent: Fields) -> SetupResult:
    state = SETUP_STATES.get(str(intent.get("status")))
    if state is None:
        raise Uncertain("Stripe's setup intent has an unknown status.", gateway=NAME, code="unreadable")
    error = part(intent.get("last_setup_error"))
    code = str(error.get("decline_code") or error.get("code") or "")
    failure = Failure(
        category=category_of(code, FailureCategory.PAYER_DECLINED),
        code=code,
        message=redacted_text(str(error.get("message") or "")),
    )
    return SetupResult(
        state=state,
        ids={"setup_intent": str(intent["id"])},
        method=saved_method(intent.get("payment_method"), {}) if state is SetupState.SUCCEEDED else None,
        gateway_customer=id_of(intent.get("customer")),
        failure=failure if error else None,
    )

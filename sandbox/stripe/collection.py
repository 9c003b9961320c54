"""Getting invoices paid, and what it means for the subscription behind them when they are or are not."""

from sandbox.stripe import intents, invoices, lifecycle, methods
from sandbox.stripe.errors import CardDeclined, StripeError
from sandbox.stripe.lifecycle import DAY_SECONDS
from sandbox.stripe.state import Call, Routes, State, Thing


def method_for(state: State, bill: Thing, subscription: Thing | None) -> Thing | None:
    """The card that is charged: the invoice's, the subscription's, or the customer's."""
    customer = state.get("customer", bill["customer"])
    subscription = subscription or {}
    chosen = (
        bill["default_payment_method"]
        or subscription.get("default_payment_method")
        or customer["invoice_settings"]["default_payment_method"]
    )
    return state.find("payment_method", chosen)


def subscription_of(state: State, bill: Thing) -> Thing | None:
    return state.find("subscription", invoices.subscription_of(bill))


def collect(
    state: State, bill: Thing, method: Thing | None = None, *, is_authenticated: bool = False
) -> CardDeclined | None:
    """Finalise if need be, and charge. The refusal comes back as a value, its consequences are drawn already."""
    if bill["status"] == "draft":
        invoices.finalize(state, bill)
    if not bill["amount_due"]:
        invoices.mark_paid(state, bill)
        _follow_success(state, bill)
        return None
    intent = invoices.intent_of(state, bill)
    chosen = method or method_for(state, bill, subscription_of(state, bill))
    if intent is None or chosen is None:
        _follow_failure(state, bill)
        return None
    refusal = intents.attempt(state, intent, chosen, is_authenticated=is_authenticated)
    follow(state, intent)
    return refusal


def follow(state: State, intent: Thing) -> None:
    """A PaymentIntent has moved: if an invoice stands behind it, it moves too."""
    bill = state.find("invoice", state.private(intent).get("invoice"))
    if bill is None or bill["status"] != "open":
        return
    if intent["status"] == "succeeded":
        invoices.mark_paid(state, bill)
        _keep_method(state, bill, intent)
        _follow_success(state, bill)
    elif intent["status"] == "requires_action":
        state.tell("invoice.payment_action_required", bill)
        _follow_failure(state, bill)
    elif intent["last_payment_error"]:
        _follow_failure(state, bill)


def _keep_method(state: State, bill: Thing, intent: Thing) -> None:
    """With save_default_payment_method the card that paid is the subscription's from now on."""
    subscription = subscription_of(state, bill)
    if subscription and subscription["payment_settings"]["save_default_payment_method"] == "on_subscription":
        subscription["default_payment_method"] = intent["payment_method"]


def _follow_success(state: State, bill: Thing) -> None:
    subscription = subscription_of(state, bill)
    if subscription is None or subscription["status"] in lifecycle.ENDED:
        return
    if subscription["pending_update"] and state.private(subscription).get("pending_invoice") == bill["id"]:
        apply_pending(state, subscription)
    owed = [each for each in state.all("invoice") if each["status"] == "open" and _is_of(each, subscription)]
    if subscription["status"] in ("incomplete", "past_due", "unpaid") and not owed:
        lifecycle.change(state, subscription, status="active")


def _is_of(bill: Thing, subscription: Thing) -> bool:
    return bool(invoices.subscription_of(bill) == subscription["id"])


def apply_pending(state: State, subscription: Thing) -> None:
    """The change that waited for its payment happens."""
    changed = state.private(subscription).pop("pending_items")
    subscription.update(pending_update=None, items={**subscription["items"], "data": changed})
    if anchor := state.private(subscription).pop("pending_anchor", None):
        subscription["billing_cycle_anchor"] = anchor
    state.tell("customer.subscription.pending_update_applied", subscription)
    state.tell("customer.subscription.updated", subscription)
    lifecycle.schedule(state, subscription)


def drop_pending(state: State, subscription: Thing) -> None:
    """It was not paid in time: the subscription stays as it was."""
    state.private(subscription).pop("pending_items", None)
    bill = state.find("invoice", state.private(subscription).pop("pending_invoice", None))
    subscription["pending_update"] = None
    if bill and bill["status"] == "open":
        invoices.void(state, bill)
    state.tell("customer.subscription.pending_update_expired", subscription)
    lifecycle.schedule(state, subscription)


def _follow_failure(state: State, bill: Thing) -> None:
    retries = [int(days) for days in state.settings["retry_days"].split(",") if days.strip()]
    count = bill["attempt_count"] + 1
    subscription = subscription_of(state, bill)
    is_first = bill["billing_reason"] == "subscription_create"
    waits = subscription is not None and (is_first or bool(subscription["pending_update"]))
    has_next = bill["auto_advance"] and not waits and count <= len(retries)
    following = state.time() + retries[count - 1] * DAY_SECONDS if has_next else None
    bill.update(attempt_count=count, attempted=True, next_payment_attempt=following)
    state.wake_at(bill, following)
    state.tell("invoice.payment_failed", bill)
    if subscription is None or waits or subscription["status"] in lifecycle.ENDED:
        return
    if subscription["status"] == "active":
        lifecycle.change(state, subscription, status="past_due")
    if following is None:
        _give_up(state, bill, subscription)


def _give_up(state: State, bill: Thing, subscription: Thing) -> None:
    """The retries are used up: what the merchant's settings say."""
    bill["auto_advance"] = False
    match state.settings["after_retries"]:
        case "cancel":
            lifecycle.end(state, subscription, reason="payment_failed")
        case "unpaid":
            lifecycle.change(state, subscription, status="unpaid")


def wake(state: State, bill: Thing) -> None:
    """Time went by: a draft is finalised and charged, an unpaid one is tried again."""
    state.wake_at(bill, None)
    if bill["status"] in ("draft", "open") and bill["auto_advance"]:
        collect(state, bill)


def pay_call(call: Call, name: str) -> Thing:
    """Pay now, by the card that is named or stands; or outside of Stripe."""
    state, params = call.state, call.params
    bill = state.get("invoice", name)
    if bill["status"] not in ("draft", "open", "uncollectible"):
        code = "invoice_already_paid" if bill["status"] == "paid" else ""
        raise StripeError(f"Invoice is already {bill['status']}.", code=code)
    if params.flag("paid_out_of_band"):
        if bill["status"] == "draft":
            invoices.finalize(state, bill)
        invoices.mark_paid(state, bill, is_out_of_band=True)
        _follow_success(state, bill)
        return bill
    refusal = collect(state, bill, methods.given(state, params))
    if refusal:
        raise refusal
    intent = invoices.intent_of(state, bill)
    if bill["status"] != "paid" and intent and intent["status"] == "requires_action":
        message = "This payment requires additional user action before it can be completed successfully."
        raise CardDeclined(message, code="invoice_payment_intent_requires_action")
    if bill["status"] != "paid":
        raise StripeError(
            "There is no `default_payment_method` set on this Customer or Invoice.", code="resource_missing"
        )
    return bill


ROUTES: Routes = [("POST", "/v1/invoices/{name}/pay", pay_call)]

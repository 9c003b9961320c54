"""The life of a PaymentIntent: a card is tried, the bank asks, says yes or no, the money is taken or let go."""

from typing import Any

from sandbox.stripe import charges, disputes, methods, shapes
from sandbox.stripe.errors import CardDeclined, StripeError
from sandbox.stripe.state import State, Thing

OPEN = ("requires_payment_method", "requires_confirmation", "requires_action")


def make(state: State, **facts: Any) -> Thing:
    intent = state.add(shapes.payment_intent(state, **facts))
    state.tell("payment_intent.created", intent)
    return intent


def unexpected(intent: Thing, act: str) -> StripeError:
    return StripeError(
        f"You cannot {act} this PaymentIntent because it has a status of {intent['status']}.",
        code="payment_intent_unexpected_state",
        payment_intent=intent,
    )


def attempt(
    state: State, intent: Thing, method: Thing, *, off_session: bool = False, is_authenticated: bool = False
) -> CardDeclined | None:
    """Try a card. The refusal comes back as a value: a renewal lives on with it, a call raises it."""
    intent.update(payment_method=method["id"], last_payment_error=None)
    card = methods.card_of(state, method)
    if methods.needs_challenge(state, method) and not is_authenticated:
        if off_session:
            return _refuse(state, intent, method, methods.decline(state, method, code="authentication_required"))
        _challenge(state, intent)
        return None
    if card.code:
        return _refuse(state, intent, method, methods.decline(state, method))
    _accept(state, intent, method, was_authenticated=is_authenticated)
    if card.dispute:
        disputes.open_one(state, state.get("charge", intent["latest_charge"]), reason=card.dispute)
    return None


def _challenge(state: State, intent: Thing) -> None:
    intent.update(status="requires_action", next_action=shapes.challenge(state, intent))
    state.tell("payment_intent.requires_action", intent)


def _refuse(state: State, intent: Thing, method: Thing, error: CardDeclined) -> CardDeclined:
    charge = charges.refuse(state, intent, method, error)
    shown = {"charge": charge["id"], **error.body()["error"], "payment_method": dict(method)}
    intent.update(
        status="requires_payment_method",
        next_action=None,
        latest_charge=charge["id"],
        payment_method=None,
        last_payment_error=shown,
    )
    state.tell("payment_intent.payment_failed", intent)
    error.facts |= {"charge": charge["id"], "payment_method": dict(method), "payment_intent": dict(intent)}
    return error


def _accept(state: State, intent: Thing, method: Thing, *, was_authenticated: bool) -> None:
    is_manual = intent["capture_method"] == "manual"
    if intent["setup_future_usage"] and intent["customer"]:
        customer = state.get("customer", intent["customer"])
        methods.attach(state, method, customer)
        state.private(method)["is_set_up"] = was_authenticated or not methods.needs_challenge(state, method)
    charge = charges.make(state, intent, method, is_captured=not is_manual)
    intent.update(latest_charge=charge["id"], next_action=None)
    if is_manual:
        intent.update(status="requires_capture", amount_capturable=intent["amount"])
        state.tell("payment_intent.amount_capturable_updated", intent)
    else:
        intent.update(status="succeeded", amount_received=intent["amount"])
        state.tell("payment_intent.succeeded", intent)


def settle_debit(state: State, intent: Thing, *, arrives: bool) -> CardDeclined | None:
    """A bank debit that was on its way arrives, or comes back."""
    method = state.get("payment_method", intent["payment_method"])
    if arrives:
        _accept(state, intent, method, was_authenticated=True)
        return None
    message = "The customer's account has insufficient funds to cover this payment."
    error = CardDeclined(message, code="payment_intent_payment_attempt_failed", decline_code="insufficient_funds")
    return _refuse(state, intent, method, error)


def fail_challenge(state: State, intent: Thing) -> CardDeclined:
    """The buyer did not prove to be the card's owner."""
    method = state.get("payment_method", intent["payment_method"])
    message = (
        "We are unable to authenticate your payment method. Please choose a different payment method and try again."
    )
    error = CardDeclined(message, code="payment_intent_authentication_failure")
    shown = {**error.body()["error"], "payment_method": dict(method)}
    intent.update(status="requires_payment_method", next_action=None, payment_method=None, last_payment_error=shown)
    state.tell("payment_intent.payment_failed", intent)
    return error


def capture(state: State, intent: Thing, amount: int | None) -> None:
    if intent["status"] != "requires_capture":
        raise unexpected(intent, "capture")
    wanted = intent["amount_capturable"] if amount is None else amount
    if not 0 < wanted <= intent["amount_capturable"]:
        raise StripeError(
            "The amount_to_capture is greater than the amount_capturable.",
            code="amount_too_large",
            param="amount_to_capture",
        )
    charges.capture(state, state.get("charge", intent["latest_charge"]), wanted)
    intent.update(status="succeeded", amount_capturable=0, amount_received=wanted)
    state.tell("payment_intent.succeeded", intent)


def cancel(state: State, intent: Thing, reason: str | None) -> None:
    if intent["status"] not in (*OPEN, "requires_capture"):
        raise unexpected(intent, "cancel")
    if intent["status"] == "requires_capture":
        charges.release(state, state.get("charge", intent["latest_charge"]))
    intent.update(
        status="canceled",
        amount_capturable=0,
        canceled_at=state.time(),
        cancellation_reason=reason,
        next_action=None,
    )
    state.tell("payment_intent.canceled", intent)

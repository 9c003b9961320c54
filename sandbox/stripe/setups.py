"""SetupIntents: a card is saved for later, with the bank's blessing, and nothing is charged."""

from typing import Any

from sandbox.stripe import errors, lists, methods, shapes
from sandbox.stripe.errors import CardDeclined, StripeError
from sandbox.stripe.state import Call, Routes, State, Thing

OPEN = ("requires_payment_method", "requires_confirmation", "requires_action")


def make(state: State, **facts: Any) -> Thing:
    intent = state.add(shapes.setup_intent(state, **facts))
    state.tell("setup_intent.created", intent)
    return intent


def attempt(state: State, intent: Thing, method: Thing, *, is_authenticated: bool = False) -> CardDeclined | None:
    intent.update(payment_method=method["id"], last_setup_error=None)
    card = methods.card_of(state, method)
    if card.challenge and not is_authenticated and not state.private(method).get("is_set_up"):
        _challenge(state, intent)
        return None
    if card.code and not card.attaches and not card.challenge:
        return _refuse(state, intent, methods.decline(state, method), method)
    if intent["customer"]:
        methods.attach(state, method, state.get("customer", intent["customer"]))
    state.private(method)["is_set_up"] = True
    intent.update(status="succeeded", next_action=None)
    state.tell("setup_intent.succeeded", intent)
    return None


def _challenge(state: State, intent: Thing) -> None:
    intent.update(status="requires_action", next_action=shapes.challenge(state, intent))
    state.tell("setup_intent.requires_action", intent)


def _refuse(state: State, intent: Thing, error: CardDeclined, method: Thing) -> CardDeclined:
    shown = {**error.body()["error"], "payment_method": dict(method)}
    intent.update(status="requires_payment_method", next_action=None, payment_method=None, last_setup_error=shown)
    state.tell("setup_intent.setup_failed", intent)
    error.facts |= {"setup_intent": dict(intent), "payment_method": dict(method)}
    return error


def fail_challenge(state: State, intent: Thing) -> CardDeclined:
    method = state.get("payment_method", intent["payment_method"])
    message = (
        "We are unable to authenticate your payment method. Please choose a different payment method and try again."
    )
    return _refuse(state, intent, CardDeclined(message, code="setup_intent_authentication_failure"), method)


def create(call: Call) -> Thing:
    state, params = call.state, call.params
    customer = state.named("customer", params, "customer")
    method = methods.given(state, params)
    facts: Thing = {
        "customer": customer["id"] if customer else None,
        "description": params.text("description"),
        "metadata": params.metadata(),
        "usage": params.choice("usage", "off_session on_session", "off_session"),
        "payment_method": method["id"] if method else None,
        "status": "requires_confirmation" if method else "requires_payment_method",
    }
    if params.has("automatic_payment_methods"):
        wish = params.inside("automatic_payment_methods")
        redirects = wish.choice("allow_redirects", "always never", "always")
        facts["automatic_payment_methods"] = {"allow_redirects": redirects, "enabled": wish.flag("enabled")}
    intent = make(state, **facts)
    return _confirm(call, intent) if params.flag("confirm") else intent


def _confirm(call: Call, intent: Thing) -> Thing:
    state, params = call.state, call.params
    if intent["status"] not in OPEN:
        raise StripeError(
            f"You cannot confirm this SetupIntent because it has already {intent['status']}.",
            code="setup_intent_unexpected_state",
            setup_intent=intent,
        )
    method = methods.given(state, params) or state.find("payment_method", intent["payment_method"])
    if method is None:
        raise errors.parameter_invalid(
            "payment_method", "You cannot confirm this SetupIntent because it's missing a payment method."
        )
    if params.has("return_url"):
        state.private(intent)["return_url"] = params.text("return_url")
    if refusal := attempt(state, intent, method):
        raise refusal
    return intent


def retrieve(call: Call, name: str) -> Thing:
    return call.state.get("setup_intent", name)


def update(call: Call, name: str) -> Thing:
    state, params = call.state, call.params
    intent = state.get("setup_intent", name)
    intent["metadata"] = params.metadata(intent["metadata"])
    if method := methods.given(state, params):
        intent.update(payment_method=method["id"], status="requires_confirmation")
    if customer := state.named("customer", params, "customer"):
        intent["customer"] = customer["id"]
    return intent


def confirm(call: Call, name: str) -> Thing:
    return _confirm(call, call.state.get("setup_intent", name))


def cancel(call: Call, name: str) -> Thing:
    intent = call.state.get("setup_intent", name)
    if intent["status"] not in OPEN:
        raise StripeError(
            f"You cannot cancel this SetupIntent because it has a status of {intent['status']}.",
            code="setup_intent_unexpected_state",
            setup_intent=intent,
        )
    reason = call.params.choice("cancellation_reason", "abandoned requested_by_customer duplicate") or None
    intent.update(status="canceled", cancellation_reason=reason, next_action=None)
    call.state.tell("setup_intent.canceled", intent)
    return intent


def listed(call: Call) -> Thing:
    chosen = lists.matching(call.state.all("setup_intent"), call.params, "customer payment_method")
    return lists.page(call, chosen, "/v1/setup_intents")


ROUTES: Routes = [
    ("POST", "/v1/setup_intents", create),
    ("GET", "/v1/setup_intents", listed),
    ("GET", "/v1/setup_intents/{name}", retrieve),
    ("POST", "/v1/setup_intents/{name}", update),
    ("POST", "/v1/setup_intents/{name}/confirm", confirm),
    ("POST", "/v1/setup_intents/{name}/cancel", cancel),
]

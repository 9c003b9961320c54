"""PaymentIntents as the API offers them."""

from sandbox.stripe import amounts, collection, errors, intents, lists, methods
from sandbox.stripe.errors import CardDeclined, StripeError
from sandbox.stripe.forms import Params
from sandbox.stripe.state import Call, Routes, Thing

TEXTS = "description receipt_email statement_descriptor statement_descriptor_suffix transfer_group on_behalf_of"
REASONS = "duplicate fraudulent requested_by_customer abandoned"


def create(call: Call) -> Thing:
    state, params = call.state, call.params
    amount = params.needed_integer("amount")
    currency = amounts.currency_of(params.needed("currency"))
    amounts.check(amount, currency)
    confirms = params.flag("confirm")
    if params.has("return_url") and not confirms:
        raise errors.parameter_invalid(
            "return_url",
            "The parameter `return_url` cannot be passed when creating a PaymentIntent unless confirm is set to true.",
        )
    if params.has("off_session") and not confirms:
        raise errors.parameter_invalid(
            "off_session",
            "The parameter `off_session` cannot be passed when creating a PaymentIntent unless `confirm` is set to"
            " true.",
        )
    customer = state.named("customer", params, "customer")
    method = methods.given(state, params)
    _check_owner(method, customer)
    intent = intents.make(
        state,
        amount=amount,
        capture_method=params.choice("capture_method", "automatic automatic_async manual", "automatic_async"),
        confirmation_method=params.choice("confirmation_method", "automatic manual", "automatic"),
        currency=currency,
        customer=customer["id"] if customer else None,
        metadata=params.metadata(),
        payment_method=method["id"] if method else None,
        setup_future_usage=params.choice("setup_future_usage", "off_session on_session") or None,
        status="requires_confirmation" if method else "requires_payment_method",
        automatic_payment_methods=_automatic(params),
        transfer_data=_transfer_data(params),
        **{name: params.text(name) for name in TEXTS.split()},
    )
    return _confirm(call, intent) if confirms else intent


def _automatic(params: Params) -> Thing | None:
    wish = params.inside("automatic_payment_methods")
    if not params.has("automatic_payment_methods") and params.has("payment_method_types"):
        return None
    redirects = wish.choice("allow_redirects", "always never", "always")
    return {"allow_redirects": redirects, "enabled": wish.flag("enabled", True)}


def _transfer_data(params: Params) -> Thing | None:
    if not params.has("transfer_data"):
        return None
    given = params.inside("transfer_data")
    return {"amount": given.integer("amount"), "destination": given.needed("destination")}


def _check_owner(method: Thing | None, customer: Thing | None) -> None:
    if method and method["customer"] and (customer is None or customer["id"] != method["customer"]):
        message = (
            f"The PaymentMethod {method['id']} belongs to the Customer {method['customer']}."
            " Please include the Customer in the `customer` parameter on the PaymentIntent."
        )
        raise errors.parameter_invalid("payment_method", message)


def _confirm(call: Call, intent: Thing) -> Thing:
    state, params = call.state, call.params
    if intent["status"] not in intents.OPEN:
        raise intents.unexpected(intent, "confirm")
    method = methods.given(state, params) or state.find("payment_method", intent["payment_method"])
    if method is None:
        message = "You cannot confirm this PaymentIntent because it's missing a payment method."
        raise StripeError(message, code="payment_intent_unexpected_state", payment_intent=intent)
    _check_owner(method, state.find("customer", intent["customer"]))
    if params.has("return_url"):
        state.private(intent)["return_url"] = params.text("return_url")
    if params.has("setup_future_usage"):
        intent["setup_future_usage"] = params.choice("setup_future_usage", "off_session on_session") or None
    is_away = params.text("off_session") not in (None, "false")
    refusal = intents.attempt(state, intent, method, off_session=is_away)
    collection.follow(state, intent)
    if refusal is None and intent["status"] == "requires_action" and params.flag("error_on_requires_action"):
        refusal = CardDeclined(
            "This payment required an authentication action to complete, but `error_on_requires_action` was set.",
            code="authentication_required",
            payment_intent=dict(intent),
        )
    if refusal:
        raise refusal
    return intent


def retrieve(call: Call, name: str) -> Thing:
    secret = call.params.text("client_secret")
    intent = call.state.get("payment_intent", name)
    if secret not in (None, intent["client_secret"]):
        raise errors.missing("payment_intent", name)
    return intent


def update(call: Call, name: str) -> Thing:
    state, params = call.state, call.params
    intent = state.get("payment_intent", name)
    if intent["status"] in ("succeeded", "canceled") and set(params.values) - {"metadata", "description", "expand"}:
        raise intents.unexpected(intent, "update")
    if params.has("amount"):
        amounts.check(params.needed_integer("amount"), intent["currency"])
        intent["amount"] = params.needed_integer("amount")
    if customer := state.named("customer", params, "customer"):
        intent["customer"] = customer["id"]
    if method := methods.given(state, params):
        _check_owner(method, state.find("customer", intent["customer"]))
        intent.update(payment_method=method["id"], status="requires_confirmation")
    intent.update({name: params.text(name) for name in TEXTS.split() if params.has(name)})
    intent["metadata"] = params.metadata(intent["metadata"])
    return intent


def confirm(call: Call, name: str) -> Thing:
    return _confirm(call, call.state.get("payment_intent", name))


def capture(call: Call, name: str) -> Thing:
    intent = call.state.get("payment_intent", name)
    intents.capture(call.state, intent, call.params.integer("amount_to_capture"))
    return intent


def cancel(call: Call, name: str) -> Thing:
    state = call.state
    intent = state.get("payment_intent", name)
    session = state.find("checkout.session", state.private(intent).get("session"))
    if session and session["status"] == "open":
        raise StripeError(
            "You cannot cancel this PaymentIntent because it was created by a Checkout Session: expire the session"
            " instead.",
            code="payment_intent_unexpected_state",
        )
    intents.cancel(state, intent, call.params.choice("cancellation_reason", REASONS) or None)
    return intent


def listed(call: Call) -> Thing:
    chosen = lists.matching(call.state.all("payment_intent"), call.params, "customer")
    return lists.page(call, chosen, "/v1/payment_intents")


def found(call: Call) -> Thing:
    return lists.search(call, call.state.all("payment_intent"), "/v1/payment_intents/search")


ROUTES: Routes = [
    ("POST", "/v1/payment_intents", create),
    ("GET", "/v1/payment_intents", listed),
    ("GET", "/v1/payment_intents/search", found),
    ("GET", "/v1/payment_intents/{name}", retrieve),
    ("POST", "/v1/payment_intents/{name}", update),
    ("POST", "/v1/payment_intents/{name}/confirm", confirm),
    ("POST", "/v1/payment_intents/{name}/capture", capture),
    ("POST", "/v1/payment_intents/{name}/cancel", cancel),
]

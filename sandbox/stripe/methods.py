"""Payment methods: cards, of which there are only Stripe's test cards."""

from datetime import UTC, datetime

from sandbox.stripe import cards, errors, lists, shapes
from sandbox.stripe.cards import BY_TOKEN, Card
from sandbox.stripe.errors import CardDeclined, StripeError
from sandbox.stripe.forms import Params
from sandbox.stripe.state import Call, Routes, State, Thing

EXPIRES_IN_YEARS = 5


def make(state: State, card: Card, details: Thing | None = None) -> Thing:
    year = datetime.fromtimestamp(state.time(), UTC).year + EXPIRES_IN_YEARS
    method = state.add(shapes.payment_method(state, card, year=year, details=details))
    state.private(method)["number"] = card.number
    return method


def make_debit(state: State, details: Thing) -> Thing:
    """A bank account; it has the temper of a card that is paid."""
    method = state.add(shapes.debit(state, details))
    state.private(method)["number"] = BY_TOKEN["pm_card_visa"].number
    return method


def card_of(state: State, method: Thing) -> Card:
    return cards.BY_NUMBER[state.private(method)["number"]]


def given(state: State, params: Params, name: str = "payment_method") -> Thing | None:
    """The method that a parameter names: one we know, or a test token such as pm_card_visa."""
    value = params.text(name)
    if value is None:
        return None
    if card := BY_TOKEN.get(value):
        return make(state, card)
    method = state.find("payment_method", value)
    if method is None:
        spoken = f"No such PaymentMethod: '{value}'"
        raise StripeError(spoken, code="resource_missing", param=params.name(name))
    return method


def decline(state: State, method: Thing, *, code: str = "") -> CardDeclined:
    """How the bank of this card says no."""
    card = card_of(state, method)
    if code == "authentication_required":
        return CardDeclined(cards.MESSAGES[code], code=code, decline_code=code)
    param = {"expired_card": "exp_month", "incorrect_cvc": "cvc"}.get(card.code)
    return CardDeclined(card.message, code=card.code, decline_code=card.decline_code or None, param=param)


def needs_challenge(state: State, method: Thing) -> bool:
    """Does the bank want to see the buyer before it pays?"""
    challenge = card_of(state, method).challenge
    return challenge == "always" or (challenge == "unless_set_up" and not state.private(method).get("is_set_up"))


def attach(state: State, method: Thing, customer: Thing) -> None:
    if method["customer"] == customer["id"]:
        return
    if method["customer"] is not None:
        raise StripeError(
            "The payment method you provided has already been attached to a customer.", code="resource_already_exists"
        )
    if state.private(method).get("is_detached"):
        raise StripeError(
            "This PaymentMethod was previously used without being attached to a Customer or was detached from a"
            " Customer, and may not be used again."
        )
    if not card_of(state, method).attaches:
        raise decline(state, method)
    method["customer"] = customer["id"]
    state.tell("payment_method.attached", method)


def detach(state: State, method: Thing) -> None:
    if method["customer"] is None:
        raise StripeError("The payment method you provided is not attached to a customer so detachment is impossible.")
    owner = state.find("customer", method["customer"])
    if owner and owner["invoice_settings"]["default_payment_method"] == method["id"]:
        owner["invoice_settings"]["default_payment_method"] = None
        state.tell("customer.updated", owner, {"invoice_settings": {"default_payment_method": method["id"]}})
    for subscription in state.all("subscription"):
        if subscription["default_payment_method"] == method["id"]:
            subscription["default_payment_method"] = None
    state.private(method)["is_detached"] = True
    state.change(method, "payment_method.detached", customer=None)


def of_customer(state: State, name: str) -> list[Thing]:
    return [method for method in state.all("payment_method") if method["customer"] == name]


def create(call: Call) -> Thing:
    params, state = call.params, call.state
    if params.needed("type") != "card":
        raise errors.parameter_invalid("type", "The sandbox knows cards only.")
    typed = params.inside("card")
    token = typed.text("token")  # tok_visa is of the same card as pm_card_visa
    card = BY_TOKEN.get(token.replace("tok_", "pm_card_")) if token else cards.by_number(typed.needed("number"))
    if card is None:
        raise CardDeclined(cards.MESSAGES["incorrect_number"], code="incorrect_number", param="number")
    method = make(state, card, _details(params))
    method["metadata"] = params.metadata()
    return method


def _details(params: Params) -> Thing:
    typed = params.inside("billing_details")
    address = {name: value for name, value in typed.inside("address").values.items() if name in shapes.NO_ADDRESS}
    return shapes.billing_details(typed.text("name"), typed.text("email"), address)


def retrieve(call: Call, name: str) -> Thing:
    return call.state.get("payment_method", name)


def update(call: Call, name: str) -> Thing:
    method = call.state.get("payment_method", name)
    if method["customer"] is None:
        raise StripeError("You must save this PaymentMethod to a customer before you can update it.")
    details = _details(call.params) if call.params.has("billing_details") else method["billing_details"]
    metadata = call.params.metadata(method["metadata"])
    shown = call.params.choice("allow_redisplay", "always limited unspecified", method["allow_redisplay"])
    changes: Thing = {"billing_details": details, "metadata": metadata, "allow_redisplay": shown}
    call.state.change(method, "payment_method.updated", **changes)
    return method


def attach_call(call: Call, name: str) -> Thing:
    method = given(call.state, Params({"payment_method": name})) or call.state.get("payment_method", name)
    customer = call.state.named("customer", call.params, "customer")
    if customer is None:
        raise errors.parameter_missing("customer")
    attach(call.state, method, customer)
    return method


def detach_call(call: Call, name: str) -> Thing:
    method = call.state.get("payment_method", name)
    detach(call.state, method)
    return method


def listed(call: Call) -> Thing:
    customer = call.state.named("customer", call.params, "customer")
    chosen = of_customer(call.state, customer["id"]) if customer else []
    return lists.page(call, lists.matching(chosen, call.params, "type"), "/v1/payment_methods")


def listed_of_customer(call: Call, name: str) -> Thing:
    call.state.get("customer", name)
    return lists.page(call, of_customer(call.state, name), f"/v1/customers/{name}/payment_methods")


def retrieve_of_customer(call: Call, name: str, method: str) -> Thing:
    found = call.state.get("payment_method", method)
    if found["customer"] != name:
        raise errors.missing("payment_method", method)
    return found


ROUTES: Routes = [
    ("POST", "/v1/payment_methods", create),
    ("GET", "/v1/payment_methods", listed),
    ("GET", "/v1/payment_methods/{name}", retrieve),
    ("POST", "/v1/payment_methods/{name}", update),
    ("POST", "/v1/payment_methods/{name}/attach", attach_call),
    ("POST", "/v1/payment_methods/{name}/detach", detach_call),
    ("GET", "/v1/customers/{name}/payment_methods", listed_of_customer),
    ("GET", "/v1/customers/{name}/payment_methods/{method}", retrieve_of_customer),
]

"""Customers, and their balance."""

from sandbox.stripe import lists, methods, shapes
from sandbox.stripe.forms import Params
from sandbox.stripe.state import Call, Routes, State, Thing

TEXTS = "description email name phone"


def _facts(params: Params) -> Thing:
    """What a call says of a customer: only what it names."""
    facts: Thing = {name: params.text(name) for name in TEXTS.split() if params.has(name)}
    if params.has("address"):
        address = params.inside("address").values
        facts["address"] = {**shapes.NO_ADDRESS, **address} if address else None
    if params.has("preferred_locales"):
        facts["preferred_locales"] = params.texts("preferred_locales")
    if params.has("balance"):
        facts["balance"] = params.integer("balance") or 0
    if params.has("tax_exempt"):
        facts["tax_exempt"] = params.choice("tax_exempt", "none exempt reverse", "none")
    return facts


def make(state: State, **facts: object) -> Thing:
    customer = state.add(shapes.customer(state, **facts))
    state.tell("customer.created", customer)
    return customer


def use_by_default(state: State, customer: Thing, method: Thing) -> None:
    settings = {**customer["invoice_settings"], "default_payment_method": method["id"]}
    state.change(customer, "customer.updated", invoice_settings=settings)


def create(call: Call) -> Thing:
    state, params = call.state, call.params
    method = methods.given(state, params)
    wanted = methods.given(state, params.inside("invoice_settings"), "default_payment_method")
    if method and not methods.card_of(state, method).attaches:
        raise methods.decline(state, method)
    customer = make(state, metadata=params.metadata(), **_facts(params))
    if method:
        methods.attach(state, method, customer)
    if wanted:
        methods.attach(state, wanted, customer)
        customer["invoice_settings"]["default_payment_method"] = wanted["id"]
    return customer


def retrieve(call: Call, name: str) -> Thing:
    customer = call.state.get("customer", name)
    if call.state.private(customer).get("is_deleted"):
        return {"id": name, "object": "customer", "deleted": True}
    return customer


def update(call: Call, name: str) -> Thing:
    state, params = call.state, call.params
    customer = state.get("customer", name)
    changes = {**_facts(params), "metadata": params.metadata(customer["metadata"])}
    settings = params.inside("invoice_settings")
    if settings.has("default_payment_method"):
        method = methods.given(state, settings, "default_payment_method")
        if method:
            methods.attach(state, method, customer)
        chosen = method["id"] if method else None
        changes["invoice_settings"] = {**customer["invoice_settings"], "default_payment_method": chosen}
    state.change(customer, "customer.updated", **changes)
    return customer


def listed(call: Call) -> Thing:
    living = [one for one in call.state.all("customer") if not call.state.private(one).get("is_deleted")]
    return lists.page(call, lists.matching(living, call.params, "email"), "/v1/customers")


def found(call: Call) -> Thing:
    return lists.search(call, call.state.all("customer"), "/v1/customers/search")


lists.INCLUDABLE["customer", "sources"] = lambda state, customer: lists.wrap(
    [], f"/v1/customers/{customer['id']}/sources"
)

ROUTES: Routes = [
    ("POST", "/v1/customers", create),
    ("GET", "/v1/customers", listed),
    ("GET", "/v1/customers/search", found),
    ("GET", "/v1/customers/{name}", retrieve),
    ("POST", "/v1/customers/{name}", update),
]
